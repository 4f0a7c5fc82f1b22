import Glibc

/// What must be done to a Unix socket's path before a server binds it.
enum UnixSocket {
    /// Bytes of path at most. The kernel takes 107; SwiftNIO, which binds the socket, 103 on every system.
    static let pathLimit = 103

    /// Removes a socket that a dead server has left.
    ///
    /// - Throws: ``SettingError`` if a live server listens on it or the path is too long; ``FileError``.
    static func clear(_ path: String) throws {
        guard path.utf8.count <= pathLimit else {
            throw SettingError(
                "the socket's path is longer than \(pathLimit) bytes: \(path); choose a shorter POISE_RUN")
        }
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT { return }
            throw FileError("look at", path)
        }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw SettingError("\(path) is there and is no socket: remove it or choose another POISE_RUN")
        }
        guard try isDead(path) else { throw SettingError("another process already serves \(path): stop it first") }
        guard unlink(path) == 0 || errno == ENOENT else { throw FileError("remove", path) }
    }

    /// Whether nobody listens. Only a refusal proves it; a server too busy to accept is alive.
    private static func isDead(_ path: String) throws -> Bool {
        let handle = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard handle >= 0 else { throw FileError("make a socket to try", path) }
        defer { close(handle) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(handle, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        if connected || errno == EAGAIN { return false }
        guard errno == ECONNREFUSED || errno == ENOENT else { throw FileError("try", path) }
        return true
    }
}
