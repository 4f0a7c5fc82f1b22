import ConsensusCore
public import Contracts

// What goes wrong.
extension SimulatedElection {
    mutating func makeFaults() {
        if chance(faults.partition) {
            let count = generator.next(in: 1...2)
            group = group.map { _ in generator.next(in: 0...count) }
            isOneWay = chance(faults.oneWay * 10)
        } else if chance(faults.partition * 2) {
            group = group.map { _ in 0 }
            isOneWay = false
        }
        if chance(faults.outage) { storeUpAt = now + Int64(generator.next(in: 500...6_000)) }
        if chance(faults.forgery) { lie(chance(500) ? { $0.forgedClaim(of: $1) } : { $0.plausibleLie(of: $1) }) }
        judge.look(asleep: asleep)
        for index in nodes.indices {
            if chance(faults.crash) { crash(index) }
            if chance(faults.pause) { nodes[index].pausedUntil = now + Int64(generator.next(in: 100...4_000)) }
            if chance(faults.blame), let machine = nodes[index].machine, let leader = machine.leadership.leader {
                blame(leader, term: machine.leadership.term, by: index)
            }
        }
    }

    /// The planner of one node says that this leader failed at the running height and the one before.
    public mutating func blame(_ leader: NodeID, term: UInt64, by index: Int) {
        let height = UInt64(nodes[index].height)
        for failed in [height, height + 1] {
            step(index, .blame(Blame(leader: leader, term: term, height: failed)))
        }
    }

    /// The planners of all nodes say so, as they do of a leader that does nothing but say that it leads; its own perhaps not.
    public mutating func blameEverywhere(_ leadership: Leadership, butItself: Bool = false) {
        guard let leader = leadership.leader else { return }
        for index in nodes.indices where !butItself || nodes[index].id != leader {
            blame(leader, term: leadership.term, by: index)
        }
    }

    /// The process ends, and starts again a while later.
    public mutating func crash(_ index: Int) {
        guard nodes[index].machine != nil else { return }
        note { "\($0.name(index)) crashes" }
        end(index)
        queue.add(.restart(node: index), at: now + Int64(generator.next(in: 1...3_000)))
    }

    /// The node ends for good.
    public mutating func kill(_ node: NodeID) {
        guard let index = nodes.firstIndex(where: { $0.id == node }) else { return }
        note { "\($0.name(index)) dies" }
        nodes[index].isDead = true
        end(index)
    }

    private mutating func end(_ index: Int) {
        nodes[index].machine = nil
        nodes[index].timers = [:]
        nodes[index].reignsSince = nil
        nodes[index].forgetful = nil
        lives[index] += 1
        judge.crashed(nodes[index].id)
        if mutant == .voteNotPersisted { nodes[index].disk = nil }
    }

    /// From now on messages whose body begins with this byte are slow.
    public mutating func hold(messagesOfType type: UInt8, for milliseconds: Int64) { held = (type, milliseconds) }

    /// Nothing changes any more by itself.
    public mutating func calm() {
        faults.membership = 0
        faults.blame = 0
    }

    public mutating func separate(_ groups: [Int]) { group = groups }

    /// No more faults: everybody up, connected, and no message lost. Who gets no processor time gets some when it is due.
    public mutating func heal() {
        let skew = faults.skew
        faults = Faults()
        faults.skew = skew
        group = group.map { _ in 0 }
        isOneWay = false
        storeUpAt = 0
        for index in nodes.indices {
            if nodes[index].machine == nil, !nodes[index].isDead { boot(index) }
        }
    }

    /// A member says what isn't so. Its signature of the message is good.
    private mutating func lie(_ body: (inout SimulatedElection, Int) -> [UInt8]?) {
        let liar = generator.next(in: 0...nodes.count - 1)
        guard let body = body(&self, liar) else { return }
        nodes[liar].sequence += 1
        let payload = ElectionEnvelope(genesis: SimulatedChain.genesis, engine: engine.name, body: body).encoded
        let message = SignedMessage(
            kind: .election, sender: nodes[liar].id, sequence: nodes[liar].sequence, payload: payload, signature: .zero)
        note { "\($0.name(liar)) lies to all: \($0.text(payload))" }
        send(message, from: liar, to: nil)
    }

    /// What it could have said: of terms and ballots that are not, or of somebody who is no member.
    private mutating func plausibleLie(of liar: Int) -> [UInt8]? {
        let term = (nodes.compactMap { $0.machine?.leadership.term }.max() ?? 0) + UInt64(generator.next(in: 0...3_000))
        let number = [1, 2, 500, 1 << 32, (1 << 63) - 1][generator.next(in: 0...4)] as UInt64
        let somebody = nodes[generator.next(in: 0...nodes.count - 1)].id
        var body = ByteWriter()
        switch (engine.name, generator.next(in: 0...2)) {
        case ("raft", 0), ("raft", 1):
            body.integer(UInt8(4))
            body.integer(term)
        case ("raft", _):
            body.integer(UInt8(6))
            body.integer(term)
            body.bool(false)
        case ("paxos", 0):
            // A promise of whatever ballot somebody has just prepared, with an acceptance that never was.
            body.integer(UInt8(2))
            body.integer(nodes.compactMap { $0.machine?.leadership.term }.max() ?? 0)
            body.integer(UInt64(1))
            body.value(somebody)
            body.bool(true)
            body.integer(UInt64(0))
            body.value(somebody)
            body.value(NodeID(unchecked: [UInt8](repeating: 0xEE, count: 32)))
        case ("paxos", _):
            body.integer(UInt8(4))
            body.integer(term)
            body.bool(true)
            body.integer(number)
            body.value(somebody)
        default: return nil
        }
        return body.bytes
    }

    /// That it won a term, with votes or a draw that it made up.
    private mutating func forgedClaim(of liar: Int) -> [UInt8]? {
        let head = chain.newest
        let term = (nodes.compactMap { $0.machine?.leadership.term }.max() ?? 0) + UInt64(generator.next(in: 0...2))
        let me = nodes[liar].id
        var statement = ByteWriter()
        var body = ByteWriter()
        switch engine.name {
        case "raft":
            statement.integer(UInt8(3))
            statement.integer(term)
            statement.value(me)
            statement.integer(head.height)
            body.integer(UInt8(7))
            body.byteString(forgedCertificate(statement.bytes, head))
        case "paxos":
            statement.integer(UInt8(3))
            statement.integer(term)
            statement.integer(UInt64(generator.next(in: 1...9)))
            statement.value(me)
            statement.value(me)
            body.integer(UInt8(7))
            body.byteString(forgedCertificate(statement.bytes, head))
            body.integer(UInt64(1))
        case "poet":
            body.integer(UInt8(1))
            body.integer(head.height + 1)
            let noise = (0..<VRFProof.count).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
            body.value(VRFProof(unchecked: noise))
        default: return nil
        }
        return body.bytes
    }

    /// Members' names under signatures that are noise, or of another statement.
    private mutating func forgedCertificate(_ statement: [UInt8], _ head: SiteHead) -> [UInt8] {
        var voices: [NodeID: QuorumCertificate.Voice] = [:]
        for voter in head.members {
            let noise = (0..<Signature.count).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
            voices[voter.id] = QuorumCertificate.Voice(
                member: voter.id, sequence: 1, signature: Signature(unchecked: noise))
        }
        return QuorumCertificate(statement: statement, voices: voices).encoded
    }
}
