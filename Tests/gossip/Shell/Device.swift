import Contracts
import Glibc
import GossipCore
import Runtime
import Synchronization
import Transport

/// A gossip as a process of its own on loopback, without a monitor: it says what it is told to and never reports.
final class Device: Sendable {
    struct NotStarted: Error, CustomStringConvertible {
        var program: String
        var code: Int32
        var description: String { "can't start \(program): \(String(cString: strerror(code)))" }
    }

    let port: Int
    private let name: String
    private let peers: [Int]
    private let directory = TemporaryDirectory()
    private let process = Mutex<pid_t?>(nil)
    private let client = HTTPClient()

    init(_ name: String, port: Int, peers: [Int] = []) {
        self.name = name
        self.port = port
        self.peers = peers
    }

    deinit { kill() }

    var local: LocalClient { LocalClient("gossip", runDirectory: directory.path) }
    var address: String { "127.0.0.1:\(port)" }

    /// Starts the process and waits until it serves.
    func start() async throws {
        let program = try Self.program()
        var arguments = [
            program, "run", "--name", name, "--run-dir", directory.path, "--state-dir", directory.path,
            "--gossip-port", "\(port)", "--advertise", address,
        ]
        if !peers.isEmpty { arguments += ["--peers", peers.map { "127.0.0.1:\($0)" }.joined(separator: ",")] }
        let id = try Self.spawn(arguments, log: "\(directory.path)/log")
        process.withLock { $0 = id }
        try await eventually("\(name) serves") { [self] in
            // both listeners; until then it can't be reached
            guard (try? await node()) != nil else { return false }
            return (try? await ask("GET", "/node").status) == 200
        }
    }

    /// Ends the process without giving it a chance to save anything.
    func kill() {
        guard let id = process.withLock({ process in process.take() }) else { return }
        Glibc.kill(id, SIGKILL)
        waitpid(id, nil, 0)
    }

    /// Loses all that it knows, its key included.
    func forget() { for name in ["identity", "sequences", "signed"] { unlink("\(directory.path)/\(name)") } }

    // MARK: - What is asked of it

    func node() async throws -> NodeInfo { try await local.get("/node") }

    func isConnected(to other: NodeID) async throws -> Bool {
        try await local.get("/peers", as: [PeerState].self).contains { $0.id == other && $0.connected }
    }

    func publish(_ text: String) async throws -> SignedMessage {
        let publication = Publication(kind: .transaction, payload: Array(text.utf8))
        return try await local.send("POST", "/messages", body: try JSON.encode(publication)).decode()
    }

    func sign(_ vote: Vote) async throws -> ClientResponse {
        let request = SigningRequest(purpose: .vote, bytes: vote.encoded)
        return try await local.response("POST", "/sign", body: try JSON.encode(request))
    }

    func draw(_ alpha: [UInt8]) async throws -> ClientResponse {
        try await local.response("POST", "/vrf", body: try JSON.encode(DrawRequest(alpha: alpha)))
    }

    /// Asks as another device would.
    func ask(_ method: String, _ path: String, body: [UInt8] = []) async throws -> ClientResponse {
        try await client.send(ClientRequest(method, .tcp(host: "127.0.0.1", port: port), path, body: body))
    }

    func metric(_ line: String) async throws -> Int? {
        let text = String(decoding: try await local.send("GET", "/metrics").body, as: UTF8.self)
        return text.split(separator: "\n").first { $0.hasPrefix(line + " ") }.flatMap {
            Int($0.dropFirst(line.utf8.count + 1))
        }
    }

    // MARK: - The process

    /// The executable that was built beside these tests.
    private static func program() throws -> String {
        var path = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &path, path.count)
        guard count > 0 else { throw NotStarted(program: "gossip", code: errno) }
        let own = String(decoding: path.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return own.split(separator: "/").dropLast().map { "/\($0)" }.joined() + "/gossip"
    }

    private static func spawn(_ arguments: [String], log: String) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        defer { for word in words { free(word) } }
        words.append(nil)
        // Nothing of this process' environment: a POISE_ variable would be a setting.
        var environment: [UnsafeMutablePointer<CChar>?] = [nil]
        var id = pid_t()
        let code = posix_spawn(&id, arguments[0], &actions, nil, words, &environment)
        guard code == 0 else { throw NotStarted(program: arguments[0], code: code) }
        return id
    }
}

/// What a reader of a device's feed has read.
final class Reader: Sendable {
    private let lines = Mutex<[FeedMessage]>([])
    private let task = Mutex<Task<Void, any Error>?>(nil)

    init(_ device: Device, cursor: String? = nil) {
        let path = "/messages?kinds=transaction" + (cursor.map { "&cursor=\($0)" } ?? "")
        let request = ClientRequest("GET", .unix(device.local.socket), path, timeout: nil)
        task.withLock { task in
            task = Task { [weak self] in
                let client = HTTPClient()
                for try await line in try await client.stream(request).successful().lines() {
                    let message = try JSON.decode(FeedMessage.self, from: line)
                    self?.lines.withLock { $0.append(message) }
                }
            }
        }
    }

    deinit { task.withLock { $0?.cancel() } }

    var messages: [SignedMessage] { lines.withLock { $0.map(\.message) } }
    var cursor: String? { lines.withLock { $0.last?.cursor } }
}

/// Ports that nothing listens on. They lie below those that the kernel gives to connections, so that a device finds
/// its port free when it comes back.
enum Ports {
    private static let next = Mutex(20_000 + Int(getpid()) * 16 % 12_000)

    static func take(_ count: Int) -> [Int] {
        next.withLock { next in
            var ports: [Int] = []
            while ports.count < count {
                if isFree(next) { ports.append(next) }
                next = next < 32_000 ? next + 1 : 20_000
            }
            return ports
        }
    }

    private static func isFree(_ port: Int) -> Bool {
        let handle = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard handle >= 0 else { return false }
        defer { close(handle) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(handle, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}

struct TooLate: Error, CustomStringConvertible {
    var what: String
    var description: String { "waited in vain until \(what)" }
}

/// Waits for a condition that another process brings about.
func eventually(
    _ what: String, within limit: Duration = .seconds(30), _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while true {
        let began = ContinuousClock.now
        if try await condition() { return }
        // Other tests may keep this one from the processor for long: only a look taken after the deadline counts.
        guard began < deadline else { throw TooLate(what: what) }
        try await Task.sleep(for: .milliseconds(10))
    }
}
