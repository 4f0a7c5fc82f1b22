import Contracts

/// Knowing what is on this device, and what an operation's end means.
extension MigratorMachine {
    mutating func observeIfDue() {
        guard !observation.isUnderWay, observation.isDue || now >= observation.next else { return }
        observation.number += 1
        observation.isUnderWay = true
        observation.isDue = false
        observation.begun = tick
        observation.next = now + Wait.observation
        effects.append(.observe(observation.number))
    }

    mutating func take(observation number: UInt64, _ found: [Copy]?) {
        guard observation.isUnderWay, number == observation.number else { return }
        observation.isUnderWay = false
        guard let found else {
            observation.next = min(observation.next, now + Wait.firstRestart)
            return
        }
        var byApp: [String: [Copy]] = [:]
        for copy in found { byApp[copy.app, default: []].append(copy) }
        // What an operation changed after the look began isn't in it: such an app keeps what it had and is looked
        // at again.
        for (app, since) in touched where since >= observation.begun || busy[app] != nil {
            byApp[app] = copies?[app]
            observation.isDue = observation.isDue || busy[app] == nil
        }
        for app in unknown where busy[app] == nil && (touched[app] ?? 0) < observation.begun { unknown.remove(app) }
        touched = touched.filter { $0.value >= observation.begun || busy[$0.key] != nil }
        copies = byApp
        noteInterrupted(found)
        noteSetAside(found)
    }

    /// Durable, for a migrator that dies after a boot must not take what the boot ended for what ended by itself.
    private mutating func noteInterrupted(_ found: [Copy]) {
        func ended(_ copy: Copy) -> Bool { if case .ended = copy.state { true } else { false } }
        let keys = Set(found.filter(ended).map { HandoffKey(app: $0.app, incarnation: $0.incarnation) })
        let known = journal.isAfterBoot ? keys : Set(journal.interrupted).intersection(keys)
        journal.isAfterBoot = false
        journal.interrupted = known.sorted()
    }

    private mutating func noteSetAside(_ found: [Copy]) {
        let aside = found.filter(\.isSetAside)
        let ids = Set(aside.map(\.id))
        let kept = journal.setAside.filter { ids.contains($0.id) }
        let known = Set(kept.map(\.id))
        journal.setAside =
            (kept
            + aside.filter { !known.contains($0.id) }
            .map { SetAside(id: $0.id, app: $0.app, since: wallTime) }).sorted { $0.id < $1.id }
    }

    mutating func finish(_ id: OperationID, _ outcome: OperationOutcome, _ found: [Copy]?) {
        guard let (app, running) = busy.first(where: { $0.value.id == id }) else { return }
        busy[app] = nil
        touched[app] = tick
        if let found {
            copies?[app] = found
            unknown.remove(app)
        } else {
            unknown.insert(app)
            observation.isDue = true
        }
        guard case .delayed(let reason) = outcome else {
            retries[app] = nil
            delays[app] = nil
            return conclude(app, running, outcome)
        }
        if running.isCancelled {
            retries[app] = nil
        } else {
            let delay = retries[app].map { min($0.delay * 2, Wait.lastRetry) } ?? Wait.firstRetry
            retries[app] = Retry(
                at: min(now + delay, latestRetry(app)), delay: delay, isOfStop: running.operation.isStop)
            delays[app] = reason
        }
    }

    /// A copy that the chain hasn't confirmed must not run on because something is waiting to be tried again.
    private func latestRetry(_ app: String) -> Int64 {
        guard let entry = journal.incoming.first(where: { $0.key.app == app }) else { return .max }
        return max(entry.freezeAt, now + Wait.firstRetry)
    }

    private mutating func conclude(_ app: String, _ running: RunningOperation, _ outcome: OperationOutcome) {
        switch running.operation {
        case .start(let placed, _): concludeStart(placed, outcome)
        case .remove(_, let copies, _, _):
            if case .done = outcome, let index = journal.outgoing.firstIndex(where: { $0.isRemoved(with: copies) }) {
                return close(index, .done)
            }
            concludeUpkeep(app, running, outcome)
        case .restart(let copy):
            // Not before it is done: a busy engine must not make a failure of an app that lost its power.
            if case .done = outcome {
                journal.interrupted.removeAll { $0 == HandoffKey(app: copy.app, incarnation: copy.incarnation) }
            }
            concludeUpkeep(app, running, outcome)
        case .freeze, .thaw, .setAside: concludeUpkeep(app, running, outcome)
        case .prepare(let entry, _, _), .checkpoint(let entry), .ship(let entry, _, _), .askRestore(let entry, _),
            .resume(let entry, _):
            guard let index = journal.outgoing.firstIndex(where: { $0.key == entry.key }) else { return }
            concludeOutgoing(index, running, outcome)
        case .restore(let entry):
            guard let index = journal.incoming.firstIndex(where: { $0.key == entry.key }) else { return }
            concludeRestore(index, outcome)
        case .discard(let key):
            guard let index = journal.incoming.firstIndex(where: { $0.key == key }) else { return }
            concludeDiscard(index, outcome)
        }
    }

    /// What keeps the device as it should be is tried again, later each time.
    private mutating func concludeUpkeep(_ app: String, _ running: RunningOperation, _ outcome: OperationOutcome) {
        guard case .refused(let reason) = outcome else { return }
        delays[app] = reason
        retries[app] = Retry(
            at: now + Wait.lastRetry, delay: Wait.lastRetry, isOfStop: running.operation.isStop)
    }

    mutating func scheduleWake() {
        var moments: [Int64] = retries.values.map(\.at) + posts.values.map(\.next) + offers.map(\.until)
        moments += goneSince.values.map { $0 + Wait.gone } + endedSince.values.map { $0 + Wait.ended }
        moments += restarts.values.map(\.at)
        moments += journal.incoming.filter { $0.phase != .refused }.map(\.freezeAt)
        moments += journal.outgoing.filter { $0.phase.isBusy }.map(\.askUntil)
        if let end = touchEnd { moments.append(end) }
        if !observation.isUnderWay { moments.append(observation.next) }
        guard let next = moments.filter({ $0 > now }).min() else { return }
        guard next != wakeAt else { return }
        wakeAt = next
        effects.append(.wake(at: next))
    }
}
