import Contracts

/// The target's half of a move.
extension MigratorMachine {
    /// Whether the chain waits for the handoff, has confirmed it, or has given the app to someone else.
    enum Standing { case pending, confirmed, void }

    func standing(_ key: HandoffKey, _ placed: PlacedApp?, here: NodeID) -> Standing {
        guard let placed else { return .void }
        if placed.node == here, placed.incarnation == key.incarnation { return .confirmed }
        return placed.move?.to == here && placed.move?.incarnation == key.incarnation ? .pending : .void
    }

    mutating func reconcileIncoming(_ index: Int, _ placed: PlacedApp?, _ placement: Placement) {
        let entry = journal.incoming[index]
        let standing = standing(entry.key, placed, here: placement.here)
        switch (entry.phase, standing) {
        case (.restored, .confirmed):
            if let own = copy(entry), own.state == .frozen {
                if mayRun(own.isolated) { perform(entry.key.app, .thaw(own)) }
                return
            }
            close(incoming: index, .done)
        case (.restored, .void) where placed?.node == .zero:
            // Nobody else may have this memory any more: the copy is set aside like those that were placed here.
            close(incoming: index, .abandoned)
        case (_, .void):
            if !entry.isDiscarded { return perform(entry.key.app, .discard(entry.key)) }
            close(incoming: index, entry.phase == .refused ? .refused : .abandoned)
        case (_, .confirmed):
            // Its receipt was committed though the copy is no more: the app is started anew.
            if entry.phase == .refused, !entry.isDiscarded { return perform(entry.key.app, .discard(entry.key)) }
            close(incoming: index, .abandoned)
        case (.receiving, .pending):
            if now >= entry.freezeAt { refuse(incoming: index, "the source did not deliver in time") }
        case (.restoring, .pending):
            if now >= entry.freezeAt { return refuse(incoming: index, "the restore was not done in time") }
            if mayRun(placed?.specification.isolated ?? .run) { perform(entry.key.app, .restore(entry)) }
        case (.restored, .pending):
            if let placed { attend(index, placed) }
        case (.refused, .pending):
            if !entry.isDiscarded { return perform(entry.key.app, .discard(entry.key)) }
            post(entry.key, .refused, entry.reason)
        }
    }

    private func copy(_ entry: Incoming) -> Copy? {
        liveCopies(entry.key.app).first { $0.incarnation == entry.key.incarnation }
    }

    /// A copy that the chain hasn't confirmed yet.
    private mutating func attend(_ index: Int, _ placed: PlacedApp) {
        let entry = journal.incoming[index]
        guard let own = copy(entry) else {
            return refuse(incoming: index, "the restored copy vanished before the site had confirmed the move")
        }
        switch own.state {
        case .running where now >= entry.freezeAt || mustFreeze(own): perform(entry.key.app, .freeze(own))
        case .running, .frozen: post(entry.key, .running, "", shipment: entry.measures.shipment)
        case .ended(0) where !isRestarted(own, placed.specification, 0):
            post(entry.key, .completed, "")
        case .ended(let status):
            refuse(incoming: index, "it ended with status \(status) before the site had confirmed the move")
        case .created: refuse(incoming: index, "the restored copy is no longer running")
        }
    }

    private mutating func refuse(incoming index: Int, _ reason: String) {
        journal.incoming[index].reason = reason
        journal.incoming[index].wasRestored = journal.incoming[index].phase == .restored
        enter(incoming: index, .refused)
        perform(journal.incoming[index].key.app, .discard(journal.incoming[index].key))
    }

    private mutating func enter(incoming index: Int, _ phase: Incoming.Phase) {
        journal.incoming[index].measures.endPhase(journal.incoming[index].phase.rawValue, now)
        journal.incoming[index].phase = phase
    }

    private mutating func close(incoming index: Int, _ outcome: MoveRecord.Outcome) {
        var entry = journal.incoming.remove(at: index)
        entry.measures.endPhase(entry.phase.rawValue, now)
        entry.measures.endedAt = wallTime
        observation.isDue = true
        answer(
            askersOf: entry.key, .problem(Problem(409, "undecided", "the site has decided about \(entry.key) already")))
        guard let here = placement?.here else { return }
        journal.remember(MoveRecord(entry, here: here, outcome: outcome))
    }

    private mutating func answer(askersOf key: HandoffKey, _ answer: HandoffAnswer) {
        for request in askers.removeValue(forKey: key) ?? [] { effects.append(.answer(request, answer)) }
    }

    /// - Precondition: what was received is discarded. A source may take its app back on this word, so no copy may
    ///   be left here that runs, not even one of a restore whose end isn't known.
    private func refusal(_ entry: Incoming) -> HandoffAnswer {
        if entry.wasRestored {
            return .problem(Problem(409, "undecided", "\(entry.reason); only the site can say who holds the app"))
        }
        return .problem(Problem(409, "refused", entry.reason))
    }

    mutating func concludeRestore(_ index: Int, _ outcome: OperationOutcome) {
        let key = journal.incoming[index].key
        switch outcome {
        case .done(let measures):
            journal.incoming[index].measures.take(measures.parts)
            enter(incoming: index, .restored)
            answer(askersOf: key, .running)
        case .incomplete(let reason):
            journal.incoming[index].mismatches += 1
            guard journal.incoming[index].mismatches < Self.mismatchLimit else {
                return refuse(incoming: index, reason)
            }
            enter(incoming: index, .receiving)
            answer(askersOf: key, .problem(Problem(422, "digest-mismatch", reason)))
        case .refused(let reason), .lost(let reason): refuse(incoming: index, reason)
        case .delayed: break
        }
    }

    /// So often may what arrives differ from what was sent before the target refuses the move.
    static let mismatchLimit = 3

    mutating func concludeDiscard(_ index: Int, _ outcome: OperationOutcome) {
        switch outcome {
        case .done:
            journal.incoming[index].isDiscarded = true
            let entry = journal.incoming[index]
            if entry.phase == .refused { answer(askersOf: entry.key, refusal(entry)) }
        case .refused(let reason):
            let app = journal.incoming[index].key.app
            delays[app] = reason
            retries[app] = Retry(at: now + Wait.lastRetry, delay: Wait.lastRetry)
        case .delayed, .lost, .incomplete: break
        }
    }

    mutating func takeAsk(_ request: RequestID, _ key: HandoffKey, _ from: NodeID, _ digests: [PartDigest]) {
        guard let index = journal.incoming.firstIndex(where: { $0.key == key && $0.from == from }) else {
            let detail = "no handoff of \(key) is open here: offer it first"
            effects.append(.answer(request, .problem(Problem(404, "unknown-handoff", detail))))
            return
        }
        switch journal.incoming[index].phase {
        case .receiving:
            journal.incoming[index].digests = digests
            enter(incoming: index, .restoring)
            askers[key, default: []].append(request)
        case .restoring: askers[key, default: []].append(request)
        case .restored: effects.append(.answer(request, .running))
        case .refused where journal.incoming[index].isDiscarded:
            effects.append(.answer(request, refusal(journal.incoming[index])))
        case .refused: askers[key, default: []].append(request)
        }
    }

    /// Offers wait until this device's planner shows the move, earlier copies are out of the way and no other
    /// handoff is coming in.
    mutating func answerOffers(_ placement: Placement) {
        let waiting = offers
        offers = []
        for waiter in waiting {
            if let answer = consider(waiter.offer, placement, isLast: now >= waiter.until) {
                effects.append(.answer(waiter.request, answer))
            } else {
                offers.append(waiter)
            }
        }
    }

    private mutating func consider(_ offer: Offer, _ placement: Placement, isLast: Bool) -> HandoffAnswer? {
        func later(_ code: String, _ detail: String) -> HandoffAnswer? {
            isLast ? .problem(Problem(409, code, detail + ": offer it again")) : nil
        }
        if let entry = journal.incoming.first(where: { $0.key == offer.key }) {
            switch entry.phase {
            case .receiving where entry.from == offer.from: return .accepted
            case .receiving: return .problem(Problem(409, "refused", "another node has offered \(offer.key)"))
            case .refused: return entry.isDiscarded ? refusal(entry) : later("busy", "an earlier try is being put away")
            case .restoring, .restored:
                return .problem(Problem(409, "undecided", "\(offer.key) is being restored here already"))
            }
        }
        let placed = placement.apps.first { $0.specification.name == offer.app }
        guard let placed, placed.node == offer.from, let order = placed.move, order.to == placement.here,
            order.incarnation == offer.incarnation
        else {
            return later("not-committed", "block \(placement.height) shows no move of \(offer.key) to this node")
        }
        let isTaken = journal.incoming.contains { $0.phase == .receiving || $0.phase == .restoring }
        if isTaken { return later("busy", "this node is taking in another app") }
        let isInTheWay =
            busy[offer.app] != nil || (copies?[offer.app] ?? []).contains { !$0.isSetAside || $0.state == .frozen }
            || (journal.outgoing.map(\.app) + journal.incoming.map(\.key.app)).contains(offer.app)
        if isInTheWay { return later("busy", "an earlier copy of \(offer.app) is being put away here") }
        guard let learned = journal.learned.first(where: { $0.key == offer.key }) else { return nil }
        // The source may have learned of the move later or earlier: the shorter time is the safe one.
        let freezeAt = min(learned.safeUntil, now + max(0, offer.remaining))
        guard now < freezeAt else { return .problem(Problem(409, "refused", "the offer came too late")) }
        var entry = Incoming(
            key: offer.key, from: offer.from, order: order, phase: .receiving, freezeAt: freezeAt)
        entry.measures.startedAt = wallTime
        entry.measures.phaseSince = now
        journal.incoming.append(entry)
        return .accepted
    }
}
