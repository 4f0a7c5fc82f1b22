import Contracts

/// The machine's part in catching up: blocks from whoever is ahead, or the state where the blocks are gone or too many.
extension PlannerMachine {
    mutating func receiveBlocks(_ message: SignedMessage) {
        guard let before = state?.height, message.sender != here else { return }
        guard let blocks = try? CommittedBlocks(encoded: message.payload.bytes) else {
            count("undecodable-blocks")
            catchUp.distrust(message.sender, at: now)
            return
        }
        for entry in blocks.entries {
            guard halted == nil, let state else { return }
            do throws(Refusal) {
                let block = try Block.decode(entry.block)
                guard block.header.height == state.height + 1 else { continue }
                try Chain.check(
                    entry.certificate, of: block.id, height: block.header.height, state,
                    trusting: deviation.contains(.wrongCertificate))
                conclude(block, entry.certificate)
            } catch {
                count(error)
                catchUp.distrust(message.sender, at: now)
                askAnother()
                return
            }
        }
        guard let state, state.height > before else { return }
        catchUp.progressed()
        guard let peer = peers.all[message.sender], peer.height > state.height else { return }
        catchUp.asks(message.sender, at: now)
        sendStatus(asking: message.sender)
    }

    /// Commits a block that a certificate proves decided.
    private mutating func conclude(_ block: Block, _ certificate: [UInt8]) {
        guard let state else { return }
        do throws(Refusal) {
            commit(block, certificate, try Validity.check(block, after: state, deviation: deviation))
        } catch {
            halt(
                "a quorum decided block \(block.header.height) (\(block.id.short)), which this node finds invalid: "
                    + "\(error). Compare its version with the others', then move its chain's files away and start it again"
            )
        }
    }

    /// Whom to ask for blocks: someone who was ahead for a while, not just quicker with the newest block.
    mutating func laggingNode() -> NodeID? {
        guard let state, !catchUp.isTransferring else { return nil }
        if let committedAt, now - committedAt < state.parameters.blockInterval / 2 { return nil }
        return catchUp.choose(peers.ahead(of: state.height, at: now), at: now, &random)
    }

    private mutating func askAnother() {
        guard halted == nil, let other = laggingNode() else { return }
        sendStatus(asking: other)
    }

    // MARK: Snapshots

    mutating func receiveSnapshot(_ message: SignedMessage) {
        guard let state, message.sender != here else { return }
        guard let said = try? SnapshotMessage(encoded: message.payload.bytes) else {
            count("undecodable-snapshot")
            catchUp.distrust(message.sender, at: now)
            return
        }
        switch said {
        case .wish(let wish):
            guard state.nodes[message.sender] != nil || peers.serves(stranger: message.sender, at: now) else {
                return count(Refusal.Reason.senderNotMember.rawValue)
            }
            guard founding.record?.names.contains(wish.genesis) == true, wish.index < SnapshotPiece.countLimit,
                peers.mayServe(message.sender, piece: wish.index, of: wish.digest, at: now)
            else { return }
            effects.append(.sendSnapshot(digest: wish.digest, piece: wish.index, to: message.sender))
        case .piece(let piece):
            proceed(catchUp.take(piece, from: message.sender, above: state.height, at: now), with: message.sender)
        }
    }

    /// Every second.
    mutating func tickCatchUp() {
        guard let state else { return }
        proceed(catchUp.tick(height: state.height, at: now), with: nil)
    }

    private mutating func proceed(_ step: CatchUp.Step, with sender: NodeID?) {
        guard let state else { return }
        switch step {
        case .nothing: break
        case .ask(let node, let digest, let index):
            let wish = SnapshotWish(genesis: state.genesis, digest: digest, index: index)
            effects.append(
                .publish(Publication(kind: .snapshot, payload: SnapshotMessage.wish(wish).encoded, to: node)))
        case .falsehood:
            count("snapshot-not-as-announced")
            if let sender { catchUp.distrust(sender, at: now) }
            askAnother()
        case .complete(let bytes):
            do throws(ChainFault) {
                let snapshot = try CertifiedSnapshot.decode(bytes)
                let proven = try snapshot.verify(genesis: state.genesis)
                learn(snapshot.founding)
                let name = founding.record?.genesis(of: snapshot.height).hash
                guard proven.state.genesis == name else {
                    let refusal = Refusal(.anotherGenesis, "\(proven.state.genesis.short), not \(name?.short ?? "")")
                    throw ChainFault(height: snapshot.height, refusal: refusal, refusal.detail)
                }
                adopt(proven, StoredSnapshot(height: snapshot.height, bytes: bytes))
            } catch {
                count(error.refusal?.reason.rawValue ?? "undecodable-snapshot")
                effects.append(.log(.warning, "a snapshot is refused: \(error)"))
                if let sender { catchUp.distrust(sender, at: now) }
                askAnother()
            }
        }
    }

    /// Takes a proven state in place of the blocks that lead to it.
    private mutating func adopt(_ proven: CertifiedSnapshot.Proven, _ snapshot: StoredSnapshot) {
        guard halted == nil, let state, proven.state.height > state.height else { return }
        effects.append(
            .log(
                .notice,
                "took the state after block \(snapshot.height), which is certified, in place of the blocks after "
                    + "\(state.height)"))
        effects.append(.adoptSnapshot(snapshot))
        links = proven.links
        schedule.took(snapshotOf: snapshot.bytes.count, at: snapshot.height)
        take(proven.state)
    }

    /// Makes a snapshot durable where it is time for one. The block is committed: its effect comes before this one's.
    mutating func keepSnapshot(_ last: CertifiedHeader, bytes: Int, _ after: SiteState) {
        schedule.took(blockOf: bytes)
        guard schedule.isDue(at: after.height, interval: configuration.snapshotInterval), let founding = founding.record
        else { return }
        let snapshot = StoredSnapshot(
            CertifiedSnapshot(founding: founding, links: links, last: last, state: after.snapshot))
        // Counted as made also if it is too large to be sent, so that it is not tried at every block.
        schedule.took(snapshotOf: snapshot.bytes.count, at: after.height)
        guard snapshot.bytes.count <= CertifiedSnapshot.sizeLimit else {
            count(Refusal.Reason.snapshotTooLarge.rawValue)
            return
        }
        effects.append(.persistSnapshot(snapshot))
    }
}
