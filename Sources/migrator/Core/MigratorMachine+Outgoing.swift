import Contracts

/// The source's half of a move.
extension MigratorMachine {
    /// What the newest placement means for a handoff.
    enum Decision { case pending, moved, stays, other }

    func decision(_ entry: Outgoing, _ placed: PlacedApp?, here: NodeID) -> Decision {
        guard let placed else { return .other }
        if placed.node == entry.order.to, placed.incarnation == entry.order.incarnation { return .moved }
        guard placed.node == here, placed.incarnation == entry.incarnation else { return .other }
        return placed.move?.incarnation == entry.order.incarnation ? .pending : .stays
    }

    mutating func startMove(_ placed: PlacedApp, _ order: MoveOrder, _ own: Copy?, _ placement: Placement) {
        guard isInTouch else { return keepAlive(own, placed, placement) }
        let app = placed.specification.name
        let key = HandoffKey(app: app, incarnation: order.incarnation)
        guard let learned = journal.learned.first(where: { $0.key == key }) else { return }
        let askUntil = learned.safeUntil
        var entry = Outgoing(
            app: app, incarnation: placed.incarnation, order: order, phase: .preparing, copy: own?.id ?? "",
            askUntil: askUntil)
        entry.measures.startedAt = wallTime
        entry.measures.phaseSince = now
        if let reason = whyUnmovable(placed, own, askUntil) {
            // Journalled, because the chain may hear of it late: the move must not be begun after all.
            entry.phase = .refused
            entry.reason = reason
        } else if journal.outgoing.contains(where: { $0.phase.isBusy }) {
            return
        }
        journal.outgoing.append(entry)
        reconcileOutgoing(journal.outgoing.count - 1, placed, placement)
    }

    private func whyUnmovable(_ placed: PlacedApp, _ own: Copy?, _ askUntil: Int64) -> String? {
        if own?.state != .running { return "the app isn't running at the move's source" }
        if placed.specification.move == .never { return "its label poise.move says never" }
        return now < askUntil ? nil : "the source was too late to begin the move"
    }

    mutating func reconcileOutgoing(_ index: Int, _ placed: PlacedApp?, _ placement: Placement) {
        let entry = journal.outgoing[index]
        let decision = decision(entry, placed, here: placement.here)
        let own = liveCopies(entry.app).first { $0.incarnation == entry.incarnation }
        switch entry.phase {
        case .preparing:
            prepare(index, decision, own, placement)
        case .checkpointing:
            // Whatever the chain says by now: the engine may be at it, and only its end tells where the app stands.
            perform(entry.app, .checkpoint(entry))
        case .shipping, .restoring, .deciding, .resuming:
            switch decision {
            case .moved: enter(index, .removing)
            case .other: return close(index, .abandoned)
            case .stays: if entry.phase != .resuming { enter(index, .resuming) }
            case .pending: if pursue(index, placement) { return }
            }
            if journal.outgoing[index].phase == .removing { return removeMoved(index) }
            if journal.outgoing[index].phase == .resuming { resume(index, own, placed) }
        case .refused:
            guard decision == .pending, let placed else { return close(index, .refused) }
            post(entry.key, .refused, entry.reason)
            keepAlive(own, placed, placement)
        case .removing:
            removeMoved(index)
        }
    }

    private mutating func prepare(_ index: Int, _ decision: Decision, _ own: Copy?, _ placement: Placement) {
        let entry = journal.outgoing[index]
        guard decision == .pending else { return close(index, .abandoned) }
        if let own, mustFreeze(own) {
            return refuse(index, "the source lost touch with the site before the app was frozen")
        }
        guard own?.state == .running else { return refuse(index, "the app ended before it was moved") }
        guard now < entry.askUntil else {
            return refuse(index, "the target was not ready in time: \(delays[entry.app] ?? "no answer")")
        }
        guard let peer = placement.nodes.first(where: { $0.id == entry.order.to }) else { return }
        perform(entry.app, .prepare(entry, peer: peer, remaining: entry.askUntil - now))
    }

    /// Goes on with a frozen app's handoff as long as the chain waits for it.
    ///
    /// - Returns: whether nothing is left to do in this step.
    private mutating func pursue(_ index: Int, _ placement: Placement) -> Bool {
        let entry = journal.outgoing[index]
        let peer = placement.nodes.first { $0.id == entry.order.to }
        let isLate = now >= entry.askUntil
        switch entry.phase {
        case .shipping:
            if isLate {
                return giveUp(index, "the target could not be reached in time: \(delays[entry.app] ?? "no answer")")
            }
            if let peer { perform(entry.app, .ship(entry, peer: peer, remaining: entry.askUntil - now)) }
        case .restoring:
            if isLate {
                enter(index, .deciding)
            } else if let peer {
                journal.outgoing[index].wasAsked = true
                perform(entry.app, .askRestore(journal.outgoing[index], peer: peer))
            }
        case .resuming: return false
        case .preparing, .checkpointing, .deciding, .refused, .removing: break
        }
        return true
    }

    /// The source ends the handoff by itself where it may: it never asked for the restore, so no copy can run there.
    ///
    /// - Returns: whether the chain must be waited for.
    private mutating func giveUp(_ index: Int, _ reason: String) -> Bool {
        journal.outgoing[index].reason = reason
        enter(index, journal.outgoing[index].wasAsked ? .deciding : .resuming)
        return journal.outgoing[index].wasAsked
    }

    /// An app that must not run out of touch waits as its checkpoint.
    private mutating func resume(_ index: Int, _ own: Copy?, _ placed: PlacedApp?) {
        let entry = journal.outgoing[index]
        if let own, mustFreeze(own) { return perform(entry.app, .freeze(own)) }
        guard mayRun(placed?.specification.isolated ?? .run) else { return }
        perform(entry.app, .resume(entry, fromCheckpoint: entry.attempts < Self.resumeAttempts))
    }

    /// After so many failures to start from the checkpoint the app is started anew: without its memory, but not never.
    static let resumeAttempts = 3

    private mutating func removeMoved(_ index: Int) {
        let entry = journal.outgoing[index]
        perform(entry.app, .remove(app: entry.app, copies: [entry.copy], grace: 0, volumes: true))
    }

    private mutating func refuse(_ index: Int, _ reason: String) {
        journal.outgoing[index].reason = reason
        enter(index, .refused)
        post(journal.outgoing[index].key, .refused, reason)
    }

    mutating func enter(_ index: Int, _ phase: Outgoing.Phase) {
        var entry = journal.outgoing[index]
        entry.measures.endPhase(entry.phase.rawValue, now)
        entry.phase = phase
        entry.attempts = 0
        journal.outgoing[index] = entry
        delays[entry.app] = nil
    }

    mutating func close(_ index: Int, _ outcome: MoveRecord.Outcome) {
        var entry = journal.outgoing.remove(at: index)
        entry.measures.endPhase(entry.phase.rawValue, now)
        entry.measures.endedAt = wallTime
        delays[entry.app] = nil
        guard let here = placement?.here else { return }
        journal.remember(MoveRecord(entry, here: here, outcome: outcome))
        // What comes next for the app follows from the placement alone.
        observation.isDue = true
    }

    mutating func concludeOutgoing(_ index: Int, _ running: RunningOperation, _ outcome: OperationOutcome) {
        switch (running.operation, outcome) {
        case (.prepare, .done(let measures)):
            journal.outgoing[index].measures.imageBytes += measures.imageBytes
            let entry = journal.outgoing[index]
            if entry.askUntil - now < Self.leastTime {
                return refuse(index, "shipping the image left too little time for the rest")
            }
            enter(index, .checkpointing)
            journal.outgoing[index].measures.frozenAt = now
        case (.checkpoint, .done): enter(index, .shipping)
        case (.checkpoint, .lost(let reason)): concludeLoss(index, reason)
        case (.prepare, .refused(let reason)), (.checkpoint, .refused(let reason)): refuse(index, reason)
        case (.ship, .done(let measures)):
            journal.outgoing[index].takeParts(measures.parts)
            enter(index, .restoring)
        case (.ship, .refused(let reason)): _ = giveUp(index, reason)
        case (.askRestore, .done): concludeAsk(index)
        case (.askRestore, .refused(let reason)):
            // The target has written down that it will never restore this one.
            journal.outgoing[index].reason = reason
            enter(index, .resuming)
        case (.askRestore, .incomplete): enter(index, .shipping)
        case (.resume, .done(let measures)): concludeResume(index, measures.remark)
        case (.resume, .refused(let reason)):
            journal.outgoing[index].attempts += 1
            delays[journal.outgoing[index].app] = reason
            retries[journal.outgoing[index].app] = Retry(at: now + Wait.firstRestart, delay: Wait.firstRestart)
        default: break
        }
    }

    /// Milliseconds below which an app isn't frozen for a move any more.
    static let leastTime: Int64 = 2_000

    /// The app is no more and left no checkpoint: it is started anew, unless it came to its own end just before.
    private mutating func concludeLoss(_ index: Int, _ reason: String) {
        let entry = journal.outgoing[index]
        // How it ended is not known: the next try finds it as it is.
        guard !unknown.contains(entry.app) else { return }
        let own = liveCopies(entry.app).first { $0.incarnation == entry.incarnation }
        let placed = placement?.apps.first { $0.specification.name == entry.app }
        if let own, own.state == .ended(0), let placed, !isRestarted(own, placed.specification, 0) {
            return refuse(index, "the app ended before it was moved")
        }
        journal.outgoing[index].reason = reason
        enter(index, .resuming)
        journal.outgoing[index].attempts = Self.resumeAttempts
    }

    private mutating func concludeAsk(_ index: Int) {
        if let frozenAt = journal.outgoing[index].measures.frozenAt {
            journal.outgoing[index].measures.downtime = now - frozenAt
        }
        enter(index, .deciding)
    }

    private mutating func concludeResume(_ index: Int, _ remark: String) {
        if let frozenAt = journal.outgoing[index].measures.frozenAt {
            journal.outgoing[index].measures.downtime = now - frozenAt
        }
        if !remark.isEmpty { journal.outgoing[index].reason += "; " + remark }
        enter(index, .refused)
    }
}
