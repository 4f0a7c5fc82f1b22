import Contracts
import Glibc
import Hummingbird
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Transport
import UnixSignals

/// A part of a service that runs for as long as the service does.
public struct ServiceTask: Sendable {
    let name: String
    let body: @Sendable () async throws -> Void

    public init(_ name: String, _ body: @escaping @Sendable () async throws -> Void) {
        self.name = name
        self.body = body
    }
}

/// A listener on the network, beside the Unix socket that every service has.
public struct NetworkListener {
    let host: String
    let port: Int
    let router: ServiceRouter

    public init(host: String = "0.0.0.0", port: Int, router: ServiceRouter) {
        self.host = host
        self.port = port
        self.router = router
    }
}

/// What is the same for all five services: the socket, health, metrics, the contract, and a life with one end.
///
/// A service lives until SIGTERM or SIGINT (exit status 0) or until one of its tasks ends (the reason on standard
/// error, exit status 1); whoever started it starts it again. Nothing is saved on the way out: what must survive
/// was durable before it was acted on.
public struct ServiceHost {
    public let service: String
    public let socket: String
    public let metrics: Metrics
    public let router: ServiceRouter
    private let log: Logger

    /// - Parameters:
    ///   - openapi: the service's contract, as YAML.
    ///   - health: its checks; asked at each `GET /health`.
    public init(
        service: String, runDirectory: String, openapi: [UInt8], metrics: Metrics,
        health: @escaping @Sendable () async -> [String: HealthCheck]
    ) {
        self.service = service
        socket = "\(runDirectory)/\(service).sock"
        self.metrics = metrics
        log = Logger(label: service)
        router = Self.makeRouter()
        let process = ProcessMetrics(metrics: metrics, service: service)
        func report(ready: Bool) -> @Sendable (Request, ServiceContext) async throws -> Response {
            { _, _ in
                let report = Health(service: service, version: poiseVersion, checks: await health())
                return Response(
                    status: report.status == .fail ? .serviceUnavailable : .ok, type: "application/health+json",
                    bytes: try JSON.encode(report))
            }
        }
        router.get("health", use: report(ready: false))
        router.get("health/ready", use: report(ready: true))
        router.get("metrics") { _, _ in
            process.refresh()
            return Response(type: "text/plain; version=0.0.4", bytes: Array(metrics.render().utf8))
        }
        router.get("openapi.yaml") { _, _ in Response(type: "application/yaml", bytes: openapi) }
    }

    /// A router that answers errors with problem details.
    public static func makeRouter() -> ServiceRouter {
        let router = ServiceRouter(context: ServiceContext.self)
        router.add(middleware: ProblemMiddleware())
        return router
    }

    /// Serves until the service's end, see ``ServiceHost``. Returns only for a test that cancels it.
    public func run(network: NetworkListener? = nil, tasks: [ServiceTask]) async throws {
        try UnixSocket.clear(socket)
        let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let path = socket
        let local = application(router, .unixDomainSocket(path: path), loops) { [log] _ in
            if chmod(path, 0o660) != 0 { log.error("\(FileError("open to its group", path))") }
            log.info("serves \(path)")
        }
        let remote = network.map { network in
            application(network.router, .hostname(network.host, port: network.port), loops) {
                [log, port = network.port] _ in
                log.info("serves TCP port \(port)")
            }
        }
        try await withThrowingTaskGroup(of: String?.self) { group in
            group.addTask {
                try await local.run()
                return "the server on \(path)"
            }
            if let remote {
                group.addTask {
                    try await remote.run()
                    return "the server on the network"
                }
            }
            for task in tasks {
                group.addTask {
                    do { try await task.body() } catch is CancellationError {
                        return task.name
                    } catch {
                        throw TaskFailure(task: task.name, reason: "\(error)")
                    }
                    return task.name
                }
            }
            group.addTask {
                for await _ in await UnixSignalsSequence(trapping: .sigterm, .sigint) { return nil }
                return "waiting for signals"
            }
            defer { group.cancelAll() }
            guard let ended = try await group.next() else { return }
            try Task.checkCancellation()
            if let ended { throw TaskFailure(task: ended, reason: "it ended, and should not have") }
            log.info("stops")
            unlink(path)
            exit(0)
        }
    }

    private func application(
        _ router: ServiceRouter, _ address: BindAddress, _ loops: MultiThreadedEventLoopGroup,
        running: @escaping @Sendable (any Channel) async -> Void
    ) -> some ApplicationProtocol {
        var quiet = Logger(label: "\(service) http")
        quiet.logLevel = .error
        return Application(
            router: router, configuration: ApplicationConfiguration(address: address), onServerRunning: running,
            eventLoopGroupProvider: .shared(loops), logger: quiet)
    }
}

/// Why a service ended.
public struct TaskFailure: Error, CustomStringConvertible {
    public var task: String
    public var reason: String
    public var description: String { "\(task): \(reason)" }
}
