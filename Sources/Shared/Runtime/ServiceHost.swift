import Contracts
import Glibc
import Hummingbird
import HummingbirdCore
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
        router = Self.makeRouter(metrics: metrics)
        let process = ProcessMetrics(metrics: metrics, service: service)
        let report: @Sendable (Request, ServiceContext) async throws -> Response = { _, _ in
            let report = Health(service: service, version: poiseVersion, checks: await health())
            return Response(
                status: report.status == .fail ? .serviceUnavailable : .ok, type: "application/health+json",
                bytes: try JSON.encode(report))
        }
        router.get("health", use: report)
        router.get("health/ready", use: report)
        router.get("metrics") { _, _ in
            process.refresh()
            return Response(type: "text/plain; version=0.0.4", bytes: Array(metrics.render().utf8))
        }
        router.get("openapi.yaml") { _, _ in Response(type: "application/yaml", bytes: openapi) }
    }

    /// A router that answers errors with problem details, and counts them.
    ///
    /// - Parameter headers: what every answer carries.
    public static func makeRouter(metrics: Metrics, headers: KeyValuePairs<String, String> = [:]) -> ServiceRouter {
        let router = ServiceRouter(context: ServiceContext.self)
        router.add(middleware: AnswerMiddleware(metrics: metrics, headers: headers))
        return router
    }

    /// Serves until the service's end, see ``ServiceHost``. Returns only for a test that cancels it.
    ///
    /// - Throws: ``TaskFailure`` with the reason of the end; ``SettingError`` or ``FileError`` for the socket's path.
    public func run(network: NetworkListener? = nil, tasks: [ServiceTask]) async throws {
        try UnixSocket.clear(socket)
        let parts = servers(network) + tasks
        let end = await withTaskGroup(of: End.self) { group in
            for part in parts { group.addTask { await Self.end(of: part) } }
            group.addTask {
                for await _ in await UnixSignalsSequence(trapping: .sigterm, .sigint) { return .signal }
                return .failure(TaskFailure(task: "waiting for signals", reason: "it was cancelled"))
            }
            let end = await group.next()
            if case .signal = end { leave() }
            group.cancelAll()
            let deadline = Task { [log] in await Self.enforceEnd(end, log) }
            await group.waitForAll()
            deadline.cancel()
            return end
        }
        try Task.checkCancellation()
        if case .failure(let failure) = end { throw failure }
    }

    private enum End: Sendable {
        case signal
        case failure(TaskFailure)
    }

    private static func end(of task: ServiceTask) async -> End {
        do {
            try await task.body()
            return .failure(TaskFailure(task: task.name, reason: "it ended, and should not have"))
        } catch { return .failure(TaskFailure(task: task.name, reason: "\(error)")) }
    }

    /// Nothing is waited for: what must survive is durable already. `_exit`, because `exit` runs the destructors of
    /// libraries that other threads still use.
    private func leave() -> Never {
        log.info("stops")
        unlink(socket)
        fflush(nil)
        _exit(0)
    }

    /// Sees to it that the end of one part is the end of all, also if another does not heed its cancellation.
    private static func enforceEnd(_ end: End?, _ log: Logger) async {
        do { try await Task.sleep(for: .seconds(3)) } catch { return }
        if case .failure(let failure) = end { log.critical("\(failure)") }
        log.critical("a part of the service does not end; the process does")
        fflush(nil)
        _exit(1)
    }

    private func servers(_ network: NetworkListener?) -> [ServiceTask] {
        let path = socket
        let local = application(router, .unixDomainSocket(path: path)) { [log] _ in
            if chmod(path, 0o660) != 0 { log.error("\(FileError("open to its group", path))") }
            log.info("serves \(path)")
        }
        var servers = [ServiceTask("the server on \(path)") { try await Self.listen(local, on: path) }]
        if let network {
            let address = "\(network.host):\(network.port)"
            let remote = application(network.router, .hostname(network.host, port: network.port)) { [log] _ in
                log.info("serves TCP \(address)")
            }
            servers.append(ServiceTask("the server on the network") { try await Self.listen(remote, on: address) })
        }
        return servers
    }

    private static func listen(_ application: some ApplicationProtocol, on address: String) async throws {
        do { try await application.run() } catch let error as IOError {
            throw ListenFailure(address: address, code: error.errnoCode)
        }
    }

    private func application(
        _ router: ServiceRouter, _ address: BindAddress,
        running: @escaping @Sendable (any Channel) async -> Void
    ) -> some ApplicationProtocol {
        var quiet = Logger(label: "\(service) http")
        quiet.logLevel = .critical
        return Application(
            router: router,
            configuration: ApplicationConfiguration(
                address: address, backlog: Self.waitingConnections,
                availableConnectionsDelegate: MaximumAvailableConnections(Self.openConnections, logger: quiet)),
            onServerRunning: running, eventLoopGroupProvider: .shared(Self.loop), logger: quiet)
    }

    /// One thread for all connections: on one core it serves twice as many requests as several do.
    private static let loop = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    /// Connections of each listener at most. Further ones wait, unaccepted.
    private static let openConnections = 1_024
    /// A Unix socket refuses a connection at once when as many wait to be accepted.
    private static let waitingConnections = 1_024
}

/// Why an address can't be listened on.
struct ListenFailure: Error, CustomStringConvertible {
    var address: String
    var code: Int32

    var description: String {
        let remedy =
            switch code {
            case EADDRINUSE: "; another process listens there: stop it, or choose another port"
            case ENOENT: "; make its directory first, or choose another POISE_RUN"
            case EACCES, EPERM: "; this user may not"
            default: ""
            }
        return "can't listen on \(address): \(String(cString: strerror(code)))\(remedy)"
    }
}

/// Why a service ended.
public struct TaskFailure: Error, CustomStringConvertible {
    public var task: String
    public var reason: String
    public var description: String { "\(task): \(reason)" }
}
