import Contracts

// The acceptor and learner of Paxos.
extension PaxosElection {
    mutating func take(_ signed: ElectionMessage, now: Int64) {
        guard let head else { return }
        let sender = signed.sender
        let message: PaxosMessage
        do {
            message = try PaxosMessage(encoded: signed.body)
        } catch {
            refuse("malformed")
            effects.append(.log(.debug, "a message of \(sender.short): \(error)"))
            return
        }
        guard sender != own else {
            if case .accept(let term, let acceptance) = message, acceptance.ballot.proposer == own {
                accepted(signed.voice, term: term, acceptance, now: now)
            }
            return
        }
        effects.append(.count(.received(type: message.type)))
        switch message {
        case .proof(let certificate, let number): return proof(certificate, number, from: sender, at: head, now: now)
        case .renewal(let term, let number): return renewal(from: sender, term: term, number: number, now: now)
        case .prepare(let term, _, _), .promise(let term, _, _), .accept(let term, _), .refusal(let term, _),
            .renewalReply(let term, _, _):
            // Of members that this node doesn't know yet: its planner has to catch up.
            guard term <= head.termCeiling else { return refuse("term-too-high") }
        }
        switch message {
        case .prepare(let term, let ballot, let height):
            guard ballot.proposer == sender else { return refuse("wrong-ballot") }
            prepare(term, ballot, height: height, now: now)
        case .promise(let term, let ballot, let accepted):
            promise(from: sender, term: term, ballot: ballot, accepted, now: now)
        case .accept(let term, let acceptance):
            if acceptance.ballot.proposer == own {
                accepted(signed.voice, term: term, acceptance, now: now)
            } else if acceptance.ballot.proposer == sender {
                accept(term, acceptance, now: now)
            }
        case .refusal(let term, let promised): refusal(from: sender, term: term, promised: promised, now: now)
        case .renewalReply(let term, let number, let proven):
            renewalReply(from: sender, term: term, number: number, proven: proven, now: now)
        case .renewal, .proof: break
        }
    }

    /// Phase 1b.
    private mutating func prepare(_ term: UInt64, _ ballot: Ballot, height: UInt64, now: Int64) {
        let proposer = ballot.proposer
        guard isMember else { return refuse("not-voting") }
        guard !isBound(now: now, but: proposer) else { return refuse("leader-alive") }
        guard head?.isAbreast(height) == true, term >= record.term, !disgrace.holds(proposer, now: now) else {
            return turnDown(proposer)
        }
        guard isNear(term, now: now) else { return turnDown(proposer) }
        if isEngaged(now: now), isEngaged(in: term, but: proposer) { return turnDown(proposer) }
        if term > record.term { enter(term, now: now) }
        if let certificate { return send(.proof(certificate, number: 0), to: proposer) }
        if let promised = record.promised, promised > ballot { return turnDown(proposer) }
        if record.promised != ballot {
            engagedAt = now
            record.promised = ballot
            effects.append(.persist(record.encoded))
        }
        // Gives the proposer the time to finish.
        role = .follower
        armElectionTimer(now: now)
        send(.promise(term: term, ballot: ballot, accepted: record.accepted), to: proposer)
    }

    /// Phase 2b. Who accepts grants the leader-to-be its first lease.
    private mutating func accept(_ term: UInt64, _ acceptance: Acceptance, now: Int64) {
        let proposer = acceptance.ballot.proposer
        guard isMember, head?.has(acceptance.leader) == true else { return refuse("not-voting") }
        guard !isBound(now: now, but: proposer) else { return refuse("leader-alive") }
        guard term >= record.term, isNear(term, now: now) else { return turnDown(proposer) }
        if term > record.term { enter(term, now: now) }
        if let promised = record.promised, promised > acceptance.ballot { return turnDown(proposer) }
        if record.accepted != acceptance {
            record.promised = acceptance.ballot
            record.accepted = acceptance
            effects.append(.persist(record.encoded))
        }
        role = .follower
        grantLease(to: acceptance.leader, now: now)
        armElectionTimer(now: now)
        send(.accept(term: term, acceptance), to: proposer)
    }

    /// Whether a proposer, perhaps this node itself, is still given the time to finish.
    private func isEngaged(now: Int64) -> Bool { engagedAt.map { now - $0 < heartbeat } ?? false }

    private func isEngaged(in term: UInt64, but proposer: NodeID) -> Bool {
        if case .preparing(let mine, _, _, _) = role { return mine >= term }
        return term == record.term && record.promised != nil && record.promised?.proposer != proposer
    }

    /// Whether a term is not so far ahead that this node would take it up for the asking. It goes towards it.
    private mutating func isNear(_ term: UInt64, now: Int64) -> Bool {
        guard let head, term > record.term else { return true }
        let reached = head.term(towards: term, from: record.term)
        if reached < term { enter(reached, now: now) }
        return reached == term
    }

    private mutating func turnDown(_ proposer: NodeID) {
        send(.refusal(term: record.term, promised: record.promised), to: proposer)
    }

    /// What was decided, from its leader or from whoever knows it.
    private mutating func proof(
        _ certificate: [UInt8], _ number: UInt64, from sender: NodeID, at head: SiteHead, now: Int64
    ) {
        guard let votes = try? QuorumCertificate(encoded: certificate),
            case .accept(let term, let acceptance)? = try? PaxosMessage(encoded: votes.statement)
        else { return refuse("wrong-proof") }
        guard term >= record.term else { return }
        // Signatures of members that this node doesn't know yet: its planner has to catch up.
        guard term <= head.termCeiling else { return refuse("term-too-high") }
        let node = acceptance.leader
        if term > record.term || winner == nil {
            guard !distrust.holds(sender, now: now) else { return refuse("wrong-proof") }
            let claim = Leadership(engine: Self.name, term: term, leader: node, certificate: certificate)
            if let flaw = Self.flaw(of: claim, at: head, checks) {
                distrust.fall(on: sender, until: now + timeout)
                effects.append(.log(.warning, "\(node.short) does not lead in term \(term): \(flaw)"))
                return refuse("wrong-proof")
            }
            if term > record.term { enter(term, now: now) }
            role = .follower
            decide(node, by: certificate)
            answered.forget(sender)
            if node == own { return ascend(now: now) }
            leader = node
            armElectionTimer(now: now)
        } else if winner != node {
            return refuse("second-leader")
        }
        if sender == node { renewal(from: node, term: term, number: number, now: now) }
    }

    /// A sign of life of a leader that was shown to be one, or of one that has to show it.
    private mutating func renewal(from sender: NodeID, term: UInt64, number: UInt64, now: Int64) {
        // A leader of the past has to learn that it is one.
        if term < record.term { return reply(to: sender, number, proven: true, now: now) }
        guard term == record.term, winner == sender else { return reply(to: sender, number, proven: false, now: now) }
        guard !failed.areEnough else { return refuse("disowned") }
        role = .follower
        leader = sender
        armElectionTimer(now: now)
        // What it promised to another it keeps, and follows this one without a word.
        guard !isBound(now: now, but: sender) else { return }
        if isMember { grantLease(to: sender, now: now) }
        reply(to: sender, number, proven: true, now: now)
    }

    private mutating func reply(to node: NodeID, _ number: UInt64, proven: Bool, now: Int64) {
        guard isMember, answered.admits(node, now: now, heartbeat: heartbeat) else { return }
        send(.renewalReply(term: record.term, number: number, proven: proven), to: node)
    }
}
