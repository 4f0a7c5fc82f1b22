import Contracts
import Glibc
import Hummingbird
import Runtime
import Synchronization
import Testing
import Transport

/// A service of its own in this process, on a Unix socket in a directory that is removed afterwards.
struct TestService: Sendable {
    let socket: String
    let metrics: Metrics

    var endpoint: Endpoint { .unix(socket) }
}

/// Serves `routes` while `body` runs.
func withService<T: Sendable>(
    _ name: String = "test", in directory: TemporaryDirectory? = nil, network: (@Sendable () -> NetworkListener)? = nil,
    tasks: [ServiceTask] = [], health: @escaping @Sendable () async -> [String: HealthCheck] = { [:] },
    routes: @escaping @Sendable (ServiceRouter) -> Void = { _ in },
    _ body: @Sendable (TestService) async throws -> T
) async throws -> T {
    let directory = try directory ?? TemporaryDirectory()
    let socket = "\(directory.path)/\(name).sock"
    let metrics = Metrics()
    let (path, client) = (directory.path, HTTPClient())
    let running = Task {
        let host = ServiceHost(
            service: name, runDirectory: path, openapi: Array("openapi: 3.1.0\n".utf8), metrics: metrics, health: health
        )
        routes(host.router)
        try await host.run(network: network?(), tasks: tasks)
    }
    let result: Result<T, any Error>
    do {
        try await eventually("the service answers") {
            (try? await client.send(ClientRequest("GET", .unix(socket), "/openapi.yaml")).status) == 200
        }
        result = .success(try await body(TestService(socket: socket, metrics: metrics)))
    } catch { result = .failure(error) }
    running.cancel()
    let ended = await running.result
    if case .failure(let error) = ended, !(error is CancellationError) { throw error }
    return try result.get()
}

struct TooLate: Error, CustomStringConvertible {
    var what: String
    var description: String { "waited in vain until \(what)" }
}

/// Waits for a condition that other threads bring about.
func eventually(
    _ what: String, within limit: Duration = .seconds(20), _ condition: @Sendable () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw TooLate(what: what) }
        try await Task.sleep(for: .milliseconds(2))
    }
}

/// Waits until a count that other threads raise has not risen for a while, and returns it.
func settled(_ count: @Sendable () -> Int) async throws -> Int {
    var last = -1
    var unchanged = 0
    while unchanged < 100 {
        let now = count()
        unchanged = now == last ? unchanged + 1 : 0
        last = now
        try await Task.sleep(for: .milliseconds(2))
    }
    return last
}

/// A directory that goes when the last reference to it does.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/poise-test-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { $0.baseAddress.map { mkdtemp($0) != nil } ?? false }
        guard made else { throw FileError("make", "/tmp/poise-test") }
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    deinit {
        if let folder = opendir(path) {
            while let entry = readdir(folder) {
                let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                }
                unlink("\(path)/\(name)")
            }
            closedir(folder)
        }
        rmdir(path)
    }
}

/// A number that several tasks count with.
final class Tally: Sendable {
    private let number = Mutex(0)
    var value: Int { number.withLock { $0 } }
    func add(_ more: Int = 1) { number.withLock { $0 += more } }
}

/// A gate that tasks wait at until it is opened.
final class Gate: Sendable {
    private let stream: AsyncStream<Void>
    private let opener: AsyncStream<Void>.Continuation
    init() { (stream, opener) = AsyncStream.makeStream() }
    func open() { opener.finish() }
    /// Also returns when the task is cancelled.
    func wait() async { for await _ in stream {} }
}

/// What a server heard.
final class Heard: Sendable {
    private let texts = Mutex<[String]>([])
    var all: [String] { texts.withLock { $0 } }
    func add(_ text: String) { texts.withLock { $0.append(text) } }
}
