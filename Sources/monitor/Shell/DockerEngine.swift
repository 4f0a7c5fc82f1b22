import Contracts
import Glibc
import MonitorCore
import Runtime
import Transport

/// Reads Docker's engine through its socket. It only ever sends GET.
struct DockerEngine: Sendable {
    /// Containers read at a time: enough to hide the engine's latency, too few to keep it from its work.
    static let concurrency = 4
    static let listLimit = 16 << 20
    static let statsLimit = 1 << 20

    /// How long answers are waited for.
    struct Patience: Sendable {
        /// A container whose checkpoint is being taken may not answer until it is done: the others are not to wait.
        var container = Duration.seconds(1)
        var engine = Duration.seconds(5)
    }

    let socket: String
    private let client: HTTPClient
    private let patience: Patience

    init(socket: String, client: HTTPClient, patience: Patience = Patience()) {
        self.socket = socket
        self.client = client
        self.patience = patience
    }

    /// One reading of every container that holds something.
    ///
    /// - Throws: ``EngineFailure``, where the engine as a whole could not be read. A single container that doesn't
    ///   answer is in the sample without figures; one that went meanwhile isn't in it.
    func sample(describing: Bool) async throws -> Sample {
        var engine: EngineDescription?
        if describing {
            let info: DockerInfo = try await get("/info", patience.engine, limit: 1 << 20)
            engine = info.description(pageSize: Int(sysconf(Int32(_SC_PAGESIZE))))
        }
        let listed: [DockerContainer] = try await get("/containers/json", patience.engine, limit: Self.listLimit)
        let containers = try await readings(of: listed.filter { ["running", "paused"].contains($0.State) })
        return Sample(
            now: MonotonicClock.nowMilliseconds(), timestamp: WallClock.nowMilliseconds(), engine: engine,
            containers: containers)
    }

    private func readings(of listed: [DockerContainer]) async throws -> [ContainerReading] {
        var waiting = listed.makeIterator()
        return try await withThrowingTaskGroup(of: ContainerReading?.self) { group in
            func begin() {
                guard let container = waiting.next() else { return }
                group.addTask { try await reading(of: container) }
            }
            for _ in 0..<Self.concurrency { begin() }
            var readings: [ContainerReading] = []
            while let reading = try await group.next() {
                if let reading { readings.append(reading) }
                begin()
            }
            return readings
        }
    }

    /// - Returns: nil if the container doesn't run any more.
    private func reading(of container: DockerContainer) async throws -> ContainerReading? {
        guard container.isAddressable else { return container.reading(nil) }
        let asked = Self.monotonicNanoseconds()
        do {
            let path = "/containers/\(container.Id)/stats?stream=false&one-shot=true"
            let stats: DockerStats = try await get(path, patience.container, limit: Self.statsLimit)
            guard let counters = stats.counters(asked: asked, answered: Self.monotonicNanoseconds()) else {
                return nil
            }
            return container.reading(counters)
        } catch let failure as EngineFailure {
            // The engine went away: there is no point in asking it for the next.
            if failure.fault == .unreachable { throw failure }
            return [404, 409].contains(failure.status) ? nil : container.reading(nil)
        }
    }

    private func get<T: Decodable>(_ path: String, _ timeout: Duration, limit: Int) async throws -> T {
        let request = ClientRequest("GET", .unix(socket), path, timeout: timeout, responseLimit: limit)
        do { return try await client.send(request).successful().decode() } catch {
            if error is CancellationError { throw error }
            throw EngineFailure(error, socket: socket, path: path)
        }
    }

    private static func monotonicNanoseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

/// Why the engine could not be read.
struct EngineFailure: Error, CustomStringConvertible {
    var fault: SampleFault
    /// The engine's answer, if it was an error.
    var status: Int?
    var description: String

    init(_ error: any Error, socket: String, path: String) {
        switch error {
        case let error as HTTPClientError:
            switch error {
            case .unreachable, .invalidRequest, .untrusted:
                fault = .unreachable
                description = "\(error); is Docker running, and is its socket \(socket) (POISE_DOCKER_SOCKET)?"
            case .broken:
                fault = .broken
                description = "Docker broke off its answer to GET \(path): \(error)"
            case .timedOut:
                fault = .timeout
                description = "Docker did not answer GET \(path) in time"
            case .responseTooLarge:
                fault = .malformed
                description = "Docker's answer to GET \(path) is too large"
            }
        case let problem as Problem:
            fault = .refused
            status = problem.status
            description = "Docker refused GET \(path) with status \(problem.status): \(problem.detail.prefix(500))"
        case let error as DecodingError:
            fault = .malformed
            description = "Docker's answer to GET \(path) is not as expected: \(error.place)"
        default:
            fault = .malformed
            description = "Docker's answer to GET \(path) is not as expected: \(error)"
        }
    }
}
