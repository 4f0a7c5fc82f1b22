import Contracts
import FoundationEssentials
import Glibc
import Runtime
import Transport

/// A program that a test has started, or what it came to.
enum Program {
    struct Failed: Error, CustomStringConvertible {
        var description: String
    }

    /// - Throws: ``Failed`` if there is no such program.
    static func start(_ arguments: [String], log: String) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for output in [STDOUT_FILENO, STDERR_FILENO] {
            posix_spawn_file_actions_addopen(&actions, output, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        }
        var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        // etcd 3.4 runs on 64-bit ARM for those alone who say so.
        var environment: [UnsafeMutablePointer<CChar>?] = [
            strdup("PATH=/usr/local/bin:/usr/bin:/bin"), strdup("ETCD_UNSUPPORTED_ARCH=arm64"), nil,
        ]
        defer { for word in words + environment { free(word) } }
        var id = pid_t()
        let code = posix_spawnp(&id, arguments[0], &actions, nil, &words, &environment)
        guard code == 0 else { throw Failed(description: "\(arguments[0]): \(String(cString: strerror(code)))") }
        return id
    }

    /// - Throws: ``Failed`` unless it ends well.
    static func run(_ arguments: [String], log: String) throws {
        let id = try start(arguments, log: log)
        var status: Int32 = 0
        while waitpid(id, &status, 0) < 0, errno == EINTR {}
        guard status == 0 else {
            let text = try DurableFile(path: log).read().map { String(decoding: $0, as: UTF8.self) }
            throw Failed(description: "\(arguments.joined(separator: " ")) failed: \(text ?? "")")
        }
    }
}

/// A real etcd of one member on this machine, which ends with this value.
final class EtcdServer: @unchecked Sendable {
    static let isInstalled = access("/usr/bin/etcd", X_OK) == 0 || access("/usr/local/bin/etcd", X_OK) == 0
    /// Where the tests must not do without it.
    static let isRequired = ProcessInfo.processInfo.environment["CI"].map { !$0.isEmpty } ?? false
    static let reason = "there is no etcd on this machine: install Debian's package etcd-server"

    let directory: String
    let endpoint: Endpoint
    private let arguments: [String]
    private var process: pid_t?

    /// - Parameters:
    ///   - tls: files that ``makeCertificates(in:)`` has made are in this directory.
    ///   - more: arguments of etcd's.
    init(tls: String? = nil, _ more: [String] = []) throws {
        directory = try Self.makeDirectory()
        let (port, peerPort) = (try Self.freePort(), try Self.freePort())
        endpoint = tls == nil ? .tcp(host: "127.0.0.1", port: port) : .https(host: "127.0.0.1", port: port)
        let url = "\(tls == nil ? "http" : "https")://127.0.0.1:\(port)"
        let peer = "http://127.0.0.1:\(peerPort)"
        arguments =
            [
                "etcd", "--name", "test", "--data-dir", "\(directory)/data", "--listen-client-urls", url,
                "--advertise-client-urls", url, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", "test=\(peer)", "--unsafe-no-fsync",
            ]
            + (tls.map {
                [
                    "--cert-file", "\($0)/server.pem", "--key-file", "\($0)/server.key", "--trusted-ca-file",
                    "\($0)/ca.pem",
                    "--client-cert-auth",
                ]
            } ?? []) + more
        try start()
    }

    deinit {
        kill()
        try? FileManager.default.removeItem(atPath: directory)
    }

    func start() throws { process = try Program.start(arguments, log: "\(directory)/log") }

    /// As a power cut would.
    func kill() {
        guard let process else { return }
        Glibc.kill(process, SIGKILL)
        while waitpid(process, nil, 0) < 0, errno == EINTR {}
        self.process = nil
    }

    var log: String {
        let bytes = try? DurableFile(path: "\(directory)/log").read()
        return bytes.map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    // MARK: - What surrounds it

    static func makeDirectory() throws -> String {
        let path = "\(FileManager.default.temporaryDirectory.path)/poise-etcd-\(Entropy.seed())"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    /// A port that nobody listens at now.
    static func freePort() throws -> Int {
        let (socket, port) = try boundSocket()
        close(socket)
        return port
    }

    fileprivate static func boundSocket() throws -> (socket: Int32, port: Int) {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(socket, address, size) == 0 ? getsockname(socket, address, &size) : -1
            }
        }
        guard status == 0 else { throw FileError("find a free port at", "127.0.0.1") }
        return (socket, Int(UInt16(bigEndian: address.sin_port)))
    }

    /// An authority `ca`, another one `other`, and of `ca` the certificates of a `server` at 127.0.0.1 and a `client`.
    static func makeCertificates(in directory: String) throws {
        let log = "\(directory)/openssl.log"
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        for name in ["ca", "other"] {
            try Program.run(
                ["openssl", "req", "-x509"] + key + [
                    "-keyout", "\(directory)/\(name).key", "-out", "\(directory)/\(name).pem", "-days", "2", "-subj",
                    "/CN=\(name)",
                ], log: log)
        }
        // etcd's gateway shows the server's certificate to etcd itself, as a client.
        let extensions = "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n"
        try DurableFile(path: "\(directory)/extensions").write(Array(extensions.utf8))
        for name in ["server", "client"] {
            let path = "\(directory)/\(name)"
            try Program.run(
                ["openssl", "req"] + key + ["-keyout", "\(path).key", "-out", "\(path).csr", "-subj", "/CN=\(name)"],
                log: log)
            try Program.run(
                [
                    "openssl", "x509", "-req", "-in", "\(path).csr", "-CA", "\(directory)/ca.pem", "-CAkey",
                    "\(directory)/ca.key", "-CAcreateserial", "-out", "\(path).pem", "-days", "2", "-extfile",
                    "\(directory)/extensions",
                ], log: log)
        }
    }
}

/// One that takes connections and says nothing.
final class SilentServer: Sendable {
    let endpoint: Endpoint
    private let socket: Int32

    init() throws {
        let (socket, port) = try EtcdServer.boundSocket()
        guard listen(socket, 16) == 0 else { throw FileError("listen at", "port \(port)") }
        self.socket = socket
        endpoint = .tcp(host: "127.0.0.1", port: port)
    }

    deinit { close(socket) }
}
