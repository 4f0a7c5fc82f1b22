import Contracts

extension AppRecord {
    /// Ends a move: the app goes on where it was.
    mutating func stay(_ why: String, at time: Int64) {
        phase = .running
        move = nil
        movedAt = time
        since = time
        seenAt = time
        reason = why
    }

    /// Takes the app off its node; the caller puts it into the queue.
    mutating func requeue(_ why: String, at time: Int64) {
        phase = .pending
        node = nil
        move = nil
        since = time
        reason = why
    }

    /// Keeps the app for the silent node that has its volumes. It is in nobody's queue.
    mutating func wait(for name: String, at time: Int64) {
        phase = .pending
        since = time
        reason = "waits for \(name), which has its volumes"
    }

    /// Ends the wait: the app is where it was, as it was.
    mutating func resume(at time: Int64) {
        phase = .running
        since = time
        seenAt = time
        reason = ""
    }

    /// The move's target holds it from now on.
    mutating func arrive(at time: Int64) {
        guard let move else { return }
        movedAt = time
        node = move.to
        incarnation = move.incarnation
        self.move = nil
    }

    mutating func run(at time: Int64) {
        phase = .running
        failedOn = []
        reason = ""
        since = time
        seenAt = time
        if keepsVolumes { home = node }
    }

    fileprivate mutating func end(_ phase: AppPhase, _ why: String, at time: Int64) {
        self.phase = phase
        move = nil
        since = time
        reason = why
    }
}

extension SiteState {
    /// What people call a node.
    public func name(of node: NodeID) -> String { member(node)?.name ?? node.short }

    func member(_ node: NodeID) -> Member? {
        var (low, high) = (0, members.count)
        while low < high {
            let middle = (low + high) / 2
            if members[middle].id < node { low = middle + 1 } else { high = middle }
        }
        return low < members.count && members[low].id == node ? members[low] : nil
    }

    /// Whether a transaction would have an effect now.
    /// - Throws: ``Refusal`` with why it would not.
    func check(_ transaction: Transaction, sender: NodeID, sequence: UInt64, at time: Int64) throws(Refusal) {
        if case .join(let join) = transaction { return try check(join, at: time) }
        guard let record = nodes[sender] else { throw Refusal(.senderNotMember, sender.short) }
        guard !record.transactions.contains(sequence) else {
            throw Refusal(.replayedMessage, "transaction \(sequence) of \(sender.short)")
        }
        switch transaction {
        case .join: break
        case .receipt(let receipt): _ = try outcome(of: receipt, from: sender, at: time)
        case .order(let signed): try check(signed.order)
        case .evidence(let evidence): try check(evidence)
        case .leave(let since):
            // Said again after it has left and come back, it means nothing.
            guard since == record.since else {
                throw Refusal(.replayedMessage, "\(name(of: sender)) is a member since block \(record.since)")
            }
            guard record.drainsUntil == nil else { throw Refusal(.alreadyLeaving, name(of: sender)) }
            try check(removal: sender)
        }
    }

    func check(_ submission: [SubmittedApp]) throws(Refusal) {
        guard !submission.isEmpty else { throw Refusal(.emptySubmission, "no app") }
        guard apps.count + submission.count <= Self.appLimit else {
            throw Refusal(.tooManyApps, "the site has \(apps.count) apps, at most \(Self.appLimit) are allowed")
        }
        var names: Set<String> = []
        for entry in submission {
            let name = entry.specification.name
            guard apps[name] == nil, names.insert(name).inserted else { throw Refusal(.appExists, name) }
            guard let on = entry.on else { continue }
            guard nodes[on] != nil else { throw Refusal(.unknownNode, on.short) }
            try check(wish: on, for: entry.specification)
        }
    }

    /// - Throws: ``Refusal`` if, as far as is known, the node may not run the app.
    func check(wish node: NodeID, for app: AppSpecification) throws(Refusal) {
        if let obstacle = obstacle(to: app, on: node) {
            throw Refusal(.nodeUnfit, "\(name(of: node)) may not run \(app.name): \(obstacle)")
        }
    }

    mutating func apply(_ transaction: Transaction, sender: NodeID, sequence: UInt64, at time: Int64) throws(Refusal) {
        try check(transaction, sender: sender, sequence: sequence, at: time)
        switch transaction {
        case .receipt(let receipt):
            let app = try outcome(of: receipt, from: sender, at: time)
            let hasArrived = receipt.outcome == .running && apps[receipt.app]?.move?.to == sender
            if hasArrived, let shipment = receipt.shipment { nodes[sender]?.take(shipment) }
            if app.phase == .pending { queue.append(receipt.app) }
            apps[receipt.app] = app
        case .order(let signed): perform(signed.order, at: time)
        case .join(let join): admit(join, at: time)
        case .leave: drain(sender, at: time)
        case .evidence(let evidence):
            removeMember(evidence.culprit, "\(name(of: evidence.culprit)) has voted twice", at: time)
        }
        if nodes[sender]?.absent == true { resumeApps(of: sender) }
        nodes[sender]?.transactions.insert(sequence)
        nodes[sender]?.hear(at: time)
    }

    private mutating func perform(_ order: Order, at time: Int64) {
        switch order.act {
        case .remove(let name):
            if apps[name]?.phase == .pending { queue.removeAll { $0 == name } }
            apps[name] = nil
        case .submit(let submission):
            for entry in submission {
                let name = entry.specification.name
                apps[name] = AppRecord(specification: entry.specification, on: entry.on, since: time)
                queue.append(name)
            }
        case .dismiss(let node): removeMember(node, "\(name(of: node)) was dismissed", at: time)
        case .configure(let parameters, let height):
            scheduled = ScheduledParameters(parameters: parameters, height: height)
        }
        orders.insert(order.sequence)
    }

    /// What becomes of the app. A receipt counts only from the node that the chain asked, for the incarnation that it
    /// asked for.
    private func outcome(of receipt: Receipt, from sender: NodeID, at time: Int64) throws(Refusal) -> AppRecord {
        guard var app = apps[receipt.app] else { throw Refusal(.receiptWithoutEffect, "no app \(receipt.app)") }
        let isHolder = app.phase.isPlaced && app.node == sender && app.incarnation == receipt.incarnation
        let ofMove = app.move.map { $0.incarnation == receipt.incarnation } ?? false
        let isTarget = ofMove && app.move?.to == sender
        switch receipt.outcome {
        case .running where isTarget || (isHolder && app.phase == .placed):
            if isTarget { app.arrive(at: time) }
            app.run(at: time)
        case .refused where isTarget || (ofMove && app.node == sender), .failed where isTarget:
            if let move = app.move { app.exclude(move.to, until: time + Self.exclusionTime) }
            app.stay(receipt.reason, at: time)
        case .failed where isHolder && app.phase == .placed:
            fail(&app, at: sender, receipt.reason, time)
        case .failed where isHolder:
            app.end(.failed, receipt.reason, at: time)
        case .completed where isHolder || isTarget:
            if isTarget { app.arrive(at: time) }
            app.end(.completed, receipt.reason, at: time)
        default:
            throw Refusal(
                .receiptWithoutEffect,
                "\(receipt.outcome.rawValue) of \(receipt.app) in incarnation \(receipt.incarnation) from \(sender.short)"
            )
        }
        return app
    }

    /// A fresh placement that could not be started goes to the queue's end, or, after every present node that may run it, nowhere.
    /// Where its volumes are it is tried again and again: nobody else has them.
    private func fail(_ app: inout AppRecord, at node: NodeID, _ why: String, _ time: Int64) {
        guard app.home != node else {
            app.exclude(node, until: time + Self.exclusionTime)
            return app.requeue(why, at: time)
        }
        if !app.failedOn.contains(node) { app.failedOn = (app.failedOn + [node]).sorted() }
        app.exclude(node, until: time + Self.exclusionTime)
        let candidates = candidates(for: app)
        if !candidates.isEmpty, candidates.allSatisfy({ app.failedOn.contains($0) }) {
            app.end(.failed, why, at: time)
        } else {
            app.requeue(why, at: time)
        }
    }
}
