import Glibc
import Hummingbird
import Logging
import Runtime
import Synchronization
import Transport

/// A Docker engine that answers what a test tells it to, on a socket of its own.
final class FakeEngine: Sendable {
    enum Answer: Sendable {
        case text(String)
        case status(HTTPResponse.Status, String)
        /// No answer until the request is given up.
        case silence
    }

    let socket: String
    private let answers = Mutex<[String: Answer]>([:])
    private let asked = Mutex<[String: Int]>([:])

    init() { socket = "/tmp/poise-fake-engine-\(String(Entropy.seed(), radix: 36)).sock" }

    /// Sets what a path, without its query, answers.
    subscript(path: String) -> Answer? {
        get { answers.withLock { $0[path] } }
        set { answers.withLock { $0[path] = newValue } }
    }

    /// How often a path was asked for, with its query.
    func count(_ path: String) -> Int { asked.withLock { $0[path] ?? 0 } }

    /// Serves while `body` runs.
    func serving<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) async throws -> T {
        let router = Router()
        router.get("**") { request, _ in try await self.respond(request) }
        let (running, started) = AsyncStream.makeStream(of: Void.self)
        var quiet = Logger(label: "fake engine")
        quiet.logLevel = .critical
        let server = Application(
            router: router, configuration: ApplicationConfiguration(address: .unixDomainSocket(path: socket)),
            onServerRunning: { _ in started.finish() }, logger: quiet)
        defer { unlink(socket) }
        return try await withThrowingTaskGroup(of: T?.self) { group in
            group.addTask {
                try await server.run()
                return nil
            }
            group.addTask {
                for await _ in running {}
                return try await body()
            }
            defer { group.cancelAll() }
            while let result = try await group.next() {
                if let result { return result }
            }
            throw CancellationError()
        }
    }

    private func respond(_ request: Request) async throws -> Response {
        asked.withLock { $0[request.uri.string, default: 0] += 1 }
        switch self[request.uri.path] {
        case .text(let text): return Response(type: "application/json", bytes: Array(text.utf8))
        case .status(let status, let message):
            return Response(status: status, type: "application/json", bytes: Array("{\"message\":\"\(message)\"}".utf8))
        case .silence:
            try await Task.sleep(for: .seconds(3_600))
            return Response(status: .noContent)
        case nil:
            return Response(status: .notFound, type: "application/json", bytes: Array("{\"message\":\"no\"}".utf8))
        }
    }
}
