import Contracts

// What a node grants the others.
extension RaftElection {
    mutating func take(_ signed: ElectionMessage, now: Int64) {
        guard let head else { return }
        let sender = signed.sender
        let message: RaftMessage
        do {
            message = try RaftMessage(encoded: signed.body)
        } catch {
            refuse("malformed")
            effects.append(.log(.debug, "a message of \(sender.short): \(error)"))
            return
        }
        guard sender != own else {
            if case .vote(let term, own, let height) = message {
                count(signed.voice, term: term, height: height, now: now)
            }
            return
        }
        effects.append(.count(.received(type: message.type)))
        switch message {
        case .proof(let certificate): return proof(certificate, from: sender, at: head, now: now)
        case .heartbeat(let term): return heartbeat(from: sender, term: term, now: now)
        case .preVoteRequest(let term, _), .preVoteReply(_, _, let term), .vote(let term, _, _), .refusal(let term),
            .heartbeatReply(let term, _):
            // Of members that this node doesn't know yet: its planner has to catch up.
            guard term <= head.termCeiling else { return refuse("term-too-high") }
        }
        switch message {
        case .preVoteRequest(let term, let height):
            preVoteRequest(from: sender, term: term, height: height, now: now)
        case .vote(let term, let candidate, let height):
            if candidate == own {
                count(signed.voice, term: term, height: height, now: now)
            } else if candidate == sender {
                voteRequest(from: sender, term: term, height: height, now: now)
            }
        case .preVoteReply(let term, let granted, let current):
            preVoteReply(from: sender, term: term, granted: granted, current: current, now: now)
        case .refusal(let term): refusal(term: term, now: now)
        case .heartbeatReply(let term, let proven): heartbeatReply(from: sender, term: term, proven: proven, now: now)
        case .heartbeat, .proof: break
        }
    }

    /// Grants what it would grant to a vote request, and changes nothing that must last.
    private mutating func preVoteRequest(from candidate: NodeID, term: UInt64, height: UInt64, now: Int64) {
        guard isMember else { return refuse("not-voting") }
        var granted = term > record.term && !hasLiveLeader(but: candidate, now: now) && mayLead(candidate, height, now)
        if granted, case .preCandidate = role {
            // Two that ask at once would split the votes; the higher key goes first.
            if candidate > own { follow(nil, now: now) } else { granted = false }
        }
        send(.preVoteReply(term: term, granted: granted, current: record.term), to: candidate)
    }

    private mutating func voteRequest(from candidate: NodeID, term: UInt64, height: UInt64, now: Int64) {
        guard isMember else { return refuse("not-voting") }
        if term > record.term {
            // Without an answer and without taking over the term: whoever comes back from nowhere doesn't
            // disturb a leader that works.
            guard !hasLiveLeader(but: candidate, now: now) else { return refuse("leader-alive") }
            advance(towards: term, now: now)
        }
        let free = record.vote == nil || record.vote == candidate
        guard term == record.term, winner == nil, free, mayLead(candidate, height, now) else {
            return send(.refusal(term: record.term), to: candidate)
        }
        if record.vote == nil {
            record.vote = candidate
            effects.append(.persist(record.encoded))
        }
        armElectionTimer(now: now)
        send(.vote(term: term, candidate: candidate, height: height), to: candidate)
    }

    /// A sign of life of a leader whose votes were checked, or of one that has to show them.
    private mutating func heartbeat(from sender: NodeID, term: UInt64, now: Int64) {
        // A leader of the past has to learn that it is one.
        if term < record.term { return reply(to: sender, proven: true, now: now) }
        guard term == record.term, winner == sender else { return reply(to: sender, proven: false, now: now) }
        guard !failed.areEnough else { return refuse("disowned") }
        follow(sender, now: now)
        reply(to: sender, proven: true, now: now)
    }

    private mutating func proof(_ certificate: [UInt8], from sender: NodeID, at head: SiteHead, now: Int64) {
        guard let votes = try? QuorumCertificate(encoded: certificate),
            case .vote(let term, sender, _)? = try? RaftMessage(encoded: votes.statement)
        else { return refuse("wrong-proof") }
        guard term >= record.term else { return reply(to: sender, proven: true, now: now) }
        guard term <= head.termCeiling else { return refuse("term-too-high") }
        if term == record.term, let winner, winner != sender {
            return refuse("second-leader")
        }
        if term > record.term || winner != sender {
            let claim = Leadership(engine: Self.name, term: term, leader: sender, certificate: certificate)
            guard !distrust.holds(sender, now: now) else { return refuse("wrong-proof") }
            if let flaw = Self.flaw(of: claim, at: head, checks) {
                distrust.fall(on: sender, until: now + timeout)
                effects.append(.log(.warning, "\(sender.short) does not lead in term \(term): \(flaw)"))
                return refuse("wrong-proof")
            }
            if term > record.term { advance(to: term, now: now) }
            winner = sender
            self.certificate = certificate
            answered.forget(sender)
        }
        heartbeat(from: sender, term: term, now: now)
    }

    private mutating func reply(to node: NodeID, proven: Bool, now: Int64) {
        guard isMember, answered.admits(node, now: now, heartbeat: heartbeat) else { return }
        send(.heartbeatReply(term: record.term, proven: proven), to: node)
    }

    private func mayLead(_ candidate: NodeID, _ height: UInt64, _ now: Int64) -> Bool {
        head?.isAbreast(height) == true && !disgrace.holds(candidate, now: now)
    }

    private func hasLiveLeader(but candidate: NodeID, now: Int64) -> Bool {
        guard let leader, leader != candidate else { return false }
        return leader == own || now - leaderHeard < timeout
    }
}
