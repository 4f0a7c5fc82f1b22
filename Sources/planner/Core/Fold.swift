import Contracts

/// Applies one block to a state, step by step and in this order: plan, transactions, reports, time. A builder goes the
/// same way to learn the root that its header must state.
struct Fold {
    private(set) var state: SiteState
    private let height: UInt64
    private let time: Int64
    /// How long each node whose report this block holds had been silent before, in milliseconds. Nodes that have more apps than a
    /// report has room for are not in it: what such a report lacks says nothing.
    private var silences: [NodeID: Int64] = [:]

    init(_ parent: SiteState, height: UInt64, time: Int64) {
        state = parent
        self.height = height
        self.time = time
        state.height = height
        state.time = time
    }

    /// - Precondition: the plan is the strategy's for the state before.
    mutating func apply(_ plan: Plan) { state.apply(plan) }

    /// - Precondition: the transaction is authentic.
    /// - Throws: ``Refusal`` with why it has no effect; the state is then as before.
    mutating func apply(_ transaction: Transaction, sender: NodeID, sequence: UInt64) throws(Refusal) {
        try state.apply(transaction, sender: sender, sequence: sequence, at: time)
    }

    /// - Throws: ``Refusal`` `sender-not-a-member` or `replayed-message`; the state is then as before.
    mutating func apply(_ report: Report, sender: NodeID, sequence: UInt64) throws(Refusal) {
        guard var record = state.nodes[sender] else { throw Refusal(.senderNotMember, sender.short) }
        if let last = record.reportSequence, last >= sequence {
            throw Refusal(.replayedMessage, "report \(sequence) of \(sender.short), whose newest is \(last)")
        }
        let base = Resources(report.load) { state.apps[$0] != nil }
        if report.load.apps.count < LoadMatrix.appLimit { silences[sender] = time - record.seenAt }
        if record.absent { state.resumeApps(of: sender) }
        record.take(report, base: base, sequence: sequence, at: time)
        state.nodes[sender] = record
        for score in report.load.apps {
            guard var app = state.apps[score.app], app.isHeld(by: sender, as: score.incarnation) else { continue }
            app.seenAt = time
            if score.score.cpu != nil {
                let demand = Resources(score.score, of: report.load.capacity)
                app.demand = demand
                app.steadyDemand = app.steadyDemand?.approaching(demand) ?? demand
                app.measured = app.incarnation
            }
            state.apps[score.app] = app
        }
    }

    /// Ends what time has ended: moves past their deadline, exclusions, the presence of the silent and of apps that their nodes
    /// no longer report, the drains of the leaving.
    mutating func finish() -> SiteState {
        for member in state.members {
            guard var record = state.nodes[member.id] else { continue }
            // Nobody could report before there was a chain.
            if height == 1 { record.seenAt = time }
            if !record.absent, time - record.seenAt > state.parameters.absentAfter { record.absent = true }
            state.nodes[member.id] = record
        }
        for name in state.apps.names {
            guard var app = state.apps[name] else { continue }
            app.exclusions.removeAll { $0.until <= time }
            if let move = app.move, move.deadline <= time {
                app.stay("the move to \(state.name(of: move.to)) took too long", at: time)
                app.exclude(move.to, until: time + SiteState.exclusionTime)
            }
            if app.phase == .placed || app.phase == .running, let node = app.node { look(for: &app, on: node) }
            if app.phase == .pending, !app.isWaiting, state.apps[name]?.phase != .pending { state.queue.append(name) }
            if app != state.apps[name] { state.apps[name] = app }
        }
        state.settleMembership(at: time)
        return state
    }

    /// Takes an app off its node if that is absent, or has lacked the app in its reports for too long.
    private func look(for app: inout AppRecord, on node: NodeID) {
        guard let record = state.nodes[node] else {
            guard time - app.seenAt > state.parameters.absentAfter else { return }
            return app.requeue(app.reason, at: time)
        }
        guard !record.absent else {
            if app.home == node { return app.wait(for: state.name(of: node), at: time) }
            return app.requeue("\(state.name(of: node)) is silent", at: time)
        }
        guard app.phase == .running, let silence = silences[node], app.seenAt < time else { return }
        // What happened in a silence isn't known: the node may have been switched off and be starting its apps.
        if silence > SiteState.missingSilence { app.seenAt = time }
        if time - app.seenAt >= SiteState.missingAfter {
            app.requeue("\(state.name(of: node)) no longer reports it", at: time)
        }
    }
}

extension SiteState {
    /// Apps that waited for this node alone: nobody else may have them, so they go on in the incarnation they had.
    mutating func resumeApps(of node: NodeID) {
        for name in apps.names {
            guard var app = apps[name], app.isWaiting, app.node == node else { continue }
            app.resume(at: time)
            apps[name] = app
        }
    }

    /// Does what a plan says, at this state's height and time.
    mutating func apply(_ plan: Plan) {
        for assignment in plan.assignments {
            update(assignment.app) { app, incarnation in
                app.phase = .placed
                app.node = assignment.node
                app.on = nil
                app.incarnation = incarnation
            }
        }
        let assigned = Set(plan.assignments.map(\.app))
        if !assigned.isEmpty { queue.removeAll(where: assigned.contains) }
        for move in plan.moves {
            let (height, deadline) = (height, time + parameters.moveDeadline)
            update(move.app) { app, incarnation in
                app.phase = .moving
                app.move = RunningMove(to: move.to, incarnation: incarnation, height: height, deadline: deadline)
            }
        }
    }

    /// Gives the app a fresh incarnation and a new phase.
    private mutating func update(_ name: String, _ change: (inout AppRecord, UInt64) -> Void) {
        guard var app = apps[name] else { return }
        change(&app, nextIncarnation)
        app.since = time
        nextIncarnation += 1
        apps[name] = app
    }
}
