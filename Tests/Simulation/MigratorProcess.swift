import Contracts
import MigratorCore

/// migrator with its core: its operations take time and go on at the engine even if it dies.
final class MigratorProcess: SimulatedProcess {
    private var machine: MigratorMachine?
    private lazy var alarms = Alarms<String>(of: self)
    private var source: Int?
    private var waiting: [UInt64: (HandoffAnswer?) -> Void] = [:]
    private var requests: UInt64 = 0
    private var running: Set<OperationID> = []

    init(on device: SimulatedDevice) {
        super.init(.migrator, on: device)
    }

    override func boot() {
        machine = MigratorMachine(
            journal: device.disk.journal, ignoringIncarnations: site.mutant == .incarnationIgnored)
        step(.started(boot: "boot \(device.boots)"))
    }

    override func halt() {
        machine = nil
        source = nil
        running = []
        let broken = waiting.sorted { $0.key < $1.key }
        waiting = [:]
        for (_, answer) in broken { time.after(1) { answer(nil) } }
    }

    /// The handoffs that this device knows of.
    var journal: Journal { device.disk.journal }

    func follow(_ planner: PlannerProcess) {
        guard planner.isUp else { return }
        source = planner.life
        if let placement = planner.newestPlacement { take(placement, from: planner) }
        if let commit = planner.newestCommit { take(commit, from: planner) }
    }

    /// The two feeds are two connections: neither waits for the other.
    func take(_ commit: Commit, from planner: PlannerProcess) {
        guard isUp, source == planner.life else { return }
        later(time.draw(1...3)) { [self] in step(.committed(commit)) }
    }

    func take(_ placement: Placement, from planner: PlannerProcess) {
        guard isUp, source == planner.life else { return }
        later(time.draw(1...3)) { [self] in step(.placement(placement)) }
    }

    /// The engine's own word that something happened to a container.
    func noticeEngine() {
        if isUp { later(time.draw(1...50)) { [self] in step(.engineChanged) } }
    }

    // MARK: - Effects

    private func step(_ kind: MigratorEvent.Kind) {
        let event = MigratorEvent(now: device.now, wallTime: device.wallTime, kind)
        perform(machine?.step(event) ?? []) { effect in
            switch effect {
            case .persist(let journal): device.disk.journal = journal
            case .perform(let id, let operation): begin(id, operation)
            case .cancel(let id): if running.contains(id) { finish(id, .delayed("cancelled"), app: nil) }
            case .observe(let number):
                // What the engine lists is as old as the way of its answer is long.
                let found = device.engine.copies()
                later(time.draw(1...60)) { [self] in step(.observed(number, found)) }
            case .post(let receipt): device.planner.take(receipt)
            case .answer(let id, let answer):
                if let waiter = waiting.removeValue(forKey: id.number) { time.after(1) { waiter(answer) } }
            case .wake(let at): alarms.arm("wake", after: at - device.now) { [self] in step(.timer) }
            }
        }
    }

    private func begin(_ id: OperationID, _ operation: Operation) {
        site.note(device, operation.words)
        if let peer = operation.peer { site.ambush(device, peer) }
        switch operation {
        case .prepare(let entry, let peer, let remaining):
            offer(id, entry, peer, remaining) { [self] in
                finish(id, .done(OperationMeasures()), app: entry.app, after: time.draw(20...400))
            }
        case .ship(let entry, let peer, let remaining):
            offer(id, entry, peer, remaining) { [self] in
                running.insert(id)
                later(time.draw(50...800)) { [self] in ship(id, entry, peer) }
            }
        case .askRestore(let entry, let peer): askRestore(id, entry, peer)
        default: ask(engine: device.engine, id, operation)
        }
    }

    /// A request that reached the engine is done even if the migrator dies; one that didn't is not.
    private func ask(engine: SimulatedEngine, _ id: OperationID, _ operation: Operation) {
        let life = life
        let boot = device.boots
        time.after(time.draw(5...300)) { [self] in
            guard device.isOn, device.boots == boot, self.life == life || time.chance(perMille: 500) else { return }
            let outcome = engine.apply(operation)
            guard self.life == life else { return }
            later(time.draw(1...20)) { [self] in
                site.note(device, "\(operation.words): \(outcome.words)")
                step(.finished(id, outcome, copies(operation.app)))
            }
        }
    }

    private func copies(_ app: String) -> [Copy]? {
        time.chance(perMille: 20) ? nil : device.engine.copies(of: app)
    }

    /// Ends a remote operation, unless it has ended.
    private func finish(_ id: OperationID, _ outcome: OperationOutcome, app: String?, after delay: Int64 = 1) {
        running.insert(id)
        later(delay) { [self] in
            guard running.remove(id) != nil else { return }
            if let app { site.note(device, "handoff of \(app): \(outcome.words)") }
            step(.finished(id, outcome, app.flatMap { copies($0) }))
        }
    }

    // MARK: - Handoffs

    private func offer(
        _ id: OperationID, _ entry: Outgoing, _ peer: PlacedNode, _ remaining: Int64, _ accepted: @escaping () -> Void
    ) {
        running.insert(id)
        let offer = Offer(
            app: entry.app, incarnation: entry.order.incarnation, from: device.id, imageID: "", layers: [],
            remaining: remaining)
        exchange(id, entry, peer, { .offered($0, offer) }, accepted)
    }

    private func askRestore(_ id: OperationID, _ entry: Outgoing, _ peer: PlacedNode) {
        running.insert(id)
        let from = device.id
        exchange(id, entry, peer, { .restoreAsked($0, entry.key, from: from, entry.parts) }) { [self] in
            finish(id, .done(OperationMeasures()), app: entry.app)
        }
    }

    private func exchange(
        _ id: OperationID, _ entry: Outgoing, _ peer: PlacedNode,
        _ kind: @escaping (RequestID) -> MigratorEvent.Kind, _ agreed: @escaping () -> Void
    ) {
        guard let address = peer.migratorAddress else {
            return finish(id, .delayed("the target's address is not known"), app: entry.app)
        }
        site.network.ask(from: device, address) { target, reply in
            target.migrator.request(kind, reply)
        } done: { [self, life] (answer: HandoffAnswer?) in
            guard self.life == life, running.contains(id) else { return }
            switch answer {
            case nil: finish(id, .delayed("no answer"), app: entry.app)
            case .accepted, .running: agreed()
            case .problem(let problem): finish(id, Self.outcome(problem), app: entry.app)
            }
        }
    }

    private static func outcome(_ problem: Problem) -> OperationOutcome {
        switch problem.code {
        case "refused": .refused(problem.detail)
        case "unknown-handoff", "digest-mismatch": .incomplete(problem.detail)
        default: .delayed(problem.detail)
        }
    }

    private func request(_ kind: (RequestID) -> MigratorEvent.Kind, _ answer: @escaping (HandoffAnswer?) -> Void) {
        guard isUp else {
            time.after(1) { answer(nil) }
            return
        }
        requests += 1
        waiting[requests] = answer
        let event = kind(RequestID(requests))
        later(1) { [self] in step(event) }
    }

    private func ship(_ id: OperationID, _ entry: Outgoing, _ peer: PlacedNode) {
        guard running.contains(id) else { return }
        guard let address = peer.migratorAddress, let part = device.engine.checkpointed(entry.copy) else {
            return finish(id, .delayed("there is no checkpoint"), app: entry.app)
        }
        site.network.ask(from: device, address) { target, reply in
            let isExpected = target.migrator.journal.incoming.contains {
                $0.key == entry.key && $0.phase == .receiving
            }
            guard target.migrator.isUp, isExpected else { return reply(nil) }
            target.engine.receive(entry.key, part)
            reply(true)
        } done: { [self, life] (taken: Bool?) in
            guard self.life == life, running.contains(id) else { return }
            let digest = PartDigest(part: "checkpoint", bytes: 64 << 20, digest: .zero)
            let outcome: OperationOutcome =
                taken == nil ? .delayed("the transfer broke off") : .done(OperationMeasures(parts: [digest]))
            finish(id, outcome, app: entry.app)
        }
    }
}
