import Contracts

// Standing for election and leading.
extension RaftElection {
    mutating func electionTimerFired(now: Int64) {
        if case .leader = role { return }
        if now < deadline {
            // Replaced since it was set, or early.
            effects.append(.setTimer(Self.electionTimer, afterMilliseconds: deadline - now))
            return
        }
        if now - deadline > heartbeat, !excused {
            // This machine was asleep or starved, so the leader's heartbeats may be waiting behind this very event.
            armElectionTimer(after: heartbeat * 2, now: now)
            excused = true
            return
        }
        guard isMember else { return follow(nil, now: now) }
        askForPreVotes(now: now)
    }

    private mutating func askForPreVotes(now: Int64) {
        switch role {
        case .follower, .leader: break
        case .preCandidate, .candidate: if answered { failures += 1 }
        }
        answered = false
        leader = nil
        role = .preCandidate(grants: [own])
        armElectionTimer(now: now)
        guard record.term < Self.termLimit else {
            effects.append(.log(.warning, "the terms are used up; no election is possible"))
            return
        }
        send(.preVoteRequest(term: record.term + 1, height: head?.height ?? 0))
        if isQuorum([own]) { stand(now: now) }
    }

    private mutating func stand(now: Int64) {
        record.term += 1
        record.vote = own
        winner = nil
        blamed = []
        effects.append(.persist(record.encoded))
        effects.append(.count(.stood))
        role = .candidate(votes: [own])
        armElectionTimer(now: now)
        send(.voteRequest(term: record.term, height: head?.height ?? 0))
        if isQuorum([own]) { lead(now: now) }
    }

    private mutating func lead(now: Int64) {
        role = .leader(heard: [], beats: 0)
        winner = own
        leader = own
        leaderHeard = now
        failures = 0
        effects.append(.cancelTimer(Self.electionTimer))
        effects.append(.log(.notice, "leading in term \(record.term)"))
        beat()
    }

    private mutating func beat() {
        send(.heartbeat(term: record.term))
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
        beat()
    }

    // MARK: - Answers

    mutating func preVoteReply(from voter: NodeID, term: UInt64, granted: Bool, current: UInt64, now: Int64) {
        if current > record.term, !granted { return advance(to: current, now: now) }
        guard case .preCandidate(var grants) = role, term == record.term + 1 else { return }
        answered = true
        guard granted else { return }
        grants.insert(voter)
        role = .preCandidate(grants: grants)
        if isQuorum(grants) { stand(now: now) }
    }

    mutating func voteReply(from voter: NodeID, term: UInt64, granted: Bool, now: Int64) {
        if term > record.term { return advance(to: term, now: now) }
        guard case .candidate(var votes) = role, term == record.term else { return }
        answered = true
        guard granted else { return }
        votes.insert(voter)
        role = .candidate(votes: votes)
        if isQuorum(votes) { lead(now: now) }
    }

    mutating func heartbeatReply(from follower: NodeID, term: UInt64, now: Int64) {
        if term > record.term { return advance(to: term, now: now) }
        guard case .leader(var heard, let beats) = role, term == record.term else { return }
        heard.insert(follower)
        role = .leader(heard: heard, beats: beats)
    }

    private func isQuorum(_ nodes: Set<NodeID>) -> Bool {
        guard let head else { return false }
        return nodes.count(where: head.has) >= head.quorum
    }
}
