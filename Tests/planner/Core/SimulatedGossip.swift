import Contracts
import Identity

@testable import PlannerCore

/// Gossip of a simulated site: it holds the keys and carries messages.
extension SimulatedSite {
    /// Gossip as key holder: it remembers all it signed, and a second value for one slot is a violation.
    mutating func sign(_ tag: SigningTag, _ request: SigningRequest, _ index: Int) {
        let bytes = request.bytes.bytes
        if let slot = slot(tag, bytes) {
            if let known = nodes[index].signedVotes[slot], known != bytes {
                violations.append("\(nodes[index].name) asked for two signatures of \(tag)")
            }
            nodes[index].signedVotes[slot] = bytes
        }
        let signature = nodes[index].key.sign(bytes)
        let event = Happening.event(.signed(tag, signature), node: index, life: nodes[index].life)
        queue.add(event, at: now + Int64(random.next(in: 1...5)))
    }

    private func slot(_ tag: SigningTag, _ bytes: [UInt8]) -> VoteSlot? {
        switch tag {
        case .genesis: VoteSlot(chain: .zero, purpose: .genesis, height: 0, round: 0, step: 0)
        case .header, .recoveries: nil
        case .proposal(let height, let round):
            VoteSlot(
                chain: (try? Proposal(encoded: bytes))?.genesis ?? .zero, purpose: .proposal, height: height,
                round: round, step: 0)
        case .vote(let height, let round, let step):
            VoteSlot(
                chain: (try? Vote(encoded: bytes))?.genesis ?? .zero, purpose: .vote, height: height, round: round,
                step: step.rawValue)
        }
    }

    mutating func draw(_ height: UInt64, _ request: DrawRequest, _ index: Int) {
        if faults.lostDraws > 0, random.next(in: 1...1_000) <= faults.lostDraws { return }
        let proof = nodes[index].key.vrf.prove(request.alpha.bytes)
        let event = Happening.event(.drawn(height: height, proof), node: index, life: nodes[index].life)
        queue.add(event, at: now + Int64(random.next(in: 1...faults.drawDelay)))
    }

    // MARK: Gossip

    mutating func publish(_ publication: Publication, _ index: Int) {
        let message = seal(publication.kind, publication.payload.bytes, index)
        for target in nodes.indices {
            if let to = publication.to, to != nodes[target].key.nodeID { continue }
            deliver(message, from: index, to: target)
        }
    }

    mutating func seal(_ kind: MessageKind, _ payload: [UInt8], _ index: Int) -> SignedMessage {
        nodes[index].sequence += 1
        let sequence = nodes[index].sequence
        var signature = Signature.zero
        // Only these stand in blocks, where planners check the envelope themselves.
        if kind == .report || kind == .transaction {
            signature = nodes[index].key.sign(
                SignedMessage.signedBytes(site: .site(named: "lab"), kind: kind, sequence: sequence, payload: payload))
        }
        return SignedMessage(
            kind: kind, sender: nodes[index].key.nodeID, sequence: sequence, payload: payload, signature: signature)
    }

    private mutating func deliver(_ message: SignedMessage, from: Int, to: Int) {
        let isLocal = from == to
        if !isLocal, cut.contains(from) || cut.contains(to) { return }
        if !isLocal, faults.loss > 0, random.next(in: 1...1_000) <= faults.loss { return }
        let copies = !isLocal && faults.duplication > 0 && random.next(in: 1...1_000) <= faults.duplication ? 2 : 1
        for _ in 0..<copies {
            let delay = Int64(random.next(in: 1...(isLocal ? 3 : faults.delay)))
            queue.add(.event(.message(message), node: to, life: nodes[to].life), at: now + delay)
        }
    }
}
