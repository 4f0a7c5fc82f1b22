import Contracts

extension PoetElection {
    /// The height to be built, which is the term.
    var target: UInt64 { (head?.height).map { $0 + 1 } ?? 0 }

    // MARK: - What the chain says

    mutating func take(_ newHead: SiteHead, now: Int64) {
        let old = head
        head = newHead
        guard newHead != old else { return }
        began = now
        claims = [:]
        blamed = []
        leader = nil
        effects.append(.cancelTimer(Self.claimTimer))
        askForDraw()
        effects.append(.setTimer(Self.watchTimer, afterMilliseconds: heartbeat))
    }

    /// Once is enough at one height: the next one is drawn for anew.
    mutating func take(_ blame: Blame, now: Int64) {
        guard blame.term == target, blame.height == target, blamed.insert(blame.leader).inserted else { return }
        effects.append(.count(.disowned))
        effects.append(
            .log(.notice, "\(blame.leader.short) failed to lead at height \(target) and is passed over"))
        watch(now: now)
    }

    private mutating func askForDraw() {
        guard let head, Self.isEligible(own, at: head) else { return }
        effects.append(
            .ask(.draw(alpha: Draw.alpha(genesis: head.genesis, height: target, seed: head.seed))))
    }

    // MARK: - This node's own draw

    mutating func drawn(_ proof: VRFProof, for alpha: [UInt8], now: Int64) {
        guard let head, claims[own] == nil,
            alpha == Draw.alpha(genesis: head.genesis, height: target, seed: head.seed)
        else { return }
        guard let wait = Self.wait(own, proof, at: head, checks, heartbeat: heartbeat) else {
            refuse("wrong-draw")
            if drawsWell {
                effects.append(
                    .log(
                        .warning,
                        "gossip draws with another key than the chain knows of this node, which therefore never leads"))
            }
            drawsWell = false
            return
        }
        drawsWell = true
        claims[own] = Claim(proof: proof, wait: wait, heardAt: nil)
        effects.append(.setTimer(Self.claimTimer, afterMilliseconds: max(0, began + wait - now)))
    }

    /// Claims when the time is over and nobody better does, says so again while that is so, and passes over who is
    /// silent.
    mutating func watch(now: Int64) {
        guard head != nil else { return }
        if let claim = claims[own], now >= began + claim.wait, !blamed.contains(own) {
            claims[own]?.heardAt = now
        } else if claims[own] == nil {
            askForDraw()
        }
        choose(now: now)
        if leader == own, let proof = claims[own]?.proof { say(.claim(height: target, proof)) }
        effects.append(.setTimer(Self.watchTimer, afterMilliseconds: heartbeat))
    }

    private mutating func say(_ message: PoetMessage) {
        effects.append(.send(to: nil, message.encoded))
        effects.append(.count(.sent(type: "claim")))
    }

    // MARK: - Claims

    mutating func take(_ signed: ElectionMessage, now: Int64) {
        guard let head, signed.sender != own else { return }
        let sender = signed.sender
        guard case .claim(let height, let proof)? = try? PoetMessage(encoded: signed.body) else {
            return refuse("malformed")
        }
        effects.append(.count(.received(type: "claim")))
        // Behind or ahead of this node; who goes on claiming is heard once both are abreast.
        guard height == target else { return refuse("other-height") }
        if claims[sender]?.proof != proof {
            guard Self.isEligible(sender, at: head) else { return refuse("not-drawing") }
            guard !distrust.holds(sender, now: now) else { return refuse("wrong-draw") }
            guard let wait = Self.wait(sender, proof, at: head, checks, heartbeat: heartbeat) else {
                distrust.fall(on: sender, until: now + timeout)
                effects.append(.log(.warning, "\(sender.short) claims height \(height) with a draw that isn't its own"))
                return refuse("wrong-draw")
            }
            claims[sender] = Claim(proof: proof, wait: wait, heardAt: nil)
        }
        guard let wait = claims[sender]?.wait, now >= began + wait - tolerance else { return refuse("too-soon") }
        claims[sender]?.heardAt = now
        choose(now: now)
    }

    /// The claim that waited least of those that are kept up.
    private mutating func choose(now: Int64) {
        let standing = claims.filter { node, claim in
            claim.heardAt.map { now - $0 < timeout } ?? false && !blamed.contains(node)
        }
        leader = standing.min { ($0.value.wait, $0.key) < ($1.value.wait, $1.key) }?.key
    }

    mutating func refuse(_ reason: String) { effects.append(.count(.refused(reason: reason))) }
}
