import Contracts
import MigratorCore
import MonitorCore

/// What an app has in memory: which run of the program it is, and how long that has been running in all.
struct Program: Hashable {
    /// A number for each start from nothing. A move keeps it.
    var life: Int
    /// Milliseconds.
    var ran: Int64 = 0
}

/// A device's Docker engine with CRIU: containers, checkpoints, and what handoffs have delivered. It outlives the
/// migrator; a power cut ends its containers and leaves what is on its disk.
final class SimulatedEngine {
    enum Weakness: String, CaseIterable, Sendable {
        /// Restores are refused, and leave a container behind that never ran.
        case restore
        case checkpoint
        case start
        /// The engine is too busy for anything half of the time.
        case busy
        /// What arrives is damaged.
        case transfer
    }

    private struct Container {
        var copy: Copy
        var specification: AppSpecification
        var program: Program
        var runningSince: Int64?
        /// Milliseconds that it ran before ``runningSince``, all its programs together.
        var ranBefore: Int64 = 0
        var created: Int64
        var checkpoint: Program?
    }

    let millicores: Int
    private let time: Timeline
    private var containers: [String: Container] = [:]
    private var parts: [HandoffKey: (specification: AppSpecification, program: Program, isIntact: Bool)] = [:]
    private var count = 0
    private var weaknesses: [Weakness: Int] = [:]
    private var busyAt: Int64 = -100_000
    /// How it is broken on purpose.
    var mutant: SimulatedSite.Mutant?
    /// Told of each change of an app's containers.
    var changed: (String) -> Void = { _ in }
    /// Told of each program that starts from nothing, and asked for its number.
    var beginProgram: (String, UInt64) -> Int = { _, _ in 0 }

    init(time: Timeline, millicores: Int) {
        self.time = time
        self.millicores = millicores
    }

    // MARK: - What it shows

    /// In ascending order of name.
    func copies(of app: String? = nil) -> [Copy] {
        containers.values.map(\.copy).filter { app == nil || $0.app == app }.sorted { $0.id < $1.id }
    }

    func program(of copy: String) -> Program? { containers[copy].map { program($0) } }

    private func program(_ container: Container) -> Program {
        var program = container.program
        if let since = container.runningSince { program.ran += time.now - since }
        return program
    }

    /// What monitor reads.
    func readings(now: Int64) -> [ContainerReading] {
        containers.values.sorted { $0.copy.id < $1.copy.id }.map { container in
            let ran = container.ranBefore + (container.runningSince.map { time.now - $0 } ?? 0)
            let demand = Int64(container.specification.cpuMillicores ?? 0)
            let state =
                switch container.copy.state {
                case .created: "created"
                case .running: "running"
                case .frozen: "paused"
                case .ended: "exited"
                }
            let at = Instant(
                engineNanoseconds: nil, askedNanoseconds: now * 1_000_000 - 1, answeredNanoseconds: now * 1_000_000)
            return ContainerReading(
                id: container.copy.id, name: container.copy.id, created: container.created, state: state,
                labels: [
                    "poise.app": container.copy.app, "poise.incarnation": String(container.copy.incarnation),
                ],
                counters: Counters(at: at, cpuNanoseconds: UInt64(ran * demand * 1_000), memoryBytes: 64 << 20))
        }
    }

    // MARK: - Weaknesses

    func weaken(_ weakness: Weakness) { weaknesses[weakness, default: 0] += 1 }
    func strengthen(_ weakness: Weakness) {
        weaknesses[weakness, default: 0] -= 1
        if weakness == .busy { busyAt = time.now }
    }

    /// When it was last too busy for some of what it was asked.
    var lastBusy: Int64 { fails(.busy) ? time.now : busyAt }
    private func fails(_ weakness: Weakness) -> Bool { weaknesses[weakness, default: 0] > 0 }

    func losePower() {
        for id in containers.keys.sorted() {
            guard let state = containers[id]?.copy.state, state == .running || state == .frozen else { continue }
            set(id, .ended(255))
        }
    }

    // MARK: - Operations of migrator

    /// Does what migrator asks for, or finds it done.
    func apply(_ operation: Operation) -> OperationOutcome {
        if fails(.busy), time.chance(perMille: 500) { return .delayed("the engine is busy") }
        switch operation {
        case .start(let placed, _): return start(placed)
        case .restart(let copy): return restart(copy.id)
        case .freeze(let copy): return change(copy.id, from: .running, to: .frozen)
        case .thaw(let copy): return change(copy.id, from: .frozen, to: .running)
        case .setAside(let copy, let ended): return setAside(copy.id, ended: ended)
        case .remove(let app, let ids, _, _): return remove(app, ids)
        case .checkpoint(let entry): return checkpoint(entry)
        case .resume(let entry, let fromCheckpoint): return resume(entry, fromCheckpoint)
        case .restore(let entry): return restore(entry)
        case .discard(let key): return discard(key)
        case .prepare, .ship, .askRestore: return .refused("this isn't the engine's affair")
        }
    }

    private static let done = OperationOutcome.done(OperationMeasures())

    private func live(_ app: String, _ incarnation: UInt64) -> String? {
        containers.values.map(\.copy).filter { $0.app == app && $0.incarnation == incarnation && !$0.isSetAside }
            .map(\.id).min()
    }

    private func add(
        _ specification: AppSpecification, _ incarnation: UInt64, _ program: Program, _ state: Copy.State
    ) {
        count += 1
        let id = "\(specification.name)-\(incarnation)-\(count)"
        let copy = Copy(
            id: id, app: specification.name, incarnation: incarnation, state: .created, isolated: specification.isolated
        )
        containers[id] = Container(
            copy: copy, specification: specification, program: program, created: Int64(count))
        set(id, state)
    }

    private func set(_ id: String, _ state: Copy.State) {
        guard var container = containers[id] else { return }
        if let since = container.runningSince {
            container.program.ran += time.now - since
            container.ranBefore += time.now - since
        }
        container.copy.state = state
        container.runningSince = state == .running ? time.now : nil
        containers[id] = container
        if state == .running { endLater(id, container) }
        changed(container.copy.app)
    }

    /// A program that has an end comes to it, wherever it runs by then.
    private func endLater(_ id: String, _ container: Container) {
        guard let text = container.specification.labels[Workload.endsAfter], let end = Int64(text) else { return }
        let since = container.runningSince
        time.after(end - container.program.ran) { [weak self] in
            guard let self, containers[id]?.runningSince == since, since != nil else { return }
            set(id, .ended(0))
        }
    }

    private func fresh(_ container: Copy) -> Program {
        Program(life: beginProgram(container.app, container.incarnation))
    }

    private func start(_ placed: PlacedApp) -> OperationOutcome {
        if fails(.start) { return .refused("the image is nowhere to be had") }
        let name = placed.specification.name
        if let id = live(name, placed.incarnation), let copy = containers[id]?.copy {
            guard copy.state == .created else { return Self.done }
            containers[id]?.program = fresh(copy)
            set(id, .running)
        } else {
            let program = Program(life: beginProgram(name, placed.incarnation))
            add(placed.specification, placed.incarnation, program, .running)
        }
        return Self.done
    }

    private func restart(_ id: String) -> OperationOutcome {
        guard let copy = containers[id]?.copy else { return .refused("there is no container \(id)") }
        guard copy.state != .running else { return Self.done }
        containers[id]?.program = fresh(copy)
        set(id, .running)
        return Self.done
    }

    private func change(_ id: String, from old: Copy.State, to new: Copy.State) -> OperationOutcome {
        guard let copy = containers[id]?.copy else { return .refused("there is no container \(id)") }
        if copy.state == old { set(id, new) }
        return Self.done
    }

    private func setAside(_ id: String, ended: Bool) -> OperationOutcome {
        guard let copy = containers[id]?.copy else { return .refused("there is no container \(id)") }
        containers[id]?.copy.isSetAside = true
        if ended { set(id, .ended(137)) } else if copy.state == .running { set(id, .frozen) }
        return Self.done
    }

    private func remove(_ app: String, _ ids: [String]) -> OperationOutcome {
        for id in ids { containers[id] = nil }
        changed(app)
        return Self.done
    }

    private func checkpoint(_ entry: Outgoing) -> OperationOutcome {
        guard let container = containers[entry.copy] else { return .lost("there is no container \(entry.copy)") }
        guard container.copy.state == .running else {
            return container.checkpoint == nil ? .lost("it has ended") : Self.done
        }
        if fails(.checkpoint) { return .refused("the app holds what can't be dumped") }
        containers[entry.copy]?.checkpoint = program(container)
        set(entry.copy, .ended(137))
        return Self.done
    }

    private func resume(_ entry: Outgoing, _ fromCheckpoint: Bool) -> OperationOutcome {
        guard let container = containers[entry.copy] else { return .refused("there is no container \(entry.copy)") }
        guard container.copy.state != .running else { return Self.done }
        if fromCheckpoint {
            guard let checkpoint = container.checkpoint else { return .refused("there is no checkpoint") }
            containers[entry.copy]?.program = checkpoint
        } else {
            containers[entry.copy]?.program = fresh(container.copy)
        }
        set(entry.copy, .running)
        return Self.done
    }

    private func restore(_ entry: Incoming) -> OperationOutcome {
        let key = entry.key
        guard let id = live(key.app, key.incarnation), let copy = containers[id]?.copy else {
            return .incomplete("the container of \(key) is gone")
        }
        guard copy.state == .created else { return copy.state == .running ? Self.done : .refused("it has ended") }
        guard let part = parts[key], part.isIntact else { return .incomplete("the checkpoint is damaged") }
        let lies = mutant == .lyingEngine
        if fails(.restore), !lies { return .refused("CRIU can't restore it here") }
        containers[id]?.program = mutant == .amnesiacEngine ? fresh(copy) : part.program
        set(id, .running)
        return lies ? .refused("CRIU can't restore it here") : Self.done
    }

    private func discard(_ key: HandoffKey) -> OperationOutcome {
        guard mutant != .lyingEngine else { return Self.done }
        if let id = live(key.app, key.incarnation) { containers[id] = nil }
        parts[key] = nil
        changed(key.app)
        return Self.done
    }

    // MARK: - Handoffs

    /// What the source ships: nil if there is no checkpoint.
    func checkpointed(_ copy: String) -> (specification: AppSpecification, program: Program)? {
        guard let container = containers[copy], let checkpoint = container.checkpoint else { return nil }
        return (container.specification, checkpoint)
    }

    /// The container is made when its files come, and started by the restore.
    func receive(_ key: HandoffKey, _ part: (specification: AppSpecification, program: Program)) {
        if live(key.app, key.incarnation) == nil {
            add(part.specification, key.incarnation, part.program, .created)
        }
        parts[key] = (part.specification, part.program, !(fails(.transfer) && time.chance(perMille: 700)))
    }
}
