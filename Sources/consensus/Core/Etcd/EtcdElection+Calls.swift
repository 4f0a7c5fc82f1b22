import Contracts

// What this node asks of etcd, one call after the other, and what it makes of the answers.
extension EtcdElection {
    mutating func beat() {
        readDue = true
        keepAliveDue = keepAliveDue || holding != nil
        effects.append(.setTimer(Self.beatTimer, afterMilliseconds: heartbeat))
    }

    /// Milliseconds after which a call is given up. What etcd must write to its disk may take longer.
    func patience(for call: StoreCall) -> Int64 {
        switch call.request {
        case .read, .keepAlive: timeout / 2
        case .grant, .campaign, .revoke, .remove: timeout
        }
    }

    /// Makes the next call, unless an answer is still waited for.
    mutating func advance() {
        if let pending {
            guard now >= pending.asked + patience(for: pending.call) else { return }
            giveUp()
        }
        if !leavings.isEmpty { return ask(.revoke(lease: leavings.removeFirst())) }
        if keepAliveDue {
            keepAliveDue = false
            if let lease = holding?.lease ?? adoptable { return ask(.keepAlive(lease: lease)) }
        }
        if readDue {
            readDue = false
            return ask(.read(key: key))
        }
        guard isMember else { return }
        if let campaignAt, campaignAt <= now { return campaign() }
        if let removeAt, removeAt <= now, let entry = sight?.entry {
            self.removeAt = nil
            let isFlawed = flaw(of: entry) != nil
            guard isFlawed || failed.areEnough else { return }
            if isFlawed { removals += 1 }
            ask(.remove(key: key, createRevision: entry.createRevision))
        }
    }

    private mutating func ask(_ request: StoreCall.Request) {
        number &+= 1
        let call = StoreCall(number: number, request)
        pending = (call, now)
        effects.append(.ask(.store(call)))
    }

    /// The next try follows from what the next beat reads: an etcd that is in trouble isn't hurried.
    private mutating func giveUp() {
        pending = nil
        campaignAt = nil
        removeAt = nil
    }

    /// The lease of an entry of this node's that it doesn't remember: it was started anew, or an answer was lost.
    private var adoptable: Int64? {
        guard isMember, !failed.areEnough, now >= restUntil, let entry = sight?.entry, entry.lease != 0,
            holder(of: entry) == own
        else { return nil }
        return entry.lease
    }

    // MARK: - Campaigning

    /// Seconds for which a lease is asked: two timeouts, so that it survives a lost heartbeat and more.
    private var leaseSeconds: Int64 { max(2, (2 * timeout + 999) / 1_000) }

    /// How long a lease counts for this node, in milliseconds from the asking.
    private func validity(_ seconds: Int64) -> Int64 { seconds * 750 }

    private mutating func campaign() {
        guard let grant, now < grant.asked + timeout else {
            if let lease = grant?.lease { leavings.append(lease) }
            grant = nil
            return ask(.grant(seconds: leaseSeconds))
        }
        campaignAt = nil
        effects.append(.count(.stood))
        ask(.campaign(key: key, value: Array(own.description.utf8), lease: grant.lease))
    }

    // MARK: - Answers

    mutating func take(_ answer: ElectionAnswer?, to call: StoreCall) {
        // Late ones say nothing that a newer reading doesn't say better. A lease that comes so ends by itself.
        guard let pending, pending.call == call else { return }
        let asked = pending.asked
        guard case .store(let reply) = answer else { return giveUp() }
        self.pending = nil
        switch (call.request, reply) {
        case (.read, .entry(let entry)): see(entry, asked: asked)
        case (.grant, .lease(let lease, let seconds)) where seconds > 0 && seconds < 1 << 32:
            grant = Grant(lease: lease, seconds: seconds, asked: asked)
        case (.campaign, .entry(let entry?)): see(entry, asked: asked)
        case (.keepAlive(let asking), .lease(let lease, let seconds)) where asking == lease && seconds < 1 << 32:
            kept(lease, seconds: seconds, asked: asked)
        case (.remove, .done): readDue = true
        case (.revoke, .done): break
        default:
            effects.append(.count(.refused(reason: "malformed")))
            giveUp()
        }
    }

    /// A lease of an earlier life counts from here on only: now it is known to be alive.
    private mutating func kept(_ lease: Int64, seconds: Int64, asked: Int64) {
        if holding == nil, adoptable == lease, seconds > 0 {
            holding = Holding(lease: lease, until: asked)
            effects.append(.log(.info, "this node holds etcd's key from before and keeps it"))
        }
        guard var held = holding, held.lease == lease else { return }
        guard seconds > 0 else {
            holding = nil
            return
        }
        held.until = max(held.until, asked + validity(seconds))
        holding = held
        // That the lease lives doesn't say that the key is still bound to it.
        readDue = true
    }

    private mutating func see(_ entry: StoreEntry?, asked: Int64) {
        let isSame = entry != nil && entry == sight?.entry
        sight = Sight(entry: entry, asked: asked, since: isSame ? sight?.since ?? now : now)
        if !isSame { removeAt = nil }
        if let granted = grant, entry?.lease == granted.lease {
            holding = Holding(lease: granted.lease, until: granted.asked + validity(granted.seconds))
            grant = nil
        }
        if let held = holding?.lease, entry?.lease != held || entry.flatMap(holder) != own {
            holding = nil
            leavings.append(held)
        }
        guard let entry else {
            if isMember, campaignAt == nil { campaignAt = max(now, restUntil) + drawn() }
            return
        }
        if entry.createRevision != term {
            term = entry.createRevision
            failed.forget()
        }
        campaignAt = nil
        if let lease = grant?.lease { leavings.append(lease) }
        grant = nil
        if holder(of: entry) == own, entry.lease != 0 {
            seeOwn(entry)
        } else if isMember, removeAt == nil {
            seeOther(entry)
        }
    }

    private mutating func seeOwn(_ entry: StoreEntry) {
        if !isMember || failed.areEnough || now < restUntil {
            holding = nil
            if !leavings.contains(entry.lease) { leavings.append(entry.lease) }
        } else if holding == nil {
            keepAliveDue = true
        }
    }

    /// Any member may take the key from who holds it without leading: it has write access to etcd, and the chain bears
    /// a missing leader.
    private mutating func seeOther(_ entry: StoreEntry) {
        if let flaw = flaw(of: entry) {
            removeAt = now + (timeout << min(removals, 6)) + drawn()
            if complainedOf != entry.createRevision {
                complainedOf = entry.createRevision
                effects.append(.log(.warning, "etcd's key \(key) \(flaw); it is removed soon unless that changes"))
            }
        } else if failed.areEnough {
            removeAt = now + drawn()
        }
    }
}
