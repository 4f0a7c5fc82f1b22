import Contracts

/// Apps that are placed here and don't move, and copies that should not be here.
extension MigratorMachine {
    mutating func reconcileResident(_ placed: PlacedApp, _ placement: Placement) {
        let app = placed.specification.name
        let live = liveCopies(app)
        journal.failures.removeAll { $0.app == app && $0.incarnation != placed.incarnation }
        if let other = live.first(where: { $0.incarnation != placed.incarnation }) {
            // It holds ports and volumes that the new copy needs, so freezing it would not do.
            return perform(app, .setAside(other, ended: true))
        }
        let own = live.first
        if let own, mustFreeze(own) { return perform(app, .freeze(own)) }
        if let own, own.state == .frozen, own.isolated == .freeze {
            if isInTouch { perform(app, .thaw(own)) }
            return
        }
        if let move = placed.move, move.to != placement.here { return startMove(placed, move, own, placement) }
        switch own?.state {
        case nil, .created: startAnew(placed, placement)
        case .frozen: if let own { perform(app, .thaw(own)) }
        case .running:
            endedSince[HandoffKey(app: app, incarnation: placed.incarnation)] = nil
            if !placed.running { post(placed, .running, "") }
        case .ended(let status): if let own { takeEnd(of: own, placed, status) }
        }
    }

    private mutating func startAnew(_ placed: PlacedApp, _ placement: Placement) {
        let app = placed.specification.name
        if let failure = journal.failures.first(where: { $0.app == app && $0.incarnation == placed.incarnation }) {
            return post(placed, .failed, failure.reason)
        }
        guard mayStart(placed) else { return }
        if makeWay(app) { return }
        perform(app, .start(placed, peers: placement.nodes.filter { $0.id != placement.here }))
    }

    mutating func concludeStart(_ placed: PlacedApp, _ outcome: OperationOutcome) {
        guard case .refused(let reason) = outcome else { return }
        let app = placed.specification.name
        if placed.running {
            // It has run here. Giving up would end it for good, so this is tried for ever.
            delays[app] = reason
            retries[app] = Retry(at: now + Wait.lastRetry, delay: Wait.lastRetry)
        } else {
            journal.failures.append(StartFailure(app: app, incarnation: placed.incarnation, reason: reason))
        }
    }

    private mutating func takeEnd(of own: Copy, _ placed: PlacedApp, _ status: Int) {
        let specification = placed.specification
        if isRestarted(own, specification, status) { return restart(own) }
        let key = HandoffKey(app: own.app, incarnation: own.incarnation)
        let since = endedSince[key] ?? now
        endedSince[key] = since
        guard now >= since + Wait.ended else { return }
        if status == 0 {
            post(placed, .completed, "")
        } else {
            post(
                placed, .failed,
                "it ended with status \(status), and its restart policy is \(specification.restart.rawValue)")
        }
    }

    func isRestarted(_ own: Copy, _ specification: AppSpecification, _ status: Int) -> Bool {
        switch specification.restart {
        case .always, .unlessStopped: true
        case .onFailure where status != 0: true
        case .onFailure, .never: journal.interrupted.contains(HandoffKey(app: own.app, incarnation: own.incarnation))
        }
    }

    /// One second after the first end, twice as long after each further one, half a minute at most.
    private mutating func restart(_ own: Copy) {
        var plan = restarts[own.app] ?? Restart(at: now + Wait.firstRestart, delay: Wait.firstRestart)
        if let last = plan.lastStart {
            let delay = now - last >= Wait.settled ? Wait.firstRestart : min(plan.delay * 2, Wait.lastRestart)
            plan = Restart(at: now + delay, delay: delay)
        }
        if plan.at <= now, mayRun(own.isolated) {
            plan.lastStart = now
            perform(own.app, .restart(own))
        }
        restarts[own.app] = plan
    }

    /// Keeps an app alive whose chain record can't be spoken of just now, since a move of it is being ended.
    mutating func keepAlive(_ own: Copy?, _ placed: PlacedApp, _ placement: Placement) {
        guard let own, own.state != .created else { return startAnew(placed, placement) }
        switch own.state {
        case .frozen: if mayRun(own.isolated) { perform(own.app, .thaw(own)) }
        case .running where mustFreeze(own): perform(own.app, .freeze(own))
        case .ended(let status) where isRestarted(own, placed.specification, status): restart(own)
        case .created, .running, .ended: break
        }
    }

    /// The app has no business here: it isn't placed here, and no handoff of it is under way.
    mutating func reconcileForeign(_ app: String, _ placed: PlacedApp?, _ placement: Placement) {
        restarts[app] = nil
        endedSince = endedSince.filter { $0.key.app != app }
        journal.failures.removeAll { $0.app == app }
        let live = liveCopies(app)
        let isComing = placed?.move?.to == placement.here
        guard let first = live.first else {
            goneSince[app] = nil
            if isComing { _ = makeWay(app) }
            return
        }
        if placed != nil {
            if ignoresIncarnations { return }
            return perform(app, .setAside(first, ended: isComing))
        }
        // An app whose device was away is out of the placement for a block or two before it gets another one.
        let since = goneSince[app] ?? now
        goneSince[app] = since
        guard now >= since + Wait.gone else { return }
        perform(app, .remove(app: app, copies: live.map(\.id).sorted(), grace: 10, volumes: false))
    }

    /// Ends a copy that was set aside frozen: it holds ports that the app needs here again. Its files stay.
    ///
    /// - Returns: whether there is one.
    private mutating func makeWay(_ app: String) -> Bool {
        let frozen = (copies?[app] ?? []).first { $0.isSetAside && ($0.state == .frozen || $0.state == .running) }
        if let frozen { perform(app, .setAside(frozen, ended: true)) }
        return frozen != nil
    }

    mutating func removeAged(_ app: String) {
        let aged = journal.setAside.filter { $0.app == app && wallTime - $0.since >= Wait.setAside }
        guard !aged.isEmpty else { return }
        perform(app, .remove(app: app, copies: aged.map(\.id), grace: 0, volumes: false))
    }
}

/// Receipts: said again until a placement shows that the chain has taken them.
extension MigratorMachine {
    mutating func post(_ placed: PlacedApp, _ outcome: Receipt.Outcome, _ reason: String) {
        post(HandoffKey(app: placed.specification.name, incarnation: placed.incarnation), outcome, reason)
    }

    mutating func post(
        _ key: HandoffKey, _ outcome: Receipt.Outcome, _ reason: String, shipment: Shipment? = nil
    ) {
        var delay = Wait.firstRetry
        if let post = posts[key], post.outcome == outcome {
            guard post.next <= now else { return }
            delay = min(post.delay * 2, Wait.lastRetry)
        }
        posts[key] = Post(outcome: outcome, next: now + delay, delay: delay)
        // A receipt's reason has room for 1,024 bytes.
        let bounded = reason.utf8.count <= 1_000 ? reason : String(reason.prefix(240)) + " …"
        effects.append(
            .post(
                Receipt(
                    app: key.app, incarnation: key.incarnation, outcome: outcome, reason: bounded, shipment: shipment)))
    }

    mutating func forgetPosts(_ placement: Placement) {
        var current: Set<HandoffKey> = []
        for placed in placement.apps {
            let app = placed.specification.name
            current.insert(HandoffKey(app: app, incarnation: placed.incarnation))
            if let move = placed.move { current.insert(HandoffKey(app: app, incarnation: move.incarnation)) }
        }
        posts = posts.filter { current.contains($0.key) }
    }
}
