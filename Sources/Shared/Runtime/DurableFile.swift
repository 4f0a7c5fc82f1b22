import Glibc

/// A small file that is always either its old or its new content, also when the power goes.
public struct DurableFile: Sendable {
    public let path: String

    public init(path: String) { self.path = path }

    /// The content, or nil if the file does not exist.
    ///
    /// - Parameter limit: bytes at most.
    /// - Throws: ``FileError``, with `EFBIG` for a larger file.
    public func read(limit: Int = 64 << 20) throws -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        if file < 0 {
            if errno == ENOENT { return nil }
            throw FileError("read", path)
        }
        defer { close(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(file, &buffer, buffer.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw FileError("read", path)
            }
            if count == 0 { return bytes }
            guard bytes.count + count <= limit else { throw FileError("read", path, code: EFBIG) }
            bytes += buffer[..<count]
        }
    }

    /// Replaces the content. On return it is on the disk: file synced, renamed into place, folder synced. Only its owner
    /// may read it. One writer at a time.
    ///
    /// - Throws: ``FileError``; the old content then still stands, unless it was the folder's sync that failed: then
    ///   which of both a crash leaves is open.
    public func write(_ bytes: [UInt8]) throws {
        let draft = path + ".new"
        // A draft that a crash has left may have other permissions, or be a link that somebody has planted.
        guard unlink(draft) == 0 || errno == ENOENT else { throw FileError("remove", draft) }
        let file = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw FileError("write", draft) }
        do {
            do {
                try Self.writeAll(bytes, to: file, path: draft)
                guard fsync(file) == 0 else { throw FileError("sync", draft) }
            } catch {
                close(file)
                throw error
            }
            guard close(file) == 0 else { throw FileError("close", draft) }
            guard rename(draft, path) == 0 else { throw FileError("rename", draft) }
        } catch {
            // It holds room that a full disk needs.
            unlink(draft)
            throw error
        }
        try Self.syncFolder(of: path)
    }

    private static func writeAll(_ bytes: [UInt8], to file: Int32, path: String) throws {
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                throw FileError("write", path)
            }
            written += count
        }
    }

    private static func syncFolder(of path: String) throws {
        let folder = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        let name = folder.isEmpty ? (path.hasPrefix("/") ? "/" : ".") : folder
        let handle = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard handle >= 0 else { throw FileError("open", name) }
        defer { close(handle) }
        guard fsync(handle) == 0 else { throw FileError("sync", name) }
    }
}

/// What the operating system said of a file.
public struct FileError: Error, CustomStringConvertible {
    public var path: String
    public var code: Int32
    private var act: String

    /// Takes the reason from `errno`.
    public init(_ act: String, _ path: String, code: Int32 = errno) {
        self.act = act
        self.path = path
        self.code = code
    }

    public var description: String { "can't \(act) \(path): \(String(cString: strerror(code)))" }
}
