import Contracts

// Standing for election and leading.
extension RaftElection {
    mutating func electionTimerFired(now: Int64) {
        if case .leader = role { return }
        if let again = patience.lasts(now: now, heartbeat: heartbeat) { return effects.append(again) }
        guard isMember else { return follow(nil, now: now) }
        askForPreVotes(now: now)
    }

    private mutating func askForPreVotes(now: Int64) {
        switch role {
        case .follower, .leader: break
        case .preCandidate, .candidate: if wasAnswered { failures += 1 }
        }
        wasAnswered = false
        leader = nil
        role = .preCandidate(grants: [own])
        armElectionTimer(now: now)
        guard let head, record.term < head.termCeiling else {
            effects.append(.log(.warning, "the terms are used up; no election before the members change"))
            return
        }
        send(.preVoteRequest(term: record.term + 1, height: head.height))
        if isQuorum([own]) { stand(now: now) }
    }

    /// Its own vote comes back through gossip, signed, and counts from then on.
    private mutating func stand(now: Int64) {
        guard let head else { return }
        enter(record.term + 1, vote: own)
        effects.append(.count(.stood))
        role = .candidate(votes: [:], height: head.height)
        armElectionTimer(now: now)
        send(.vote(term: record.term, candidate: own, height: head.height))
    }

    private mutating func lead(by certificate: [UInt8], now: Int64) {
        role = .leader(heard: [], beats: 0)
        winner = own
        leader = own
        self.certificate = certificate
        leaderHeard = now
        failures = 0
        effects.append(.cancelTimer(Patience.timer))
        effects.append(.log(.notice, "leading in term \(record.term)"))
        beat(.proof(certificate))
    }

    private mutating func beat(_ message: RaftMessage) {
        send(message)
        effects.append(.setTimer(Self.heartbeatTimer, afterMilliseconds: heartbeat))
    }

    /// A leader that no quorum has acknowledged for a timeout steps down. The timeout is counted in heartbeats and
    /// not in milliseconds, so that a starved machine doesn't depose itself for the time it didn't run.
    mutating func heartbeatTimerFired(now: Int64) {
        guard case .leader(let heard, let beats) = role else { return }
        if (beats + 1) * heartbeat < timeout {
            role = .leader(heard: heard, beats: beats + 1)
        } else if isQuorum(heard.union([own])) {
            role = .leader(heard: [], beats: 0)
        } else {
            effects.append(.log(.notice, "only \(heard.count) others acknowledge term \(record.term); stepping down"))
            return follow(nil, now: now)
        }
        beat(.heartbeat(term: record.term))
    }

    // MARK: - Answers

    mutating func preVoteReply(from voter: NodeID, term: UInt64, granted: Bool, current: UInt64, now: Int64) {
        if current > record.term, !granted { return advance(towards: current, now: now) }
        guard case .preCandidate(var grants) = role, term == record.term + 1 else { return }
        wasAnswered = true
        guard granted else { return }
        grants.insert(voter)
        role = .preCandidate(grants: grants)
        if isQuorum(grants) { stand(now: now) }
    }

    /// A vote for this node, its own included.
    mutating func count(_ voice: QuorumCertificate.Voice, term: UInt64, height: UInt64, now: Int64) {
        guard case .candidate(var votes, height) = role, term == record.term else { return }
        wasAnswered = wasAnswered || voice.member != own
        votes[voice.member] = voice
        role = .candidate(votes: votes, height: height)
        guard isQuorum(Set(votes.keys)) else { return }
        let statement = RaftMessage.vote(term: term, candidate: own, height: height).encoded
        lead(by: QuorumCertificate(statement: statement, voices: votes).encoded, now: now)
    }

    mutating func refusal(term: UInt64, now: Int64) {
        if term > record.term { return advance(towards: term, now: now) }
        if case .candidate = role, term == record.term { wasAnswered = true }
    }

    mutating func heartbeatReply(from follower: NodeID, term: UInt64, proven: Bool, now: Int64) {
        if term > record.term { return advance(towards: term, now: now) }
        guard case .leader(var heard, let beats) = role else { return }
        if !proven {
            guard let certificate, answered.admits(follower, now: now, heartbeat: heartbeat) else { return }
            send(.proof(certificate), to: follower)
        } else if term == record.term {
            heard.insert(follower)
            role = .leader(heard: heard, beats: beats)
        }
    }

    private func isQuorum(_ nodes: Set<NodeID>) -> Bool {
        guard let head else { return false }
        return nodes.count(where: head.has) >= head.quorum
    }
}
