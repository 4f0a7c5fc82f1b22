import Contracts

// What a node grants the others.
extension RaftElection {
    mutating func take(_ bytes: [UInt8], from sender: NodeID, now: Int64) {
        let message: RaftMessage
        do {
            message = try RaftMessage(encoded: bytes)
        } catch {
            refuse("malformed")
            effects.append(.log(.debug, "a message of \(sender.short): \(error)"))
            return
        }
        let highest = message.highestTerm
        guard highest <= Self.termLimit, highest <= record.term + Self.termLeapLimit else {
            return refuse("term-too-high")
        }
        effects.append(.count(.received(type: message.type)))
        switch message {
        case .preVoteRequest(let term, let height):
            preVoteRequest(from: sender, term: term, height: height, now: now)
        case .voteRequest(let term, let height): voteRequest(from: sender, term: term, height: height, now: now)
        case .heartbeat(let term): heartbeat(from: sender, term: term, now: now)
        case .preVoteReply(let term, let granted, let current):
            preVoteReply(from: sender, term: term, granted: granted, current: current, now: now)
        case .voteReply(let term, let granted): voteReply(from: sender, term: term, granted: granted, now: now)
        case .heartbeatReply(let term): heartbeatReply(from: sender, term: term, now: now)
        }
    }

    /// Grants what it would grant to a vote request, and changes nothing.
    private mutating func preVoteRequest(from candidate: NodeID, term: UInt64, height: UInt64, now: Int64) {
        guard isMember else { return refuse("not-voting") }
        let granted = term > record.term && !hasLiveLeader(now: now) && isAbreast(height)
        send(.preVoteReply(term: term, granted: granted, current: record.term), to: candidate)
    }

    private mutating func voteRequest(from candidate: NodeID, term: UInt64, height: UInt64, now: Int64) {
        guard isMember else { return refuse("not-voting") }
        if term > record.term {
            // Without an answer and without taking over the term: whoever comes back from nowhere doesn't
            // disturb a leader that works.
            guard !hasLiveLeader(now: now) else { return refuse("leader-alive") }
            advance(to: term, now: now)
        }
        let free = record.vote == nil || record.vote == candidate
        let granted = term == record.term && winner == nil && free && isAbreast(height)
        if granted {
            if record.vote == nil {
                record.vote = candidate
                effects.append(.persist(record.encoded))
            }
            armElectionTimer(now: now)
        }
        send(.voteReply(term: record.term, granted: granted), to: candidate)
    }

    private mutating func heartbeat(from sender: NodeID, term: UInt64, now: Int64) {
        if term < record.term {
            // A leader of the past has to learn that it is one.
            if isMember { reply(to: sender, unlessSince: \.corrected, now: now) }
            return
        }
        if term > record.term { advance(to: term, now: now) }
        if let winner, winner != sender {
            effects.append(
                .log(.warning, "\(sender.short) claims to lead in term \(term), which \(winner.short) won"))
            return refuse("second-leader")
        }
        guard !isDisowned else { return refuse("disowned") }
        follow(sender, now: now)
        if isMember { reply(to: sender, unlessSince: \.acknowledged, now: now) }
    }

    /// At most twice in a heartbeat: after a restart gossip hands out old heartbeats by the hundred.
    private mutating func reply(to node: NodeID, unlessSince last: WritableKeyPath<Self, Int64?>, now: Int64) {
        if let last = self[keyPath: last], now - last < heartbeat / 2 { return }
        self[keyPath: last] = now
        send(.heartbeatReply(term: record.term), to: node)
    }

    private func hasLiveLeader(now: Int64) -> Bool {
        if case .leader = role { return true }
        return leader != nil && now - leaderHeard < timeout
    }

    private func isAbreast(_ height: UInt64) -> Bool {
        guard let own = head?.height else { return false }
        return own <= height || own - height <= Self.heightSlack
    }
}
