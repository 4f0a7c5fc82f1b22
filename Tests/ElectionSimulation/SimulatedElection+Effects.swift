import ConsensusCore
import Contracts

// What nodes do, and what the world makes of it.
extension SimulatedElection {
    mutating func perform(_ effect: ConsensusEffect, of index: Int) {
        switch effect {
        case .persist(let bytes): nodes[index].disk = bytes
        case .publish(let publication): publish(publication, from: index)
        case .setTimer(let timer, let delay):
            timerCount += 1
            nodes[index].timers[timer] = timerCount
            // Rounded up: a timer never comes early.
            let global = delay * 1_000_000 / (1_000_000 + nodes[index].skew) + 1
            queue.add(.timer(node: index, timer, timerCount), at: now + global)
        case .cancelTimer(let timer): nodes[index].timers[timer] = nil
        case .ask(let question):
            queue.add(.ask(node: index, life: lives[index], question), at: now + drawn(faults.delay))
        case .leadership(let leadership): show(leadership, of: index)
        case .count(.stood): lastStood = now
        case .count, .log: break
        }
    }

    private mutating func show(_ leadership: Leadership, of index: Int) {
        note { "\($0.name(index)) acknowledges \($0.name(leadership.leader)) in term \(leadership.term)" }
        let node = nodes[index].id
        nodes[index].reignsSince = leadership.leader == node ? nodes[index].reignsSince ?? localTime(index) : nil
        guard let head = nodes[index].machine?.head else { return }
        judge.see(leadership, of: node, at: head, asleep: asleep)
    }

    /// One that has just woken up has yet to look at its clock.
    var asleep: Set<NodeID> { Set(nodes.filter { $0.pausedUntil + 5 > now }.map(\.id)) }

    private mutating func publish(_ publication: Publication, from index: Int) {
        nodes[index].sequence += 1
        let payload = publication.payload.bytes
        let signed = SignedMessage.signedBytes(
            site: SimulatedChain.site, kind: .election, sequence: nodes[index].sequence, payload: payload)
        let message = SignedMessage(
            kind: .election, sender: nodes[index].id, sequence: nodes[index].sequence, payload: payload,
            signature: nodes[index].keys.sign(signed))
        if mutant == .fallsSilent, let since = nodes[index].reignsSince, localTime(index) > since + 1_500 { return }
        note { "\($0.name(index)) → \(publication.to.map($0.name) ?? "all"): \($0.text(payload))" }
        send(message, from: index, to: publication.to)
    }

    /// What goes to all comes back to the sender, through its own gossip and whatever the network does.
    mutating func send(_ message: SignedMessage, from index: Int, to node: NodeID?) {
        for target in nodes.indices where node == nil || nodes[target].id == node {
            if target == index {
                if node == nil { queue.add(.deliver(to: target, message), at: now + 1) }
                continue
            }
            messages += 1
            bytes += message.payload.bytes.count + 145
            guard reaches(index, target), !chance(faults.loss) else { continue }
            for _ in 0..<(chance(faults.duplication) ? 2 : 1) {
                queue.add(.deliver(to: target, message), at: now + (heldTime(of: message) ?? drawn(faults.delay)))
            }
        }
    }

    private func heldTime(of message: SignedMessage) -> Int64? {
        guard let held, let envelope = try? ElectionEnvelope(encoded: message.payload.bytes),
            envelope.body.first == held.type
        else { return nil }
        return held.milliseconds
    }

    func reaches(_ from: Int, _ to: Int) -> Bool {
        group[from] == group[to] || isOneWay && group[from] == 1
    }

    /// Gossip's draws, and the store.
    mutating func answer(_ question: ElectionQuestion, of index: Int, life: UInt64) {
        guard lives[index] == life else { return }
        var answer: ElectionAnswer?
        switch question {
        case .draw(let alpha):
            if !chance(faults.silence) {
                answer = .drawn(nodes[index].keys.draw(alpha))
            }
        case .store(let call):
            messages += 2
            // It stands with the first group of a partition. A call may be lost on its way there, or its answer on its
            // way back.
            if now >= storeUpAt, group[index] == 0, !chance(faults.silence) {
                let reply = store.perform(call, now: now)
                if !chance(faults.silence) { answer = .store(reply) }
            }
        }
        let delay = answer == nil ? Int64(generator.next(in: 1...1_000)) : drawn(faults.delay)
        queue.add(.answer(node: index, life: life, question, answer), at: now + delay)
    }

    mutating func drawn(_ range: ClosedRange<Int>) -> Int64 { Int64(generator.next(in: range)) }

    mutating func chance(_ perMille: Int) -> Bool { perMille > 0 && generator.next(below: 1_000) < perMille }

    // MARK: - The chain

    /// A block comes about if a quorum of the members is connected and has the one before.
    mutating func build() {
        let head = chain.newest
        let ready = nodes.indices.filter {
            head.has(nodes[$0].id) && nodes[$0].machine != nil && nodes[$0].height == Int(head.height)
        }
        let places = Dictionary(grouping: ready) { group[$0] }
        guard let place = places.first(where: { $0.value.count >= head.quorum })?.key else { return catchUp() }
        chain.append(change: chance(faults.membership) ? draftee(head) : nil)
        for index in nodes.indices where group[index] == place && nodes[index].height == Int(head.height) {
            learn(index)
        }
        catchUp()
    }

    /// Somebody to join or to leave, never so many that no quorum could be left.
    private mutating func draftee(_ head: SiteHead) -> Voter? {
        let keys = nodes[generator.next(in: 0...nodes.count - 1)].keys
        return head.has(keys.id) && head.members.count <= 3 ? nil : Voter(id: keys.id, vrf: keys.vrf)
    }

    private mutating func learn(_ index: Int) {
        nodes[index].height += 1
        queue.add(.head(node: index), at: now + drawn(1...30))
    }

    /// Who lags is told one block after the other by whoever it can reach that has them.
    private mutating func catchUp() {
        for index in nodes.indices where nodes[index].height < Int(chain.newest.height) {
            let best =
                nodes.indices.filter { group[$0] == group[index] && nodes[$0].machine != nil }
                .map { nodes[$0].height }.max() ?? 0
            while nodes[index].height < best { learn(index) }
        }
    }

    // MARK: - Words

    func text(_ payload: [UInt8]) -> String {
        guard let envelope = try? ElectionEnvelope(encoded: payload) else { return "\(payload.count) bytes" }
        if envelope.body.isEmpty { return "I elect by \(envelope.engine)" }
        var text = engine.text(of: envelope.body)
        for index in nodes.indices {
            for range in text.ranges(of: nodes[index].id.short).reversed() {
                text.replaceSubrange(range, with: name(index))
            }
        }
        return text
    }

    func name(_ index: Int) -> String { "pi\(index + 1)" }

    func name(_ id: NodeID?) -> String { nodes.firstIndex { $0.id == id }.map(name) ?? "nobody" }

    mutating func note(_ text: (Self) -> String) {
        guard transcript != nil else { return }
        let time = String(now)
        let line = String(repeating: " ", count: max(0, 5 - time.count)) + time + "  " + text(self)
        transcript?.append(line)
    }
}
