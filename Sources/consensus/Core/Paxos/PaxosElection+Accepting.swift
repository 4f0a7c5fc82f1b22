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
            guard term <= head.termCeiling, term <= record.term + SiteHead.termLeap else {
                return refuse("term-too-high")
            }
            let known = term == record.term ? max(record.promised?.number ?? 0, outbid) : 0
            guard message.ballot ?? 0 <= known + Ballot.leap else { return refuse("ballot-too-high") }
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
        guard isAbreast(height), term >= record.term else { return turnDown(proposer) }
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
        guard term >= record.term else { return turnDown(proposer) }
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
            let claim = Leadership(engine: Self.name, term: term, leader: node, certificate: certificate)
            if let flaw = Self.flaw(of: claim, at: head, checks) {
                effects.append(.log(.warning, "\(node.short) does not lead in term \(term): \(flaw)"))
                return refuse("wrong-proof")
            }
            if term > record.term { enter(term, now: now) }
            role = .follower
            decide(node, by: certificate)
            answeredAt[sender] = nil
            if node == own { return ascend(now: now) }
            leader = node
            armElectionTimer(now: now)
        } else if winner != node {
            effects.append(.log(.warning, "term \(term) decided both \(winner?.short ?? "") and \(node.short)"))
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

    /// At most twice in a heartbeat: after a restart gossip hands out old renewals by the hundred.
    private mutating func reply(to node: NodeID, _ number: UInt64, proven: Bool, now: Int64) {
        guard isMember else { return }
        if let last = answeredAt[node], now - last < heartbeat / 2 { return }
        answeredAt[node] = now
        send(.renewalReply(term: record.term, number: number, proven: proven), to: node)
    }

    private func isAbreast(_ height: UInt64) -> Bool {
        guard let own = head?.height else { return false }
        return own <= height || own - height <= Self.heightSlack
    }
}
