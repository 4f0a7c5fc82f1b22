import Contracts
import Glibc
import Logging
import MigratorCore
import Runtime
import Synchronization
import Transport

/// Runs the machine: performs its effects with the engine, other migrators and planner.
final class MigratorService: Sendable {
    let metrics = MigratorMetrics()
    let engine: DockerEngine
    let target: HandoffTarget
    private let settings: MigratorSettings
    private let client = HTTPClient()
    private let local: LocalOperations
    private let source: HandoffSource
    private let feed: PlannerFeed
    private let receipts: ReceiptClient
    private let loop: MachineLoop<MigratorMachine>
    private let requests = PendingAnswers()
    private let running = Mutex<[OperationID: Task<Void, Never>]>([:])
    private let engineCheck = Mutex(HealthCheck(.warn, "Docker has not answered yet"))
    private let log = Logger(label: "migrator")

    init(_ settings: MigratorSettings, runDirectory: String, stateDirectory: String) throws {
        self.settings = settings
        engine = DockerEngine(socket: settings.dockerSocket, client: client)
        let checkpoints = Checkpoints(dockerRoot: settings.dockerRoot)
        local = LocalOperations(
            engine: engine, checkpoints: checkpoints, images: ImageSource(engine: engine, client: client),
            site: settings.site, devices: settings.devices)
        source = HandoffSource(engine: engine, client: client, checkpoints: checkpoints)
        target = HandoffTarget(
            engine: engine, local: local, reserve: settings.reserve, stateDirectory: stateDirectory)
        feed = PlannerFeed(client: client, runDirectory: runDirectory)
        receipts = ReceiptClient(client: client, runDirectory: runDirectory, metrics: metrics)
        let store = JournalStore(stateDirectory: stateDirectory)
        let performer = Performer()
        loop = MachineLoop(MigratorMachine(journal: try store.read())) { effect, loop in
            try await performer.perform(effect, store, loop)
        }
        performer.service.withLock { $0 = self }
    }

    /// Breaks the circle of loop and service.
    private final class Performer: Sendable {
        let service = Mutex<MigratorService?>(nil)

        func perform(
            _ effect: MigratorEffect, _ store: JournalStore, _ loop: MachineLoop<MigratorMachine>
        ) async throws {
            guard let service = service.withLock({ $0 }) else { return }
            try service.perform(effect, store)
        }
    }

    private enum TimerKey { case wake }
    private let timers = Timers<TimerKey>()

    private func send(_ kind: MigratorEvent.Kind) {
        loop.send(
            MigratorEvent(now: MonotonicClock.nowMilliseconds(), wallTime: WallClock.nowMilliseconds(), kind))
    }

    private func perform(_ effect: MigratorEffect, _ store: JournalStore) throws {
        switch effect {
        case .persist(let journal):
            try store.write(journal)
            metrics.take(journal)
            target.forget(except: Set(journal.incoming.map(\.key)))
        case .perform(let id, let operation): begin(id, operation)
        case .cancel(let id): running.withLock { $0[id] }?.cancel()
        case .observe(let number): observe(number)
        case .post(let receipt): receipts.post(receipt)
        case .answer(let request, let answer): requests.resolve(request, answer)
        case .wake(let at):
            let delay = max(1, at - MonotonicClock.nowMilliseconds())
            timers.arm(.wake, after: .milliseconds(delay)) { [self] in send(.timer) }
        }
    }

    private func observe(_ number: UInt64) {
        Task {
            do {
                let copies = try await local.copies()
                engineCheck.withLock { $0 = HealthCheck(.pass) }
                send(.observed(number, copies))
            } catch {
                engineCheck.withLock { $0 = HealthCheck(.fail, "Docker: \(error)") }
                send(.observed(number, nil))
            }
        }
    }

    private func begin(_ id: OperationID, _ operation: Operation) {
        let task = Task {
            let began = MonotonicClock.nowMilliseconds()
            let outcome = await outcome(of: operation)
            log.info(
                "\(operation.words): \(outcome.words)",
                metadata: ["ms": "\(MonotonicClock.nowMilliseconds() - began)"])
            metrics.ended(operation, outcome)
            running.withLock { $0[id] = nil }
            // Not in this task: it may have been cancelled, and what is here must be known all the same.
            let copies = await Task { try? await local.copies(of: operation.app) }.value
            send(.finished(id, outcome, copies))
        }
        running.withLock { $0[id] = task }
    }

    private func outcome(of operation: Operation) async -> OperationOutcome {
        do { return try await perform(operation) } catch let problem as Problem {
            // The engine's no. What is gone, or in another state than thought, shows in the copies.
            return problem.status >= 500 ? .delayed(problem.detail) : .refused(problem.detail)
        } catch {
            return .delayed("\(error)")
        }
    }

    private func perform(_ operation: Operation) async throws -> OperationOutcome {
        switch operation {
        case .start(let placed, let peers): return try await local.start(placed, peers: peers)
        case .restart(let copy): return try await local.restart(copy.id)
        case .freeze(let copy): return try await local.freeze(copy.id)
        case .thaw(let copy): return try await local.thaw(copy.id)
        case .setAside(let copy, let ended): return try await local.setAside(copy, ended: ended)
        case .remove(let app, let ids, let grace, let volumes):
            return try await local.remove(app, ids, grace: grace, volumes: volumes)
        case .checkpoint(let entry): return try await local.checkpoint(entry)
        case .resume(let entry, let fromCheckpoint):
            return try await local.resume(entry, fromCheckpoint: fromCheckpoint)
        case .restore(let entry): return try await target.restore(entry)
        case .discard(let key): return try await target.discard(key)
        case .prepare(let entry, let peer, let remaining):
            return await source.prepare(entry, here: try await here(), peer: peer, remaining: remaining)
        case .ship(let entry, let peer, let remaining):
            return await source.ship(entry, here: try await here(), peer: peer, remaining: remaining)
        case .askRestore(let entry, let peer):
            return await source.askRestore(entry, here: try await here(), peer: peer)
        }
    }

    private func here() async throws -> NodeID {
        guard let here = await loop.read({ $0.placement?.here }) else {
            throw Problem(503, "no-placement", "planner has not said yet which node this is")
        }
        return here
    }
}

/// What other migrators ask.
extension MigratorService {
    func offer(_ offer: Offer) async throws {
        guard AppSpecification.isValid(name: offer.app), offer.layers.count <= 1_000 else {
            throw Problem(400, "invalid-json", "the offer names no app, or more than 1000 layers")
        }
        try await ask { .offered($0, offer) }
    }

    func restore(_ key: HandoffKey, _ wish: RestoreWish) async throws {
        try await ask { .restoreAsked($0, key, from: wish.from, wish.parts) }
    }

    private func ask(_ event: (RequestID) -> MigratorEvent.Kind) async throws {
        let (request, answer) = requests.open()
        send(event(request))
        if case .problem(let problem) = try await answer() { throw problem }
    }

    /// Whether the handoff takes files now.
    ///
    /// - Returns: the app's specification, as the chain has it.
    @discardableResult
    func receiving(_ key: HandoffKey, from: NodeID?) async throws -> AppSpecification {
        let found = await loop.read { machine -> AppSpecification? in
            guard
                let entry = machine.journal.incoming.first(where: { $0.key == key }), entry.phase == .receiving,
                from.map({ $0 == entry.from }) ?? true
            else { return nil }
            return machine.placement?.apps.first { $0.specification.name == key.app }?.specification
        }
        guard let found else {
            throw Problem(404, "unknown-handoff", "no handoff of \(key) is open here: offer it first")
        }
        return found
    }

    func isPlaced(image: String) async -> Bool {
        await loop.read { $0.placement?.apps.contains { $0.specification.image == image } ?? false }
    }

    func saved(image: String) async throws -> ResponseChunks {
        guard try await engine.image(image) != nil else {
            throw Problem(404, "unknown-image", "this device has no image \(image)")
        }
        return try await engine.save(image)
    }
}

/// What the operator asks, and what runs for as long as the service does.
extension MigratorService {
    func moves() async -> [MoveRow] {
        await loop.read { machine in
            let names = Dictionary(
                (machine.placement?.nodes ?? []).map { ($0.id, $0.name) }, uniquingKeysWith: { first, _ in first })
            return machine.moves.map { MoveRow($0, names: names, waits: machine.delays[$0.app]) }
        }
    }

    func preflight() async -> [PreflightCheck] {
        await Preflight(engine: engine, settings: settings, probe: nil).run()
    }

    func checks() async -> [String: HealthCheck] {
        let (stale, acted, delays) = await loop.read { ($0.staleHeight, $0.journal.height, $0.delays) }
        var checks = ["planner": feed.check, "docker": engineCheck.withLock { $0 }]
        if let stale {
            checks["placement"] = HealthCheck(
                .warn,
                "planner is at block \(stale) and this device has acted on block \(acted) already: waiting for planner to "
                    + "catch up. If the site was founded anew, remove migrator's state directory and restart it")
        }
        if let first = delays.min(by: { $0.key < $1.key }) {
            checks["apps"] = HealthCheck(
                .warn,
                "\(first.key) waits: \(first.value)" + (delays.count > 1 ? " (and \(delays.count - 1) more)" : ""))
        }
        return checks
    }

    var tasks: [ServiceTask] {
        [
            ServiceTask("migrator") { [self] in
                send(.started(boot: try Boot.name(dockerSocket: settings.dockerSocket)))
                try await loop.run()
            },
            ServiceTask("following planner") { [self] in
                try await feed.follow { [self] placement in
                    metrics.placed(placement)
                    send(.placement(placement))
                }
            },
            ServiceTask("following the chain's blocks") { [self] in
                try await feed.followCommits { [self] in send(.committed($0)) }
            },
            ServiceTask("watching Docker") { [self] in try await watchEngine() },
        ]
    }

    private func watchEngine() async throws {
        while !Task.isCancelled {
            do {
                let events = try await engine.events()
                send(.engineChanged)
                for try await _ in events { send(.engineChanged) }
            } catch let error where !(error is CancellationError) {
                log.debug("Docker's events broke off: \(error)")
            }
            try await Task.sleep(for: .seconds(1))
        }
    }
}

/// Requests of other migrators that the machine has not answered yet.
final class PendingAnswers: Sendable {
    private struct State {
        var next: UInt64 = 0
        var waiting: [RequestID: AsyncStream<HandoffAnswer>.Continuation] = [:]
    }

    private let state = Mutex(State())

    /// A new request, and what waits for its answer.
    func open() -> (RequestID, @Sendable () async throws -> HandoffAnswer) {
        let (stream, continuation) = AsyncStream.makeStream(
            of: HandoffAnswer.self, bufferingPolicy: .bufferingOldest(1))
        let id = state.withLock { state in
            state.next += 1
            state.waiting[RequestID(state.next)] = continuation
            return RequestID(state.next)
        }
        continuation.onTermination = { [weak self] _ in _ = self?.state.withLock { $0.waiting.removeValue(forKey: id) }
        }
        return (
            id,
            {
                for await answer in stream { return answer }
                throw CancellationError()
            }
        )
    }

    func resolve(_ id: RequestID, _ answer: HandoffAnswer) {
        let continuation = state.withLock { $0.waiting.removeValue(forKey: id) }
        continuation?.yield(answer)
        continuation?.finish()
    }
}
