import Contracts
import Logging
import MonitorCore
import Runtime
import Transport

/// Runs the machine against Docker's engine: performs its effects.
final class MonitorService: Sendable {
    private enum TimerKey { case sample }

    let board = LoadBoard()
    let metrics = Metrics()
    private let counts: MonitorMetrics
    private let loop: MachineLoop<MonitorMachine>
    private let engine: DockerEngine
    /// Whether the engine is to be described, for each sample asked for.
    private let requests: AsyncStream<Bool>

    init(_ settings: MonitorSettings, patience: DockerEngine.Patience = .init()) {
        let counts = MonitorMetrics(metrics)
        let log = Logger(label: "monitor")
        let timers = Timers<TimerKey>()
        let board = board
        // The machine asks for one sample at a time.
        let (requests, request) = AsyncStream.makeStream(of: Bool.self, bufferingPolicy: .bufferingNewest(1))
        loop = MachineLoop(MonitorMachine(settings.parameters)) { effect, loop in
            switch effect {
            case .sample(let describing): request.yield(describing)
            case .publish(let matrix):
                board.publish(matrix)
                counts.published(matrix, readers: board.readerCount)
            case .withdraw: board.withdraw()
            case .arm(let delay):
                timers.arm(.sample, after: .milliseconds(delay)) {
                    loop.send(.due(now: MonotonicClock.nowMilliseconds()))
                }
            case .countFailure(let fault): counts.failed(fault)
            case .countLabel(let fault): counts.rejected(fault)
            case .countFigures(let fault, let count): counts.missed(fault, count)
            case .log(.info, let text): log.info("\(text)")
            case .log(.warning, let text): log.warning("\(text)")
            }
        }
        self.counts = counts
        self.requests = requests
        engine = DockerEngine(socket: settings.dockerSocket, client: HTTPClient(), patience: patience)
    }

    func checks() async -> [String: HealthCheck] {
        await loop.read { $0.checks(now: MonotonicClock.nowMilliseconds()) }
    }

    var tasks: [ServiceTask] {
        [
            ServiceTask("measuring") { try await self.measure() },
            ServiceTask("reading Docker") { try await self.read() },
        ]
    }

    /// Steps the machine until cancelled.
    func measure() async throws {
        loop.send(.due(now: MonotonicClock.nowMilliseconds()))
        try await loop.run()
    }

    /// Takes the samples that the machine asks for, until cancelled. Apart from the machine, so that health answers while
    /// Docker doesn't.
    func read() async throws {
        for await describing in requests { try await sample(describing) }
    }

    private func sample(_ describing: Bool) async throws {
        let began = MonotonicClock.nowMilliseconds()
        do {
            let sample = try await engine.sample(describing: describing)
            counts.sampled(milliseconds: sample.now - began)
            loop.send(.sampled(sample))
        } catch let failure as EngineFailure {
            loop.send(.failed(failure.fault, reason: "\(failure)"))
        }
    }
}
