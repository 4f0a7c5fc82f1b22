import Dispatch
import Glibc
import Runtime
import Synchronization

/// A server that does with each connection just what a test says: also what no HTTP library would.
final class RawServer: Sendable {
    private let listener: Int32
    private let connections = Connections()
    /// How many connections there have been.
    var accepted: Int { connections.handles.withLock { $0.count } }

    private final class Connections: Sendable {
        let handles = Mutex<[Int32]>([])
    }

    /// - Parameter serve: gets each connection, on a thread of its own; the connection is closed when it returns.
    init(_ path: String, _ serve: @escaping @Sendable (RawConnection) -> Void) throws {
        unlink(path)
        listener = try RawConnection.socket(path) { bind($0, $1, $2) }
        guard listen(listener, 1_024) == 0 else { throw FileError("listen on", path) }
        let (listener, connections) = (listener, connections)
        Thread.run {
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else { return }
                connections.handles.withLock { $0.append(connection) }
                Thread.run {
                    serve(RawConnection(handle: connection))
                    shutdown(connection, Int32(SHUT_RDWR))
                }
            }
        }
    }

    /// Stops listening and breaks every connection.
    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        for connection in connections.handles.withLock({ $0 }) { shutdown(connection, Int32(SHUT_RDWR)) }
    }

    deinit {
        stop()
        close(listener)
        for connection in connections.handles.withLock({ $0 }) { close(connection) }
    }
}

/// One end of a Unix socket, used with blocking calls.
struct RawConnection: Sendable {
    let handle: Int32

    init(handle: Int32) { self.handle = handle }

    init(to path: String) throws { handle = try Self.socket(path) { connect($0, $1, $2) } }

    static func socket(
        _ path: String, _ act: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) throws -> Int32 {
        let handle = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                act(handle, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard handle >= 0, status == 0 else { throw FileError("use", path) }
        return handle
    }

    /// False if the other side has gone.
    @discardableResult
    func send(_ text: String) -> Bool {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(handle, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// What comes next; nil once the other side has closed.
    func receive() -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = recv(handle, &buffer, buffer.count, 0)
        return count > 0 ? Array(buffer[..<count]) : nil
    }

    /// The head of a request (and what came with it), as text; nil once the other side has closed.
    func request() -> String? {
        var text = ""
        while !text.contains("\r\n\r\n") {
            guard let more = receive() else { return nil }
            text += String(decoding: more, as: UTF8.self)
        }
        return text
    }
}

/// A thread for blocking calls, which must not hold up those of the tasks.
enum Thread {
    static func run(_ body: @escaping @Sendable () -> Void) {
        DispatchQueue(label: "blocking").async(execute: body)
    }
}
