import Contracts

// The proposer of Paxos.
extension PaxosElection {
    mutating func electionTimerFired(now: Int64) {
        if reign != nil { return }
        if let again = patience.lasts(now: now, heartbeat: heartbeat) { return effects.append(again) }
        propose(now: now)
    }

    /// Phase 1a, for the running term if it is undecided as far as this node knows, else for the next.
    mutating func propose(now: Int64) {
        if role != .follower { failures += 1 }
        forgetLeader()
        armElectionTimer(now: now)
        guard let head, isMember, !isBound(now: now, but: own) else { return }
        let highest = max(outbid, record.promised?.number ?? 0)
        let isOver = winner != nil || record.term == head.termFloor || highest >= Ballot.limit
        let term = isOver ? record.term + 1 : record.term
        guard term <= head.termCeiling else {
            effects.append(.log(.warning, "the terms are used up; no election before the members change"))
            return
        }
        let ballot = Ballot(number: isOver ? 1 : highest + 1, proposer: own)
        role = .preparing(term: term, ballot, promises: [:], refusals: [])
        engagedAt = now
        effects.append(.count(.stood))
        send(.prepare(term: term, ballot: ballot, height: head.height))
        if head.quorum == 1 { promised(at: head, now: now) }
    }

    mutating func promise(from acceptor: NodeID, term: UInt64, ballot: Ballot, _ accepted: Acceptance?, now: Int64) {
        guard let head, case .preparing(term, ballot, var promises, let refusals) = role else { return }
        // A word about somebody who is no member, or about a ballot that is yet to come, is no promise: to complete it
        // would be to hand it on for ever.
        if let accepted, accepted.ballot >= ballot || !head.has(accepted.leader) { return refuse("wrong-promise") }
        promises[acceptor] = .some(accepted)
        role = .preparing(term: term, ballot, promises: promises, refusals: refusals)
        if promises.count + 1 >= head.quorum { promised(at: head, now: now) }
    }

    /// With the own promise that makes a quorum, phase 2a: the value is what the highest ballot among them accepted, and
    /// only if there is none this node.
    private mutating func promised(at head: SiteHead, now: Int64) {
        guard case .preparing(let term, let ballot, let promises, _) = role, term >= record.term,
            term > record.term || (record.promised.map { $0 < ballot } ?? true), !isBound(now: now, but: own)
        else {
            role = .follower
            return
        }
        var accepted = promises.values.compactMap { $0 }
        if term == record.term, let own = record.accepted { accepted.append(own) }
        let leader = accepted.max { $0.ballot < $1.ballot }?.leader ?? own
        let acceptance = Acceptance(ballot: ballot, leader: leader)
        if term > record.term { enter(term, now: now) }
        record.promised = ballot
        record.accepted = acceptance
        effects.append(.persist(record.encoded))
        grantLease(to: leader, now: now)
        role = .accepting(term: term, acceptance, voices: [:], since: now)
        send(.accept(term: term, acceptance))
    }

    /// Phase 2b of this node's ballot, its own included: that came back through gossip.
    mutating func accepted(_ voice: QuorumCertificate.Voice, term: UInt64, _ acceptance: Acceptance, now: Int64) {
        guard let head, case .accepting(term, acceptance, var voices, let since) = role else { return }
        voices[voice.member] = voice
        role = .accepting(term: term, acceptance, voices: voices, since: since)
        guard voices.keys.count(where: head.has) >= head.quorum else { return }
        let statement = PaxosMessage.accept(term: term, acceptance).encoded
        let certificate = QuorumCertificate(statement: statement, voices: voices).encoded
        role = .follower
        decide(acceptance.leader, by: certificate)
        if acceptance.leader == own {
            lead(from: since, now: now)
        } else {
            leader = acceptance.leader
            armElectionTimer(now: now)
            send(.proof(certificate, number: 0))
        }
    }

    mutating func decide(_ node: NodeID, by certificate: [UInt8]) {
        winner = node
        self.certificate = certificate
        failures = 0
        outbid = 0
    }

    /// Some acceptor is in a higher ballot or term, or with another proposer.
    mutating func refusal(from acceptor: NodeID, term: UInt64, promised: Ballot?, now: Int64) {
        if term > record.term, let head {
            let reigned = reign != nil
            enter(head.term(towards: term, from: record.term), now: now)
            if record.term == term { outbid = promised?.number ?? 0 }
            // Whoever has gone ahead, in vain or not, can't come back: the leader takes its site along to that term. Its
            // lease still keeps all others from proposing themselves.
            if reigned { armElectionTimer(after: 0, now: now) }
        } else if case .preparing(let mine, let ballot, let promises, var refusals) = role, mine >= term, let head {
            if term == mine { outbid = max(outbid, promised?.number ?? 0) }
            refusals.insert(acceptor)
            role = .preparing(term: mine, ballot, promises: promises, refusals: refusals)
            guard head.members.count - refusals.count(where: head.has) < head.quorum else { return }
            role = .follower
            failures += 1
            armElectionTimer(after: patience.drawn(0...(2 * heartbeat << min(failures, 4))), now: now)
        }
    }
}
