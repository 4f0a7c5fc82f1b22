import Contracts
import MigratorCore

/// What a program has in memory: since when it lives without a break, anywhere.
typealias Memory = Int

/// A container with what an engine and CRIU keep of it.
struct SimulatedCopy {
    var copy: Copy
    var memory: Memory
    var checkpoint: Memory?
}

/// One device: its engine and disk outlive its migrator.
struct SimulatedDevice {
    let id: NodeID
    /// Of apps that are not simply to go on when the device is cut off.
    var policies: [String: IsolationPolicy] = [:]
    var machine: MigratorMachine?
    /// Tells a migrator's life from the ones before.
    var life = 0
    var boot = 0
    var journal = Journal()
    var copies: [String: SimulatedCopy] = [:]
    /// What has been received for a handoff: the memory, and whether it arrived as it was sent.
    var parts: [HandoffKey: (memory: Memory, isIntact: Bool)] = [:]
    var isCutOff = false
    var shown: UInt64 = 0
    var lastCrash: Int64 = -100_000

    func copies(of app: String) -> [Copy] {
        copies.values.map(\.copy).filter { $0.app == app }.sorted { $0.id < $1.id }
    }

    var allCopies: [Copy] { copies.values.map(\.copy).sorted { $0.id < $1.id } }

    func running(_ app: String) -> [SimulatedCopy] {
        copies.values.filter { $0.copy.app == app && $0.copy.state == .running }
    }

    private func live(_ app: String, _ incarnation: UInt64) -> String? {
        copies.first {
            $0.value.copy.app == app && $0.value.copy.incarnation == incarnation && !$0.value.copy.isSetAside
        }?
        .key
    }

    /// Does a local operation as Docker would, or finds it done.
    mutating func apply(_ operation: Operation, fresh: () -> Memory) -> OperationOutcome {
        switch operation {
        case .start(let placed, _): start(placed, fresh)
        case .restart(let copy):
            change(copy.id) { if $0.copy.state != .running { ($0.copy.state, $0.memory) = (.running, fresh()) } }
        case .freeze(let copy): change(copy.id) { if $0.copy.state == .running { $0.copy.state = .frozen } }
        case .thaw(let copy): change(copy.id) { if $0.copy.state == .frozen { $0.copy.state = .running } }
        case .setAside(let copy, let ended):
            change(copy.id) {
                $0.copy.isSetAside = true
                if ended { $0.copy.state = .ended(137) } else if $0.copy.state == .running { $0.copy.state = .frozen }
            }
        case .remove(_, let ids, _, _): remove(ids)
        case .checkpoint(let entry): checkpoint(entry)
        case .resume(let entry, let fromCheckpoint): resume(entry, fromCheckpoint, fresh)
        case .restore(let entry): restore(entry)
        case .discard(let key): discard(key)
        case .prepare, .ship, .askRestore: .delayed("not local")
        }
    }

    private mutating func change(_ id: String, _ body: (inout SimulatedCopy) -> Void) -> OperationOutcome {
        guard var copy = copies[id] else { return .refused("no container \(id)") }
        body(&copy)
        copies[id] = copy
        return .done(OperationMeasures())
    }

    private mutating func remove(_ ids: [String]) -> OperationOutcome {
        for id in ids { copies[id] = nil }
        return .done(OperationMeasures())
    }

    private mutating func add(_ app: String, _ incarnation: UInt64, _ memory: Memory) {
        let id = "\(app)-\(incarnation)"
        let policy = policies[app] ?? .run
        copies[id] = SimulatedCopy(
            copy: Copy(id: id, app: app, incarnation: incarnation, state: .running, isolated: policy), memory: memory)
    }

    private mutating func start(_ placed: PlacedApp, _ fresh: () -> Memory) -> OperationOutcome {
        if let id = live(placed.specification.name, placed.incarnation) {
            if copies[id]!.copy.state == .created { copies[id]!.copy.state = .running }
        } else {
            add(placed.specification.name, placed.incarnation, fresh())
        }
        return .done(OperationMeasures())
    }

    private mutating func checkpoint(_ entry: Outgoing) -> OperationOutcome {
        guard let copy = copies[entry.copy] else { return .lost("no container") }
        if copy.copy.state == .running {
            copies[entry.copy]!.checkpoint = copy.memory
            copies[entry.copy]!.copy.state = .ended(137)
            return .done(OperationMeasures())
        }
        return copy.checkpoint == nil ? .lost("it ended") : .done(OperationMeasures())
    }

    private mutating func resume(_ entry: Outgoing, _ fromCheckpoint: Bool, _ fresh: () -> Memory) -> OperationOutcome {
        guard let copy = copies[entry.copy] else { return .refused("no container") }
        guard copy.copy.state != .running else { return .done(OperationMeasures()) }
        if fromCheckpoint {
            guard let memory = copy.checkpoint else { return .refused("no checkpoint") }
            copies[entry.copy]!.memory = memory
        } else {
            copies[entry.copy]!.memory = fresh()
        }
        copies[entry.copy]!.copy.state = .running
        return .done(OperationMeasures())
    }

    private mutating func restore(_ entry: Incoming) -> OperationOutcome {
        if let id = live(entry.key.app, entry.key.incarnation) {
            return copies[id]!.copy.state == .running ? .done(OperationMeasures()) : .refused("it ended")
        }
        guard let part = parts[entry.key], part.isIntact else { return .incomplete("the checkpoint is damaged") }
        add(entry.key.app, entry.key.incarnation, part.memory)
        return .done(OperationMeasures())
    }

    private mutating func discard(_ key: HandoffKey) -> OperationOutcome {
        if let id = live(key.app, key.incarnation) { copies[id] = nil }
        parts[key] = nil
        return .done(OperationMeasures())
    }
}
