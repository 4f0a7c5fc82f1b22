import Contracts

/// What local clients ask for, and what is said every second.
extension PlannerMachine {
    mutating func submit(_ id: RequestID, _ submissions: [Submission]) {
        guard let state = chain(for: id) else { return }
        do throws(Problem) {
            publish(.submit(try apps(submissions, state)), for: id)
        } catch {
            effects.append(.answer(id, error))
        }
    }

    private func apps(_ submissions: [Submission], _ state: SiteState) throws(Problem) -> [SubmittedApp] {
        guard (1...Transaction.submissionLimit).contains(submissions.count) else {
            throw Problem(
                400, "bad-submission",
                "\(submissions.count) apps in one submission; 1 to \(Transaction.submissionLimit) are allowed")
        }
        var apps: [SubmittedApp] = []
        var names: Set<String> = []
        for submission in submissions {
            let name = submission.specification.name
            do {
                _ = try AppSpecification(encoded: submission.specification.encoded)
            } catch {
                throw Problem(400, "bad-app", "the app \"\(name.prefix(80))\": \(error)")
            }
            guard names.insert(name).inserted else {
                throw Problem(400, "bad-submission", "the app \"\(name)\" is there twice")
            }
            guard state.apps[name] == nil else { throw Problem(Refusal(.appExists, name)) }
            let node = try node(submission.on, state)
            if let node {
                do throws(Refusal) {
                    try state.check(wish: node, for: submission.specification)
                } catch { throw Problem(error) }
            }
            apps.append(SubmittedApp(specification: submission.specification, on: node))
        }
        guard state.apps.count + apps.count <= SiteState.appLimit else {
            throw Problem(409, "too-many-apps", "a site holds at most \(SiteState.appLimit) apps: remove some first")
        }
        return apps
    }

    private func node(_ name: String?, _ state: SiteState) throws(Problem) -> NodeID? {
        guard let name else { return nil }
        guard let member = state.members.first(where: { $0.name == name }) else {
            let names = state.members.map(\.name).sorted().joined(separator: ", ")
            throw Problem(404, "unknown-node", "no node is named \"\(name.prefix(80))\": there are \(names)")
        }
        return member.id
    }

    mutating func remove(_ id: RequestID, _ app: String) {
        guard let state = chain(for: id) else { return }
        guard state.apps[app] != nil else {
            effects.append(.answer(id, Problem(Refusal(.unknownApp, String(app.prefix(80))))))
            return
        }
        publish(.remove(app: app), for: id)
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
    private mutating func chain(for id: RequestID) -> SiteState? {
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
        } else {
            tickCatchUp()
            sendStatus(asking: laggingNode())
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
        guard let state else { return }
        if let until = placementWaits {
            let fresh = peers.fresh(at: now)
            let hasNews = fresh.count + 1 >= state.quorum.votes && fresh.values.allSatisfy { $0.height <= state.height }
            let isSettled = now >= until - Self.placementPatience + Self.resendInterval
            guard (hasNews && isSettled) || now >= until else { return }
            placementWaits = nil
        }
        let placement = state.placement(for: here)
        var same = placement
        same.height = lastPlacement?.height ?? 0
        guard same != lastPlacement else { return }
        lastPlacement = placement
        effects.append(.placement(placement))
    }
}
