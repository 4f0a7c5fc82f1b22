import Contracts

// The leader that a term decided, and its lease.
extension PaxosElection {
    /// Leads by the acceptances that this node asked for `since`: each is a lease too.
    mutating func lead(from since: Int64, now: Int64) {
        let until = since + ownTime
        guard now < until else { return ascend(now: now) }
        begin(until: until, now: now)
        renew(now: now)
    }

    /// Another has completed the decision for this node: it leads once a quorum has granted a lease.
    mutating func ascend(now: Int64) {
        begin(until: now + ownTime, now: now)
        leader = nil
        renew(now: now)
    }

    private mutating func begin(until: Int64, now: Int64) {
        reign = Reign(until: until, number: UInt64(patience.drawn(0...(1 << 61))))
        leader = own
        if !isBound(now: now, but: own) { grantLease(to: own, now: now) }
        effects.append(.cancelTimer(Patience.timer))
        effects.append(.setTimer(Self.leaseTimer, afterMilliseconds: until - now))
        effects.append(.log(.notice, "leading in term \(record.term)"))
    }

    /// How long a leader may take a lease of ``timeout`` to last that was asked for now: its clock may run a tenth too
    /// slow and the grantor's a tenth too fast.
    private var ownTime: Int64 { timeout * 3 / 4 }

    mutating func renew(now: Int64) {
        guard var reign, let certificate, let head else { return }
        reign.number += 1
        // Its own grant is worth no more than another's: not while it may be bound by one that it forgot.
        reign.asked[reign.number] = (now, isBound(now: now, but: own) ? [] : [own])
        reign.asked = reign.asked.filter { now - $0.value.at < timeout }
        let isFirst = !reign.hasShownProof
        reign.hasShownProof = true
        self.reign = reign
        send(
            isFirst
                ? .proof(certificate, number: reign.number) : .renewal(term: record.term, number: reign.number))
        effects.append(.setTimer(Self.renewalTimer, afterMilliseconds: heartbeat))
        if head.quorum == 1 { granted(reign.number, now: now) }
    }

    mutating func renewalReply(from node: NodeID, term: UInt64, number: UInt64, proven: Bool, now: Int64) {
        if term > record.term { return refusal(from: node, term: term, promised: nil, now: now) }
        guard let certificate, reign != nil else { return }
        guard proven else {
            guard answered.admits(node, now: now, heartbeat: heartbeat) else { return }
            return send(.proof(certificate, number: reign?.number ?? 0), to: node)
        }
        guard term == record.term, reign?.asked[number]?.granted.insert(node).inserted == true else { return }
        granted(number, now: now)
    }

    private mutating func granted(_ number: UInt64, now: Int64) {
        guard let head, let asked = reign?.asked[number],
            asked.granted.count(where: head.has) >= head.quorum, let before = reign?.until
        else { return }
        let until = asked.at + ownTime
        guard now < until else { return }
        leader = own
        guard until > before else { return }
        reign?.until = until
        if !isBound(now: now, but: own) { grantLease(to: own, now: asked.at) }
        effects.append(.setTimer(Self.leaseTimer, afterMilliseconds: until - now))
    }

    mutating func stepDown(_ why: String, now: Int64) {
        effects.append(.log(.notice, "no longer leading in term \(record.term): \(why)"))
        endReign()
        forgetLeader()
        armElectionTimer(now: now)
    }

    mutating func endReign() {
        reign = nil
        // Others still keep the lease, but this node is free to help them.
        if lease?.holder == own { lease = nil }
        effects.append(.cancelTimer(Self.renewalTimer))
        effects.append(.cancelTimer(Self.leaseTimer))
    }
}
