import Contracts

/// What local clients ask for, and what is said every second.
extension PlannerMachine {
    /// An order that was carried out before is answered like a new one: its sender need not say it again.
    mutating func take(_ id: RequestID, _ signed: SignedOrder) {
        guard let state = chain(for: id) else { return }
        let transaction = Transaction.order(signed)
        do throws(Refusal) {
            guard state.nodes[here] != nil else { throw Refusal(.senderNotMember, here.short) }
            try state.authenticate(transaction, sender: here)
            try state.check(signed.order)
            publish(transaction, for: id)
        } catch {
            effects.append(.answer(id, error.reason == .replayedOrder ? nil : Problem(error)))
        }
    }

    /// This node asks to be relieved of its apps and to be no member any more.
    mutating func leave(_ id: RequestID) {
        guard let state = chain(for: id) else { return }
        do throws(Refusal) {
            guard let record = state.nodes[here] else { throw Refusal(.senderNotMember, here.short) }
            guard record.drainsUntil == nil else { return effects.append(.answer(id, nil)) }
            try state.check(removal: here)
            publish(.leave(since: record.since), for: id)
        } catch {
            effects.append(.answer(id, Problem(error)))
        }
    }

    /// A receipt that is already known, or can have no effect any more, is answered like a new one: its sender need
    /// not say it again.
    mutating func take(_ id: RequestID, _ receipt: Receipt) {
        guard let state = chain(for: id) else { return }
        do {
            _ = try Receipt(encoded: receipt.encoded)
        } catch {
            effects.append(.answer(id, Problem(400, "bad-receipt", "\(error)")))
            return
        }
        let transaction = Transaction.receipt(receipt)
        let isPooled = pool.pending(of: here).contains { $0.transaction == transaction }
        let sequence = UInt64.max
        do throws(Refusal) {
            if !isPooled { try state.check(transaction, sender: here, sequence: sequence, at: state.time + 1) }
        } catch {
            count(error)
            effects.append(.answer(id, nil))
            return
        }
        if isPooled { effects.append(.answer(id, nil)) } else { publish(transaction, for: id) }
    }

    /// The state if there is a chain and room for one more request; else answers why not.
    mutating func chain(for id: RequestID) -> SiteState? {
        guard let state else {
            let why = founding.status.obstacle ?? ""
            effects.append(.answer(id, Problem(503, "not-founded", "the site is not founded yet: \(why)")))
            return nil
        }
        guard !requests.isFull else {
            let why = "\(Requests.limit) requests wait already: try again later"
            effects.append(.answer(id, Problem(503, "too-many-requests", why)))
            return nil
        }
        return state
    }

    private mutating func publish(_ transaction: Transaction, for id: RequestID) {
        let payload = transaction.encoded
        guard payload.count <= Validity.payloadLimit else {
            let why = "\(payload.count) bytes in one submission; at most \(Validity.payloadLimit) are allowed: split it"
            effects.append(.answer(id, Problem(400, "submission-too-large", why)))
            return
        }
        let isOnItsWay = requests.holds(transaction)
        requests.add(id, transaction, at: now)
        if case .receipt = transaction, isOnItsWay { return }
        effects.append(.publish(Publication(kind: .transaction, payload: payload)))
    }

    // MARK: Every second

    mutating func tick() {
        effects.append(.setTimer(.resend, afterMilliseconds: Self.resendInterval))
        if state == nil {
            found()
            publishGenesis()
            pursueInvitation()
        } else {
            tickCatchUp()
            sendStatus(asking: laggingNode())
            pursueInvitation()
            showRecoveries()
            askForDraw()
            resendAgreement()
            announce()
        }
        for payload in requests.unheard(at: now) {
            effects.append(.publish(Publication(kind: .transaction, payload: payload)))
        }
        for entry in requests.overdue(at: now) { effects.append(.answer(entry.id, overdue(entry))) }
    }

    private func overdue(_ entry: Requests.Waiting) -> Problem {
        guard entry.key != nil else {
            return Problem(503, "not-published", "gossip has not sent it within 10 s: is gossip up?")
        }
        return Problem(
            503, "not-committed",
            "no block holds it after 10 s: \(standstill). It stays with the site and may still be committed: look with "
                + "`planner apps` before asking again")
    }

    /// What keeps the chain from growing, as far as this node sees.
    var standstill: String {
        guard let state, let agreement else { return founding.status.obstacle ?? "" }
        let fresh = peers.fresh(at: now)
        let silent = state.members.filter { $0.id != here && fresh[$0.id] == nil }.map(\.name)
        let heard = state.members.count - silent.count
        let place = "height \(agreement.height), round \(agreement.round)"
        if heard < state.quorum.votes {
            return "\(place): no quorum, \(state.quorum.votes) of \(state.members.count) nodes must answer and nothing "
                + "is heard from \(silent.joined(separator: ", "))"
        }
        return "\(place) is not decided" + (silent.isEmpty ? "" : "; silent: \(silent.joined(separator: ", "))")
    }

    mutating func sendStatus(asking: NodeID?) {
        guard let state, let agreement else { return }
        var size = 0
        let own = pool.pending(of: here).filter { now - $0.since >= Self.resendInterval }.map(\.message)
        let pending = own.prefix(ChainStatus.pendingLimit).prefix { message in
            size += message.payload.bytes.count + 256
            return size <= 768 << 10
        }
        let status = ChainStatus(
            genesis: state.genesis, height: state.height, head: state.head, round: agreement.round, asks: asking,
            pending: Array(pending))
        effects.append(.publish(Publication(kind: .status, payload: status.encoded)))
    }

    /// Tells the migrator what should run where, if that changed.
    ///
    /// After a start it waits until a quorum has said where it stands and none is further, for ten seconds at most: a
    /// device that was away must not start apps that have moved on meanwhile. What gossip kept from before the start
    /// comes within the first second and is no news.
    mutating func announce() {
        guard let state, state.head != announced else { return }
        if let until = placementWaits {
            let fresh = peers.fresh(at: now)
            let hasNews = fresh.count + 1 >= state.quorum.votes && fresh.values.allSatisfy { $0.height <= state.height }
            let isSettled = now >= until - Self.placementPatience + Self.resendInterval
            guard (hasNews && isSettled) || now >= until else { return }
            placementWaits = nil
        }
        announced = state.head
        let placement = state.placement(for: here)
        var same = placement
        same.height = lastPlacement?.height ?? 0
        guard same != lastPlacement else { return }
        lastPlacement = placement
        effects.append(.placement(placement))
    }
}
