import Contracts
import Glibc
import Runtime

/// The files of checkpoints in Docker's data folder.
struct Checkpoints: Sendable {
    let dockerRoot: String

    func folder(_ container: String, _ checkpoint: String) -> String {
        "\(dockerRoot)/containers/\(container)/checkpoints/\(checkpoint)"
    }

    func exists(_ container: String, _ checkpoint: String) -> Bool {
        access(folder(container, checkpoint), F_OK) == 0
    }

    /// Whether the engine has written all of it. The engine unpacks a checkpoint's files in order of name, after the
    /// app has ended, and the last is that of the host name: a container always has a namespace of its own for it.
    func isComplete(_ container: String, _ checkpoint: String) -> Bool {
        let folder = folder(container, checkpoint)
        let names = Folder.names(folder)
        return ["inventory.img", "pstree.img"].allSatisfy { names.contains($0) }
            && names.contains { $0.hasPrefix("utsns-") && Folder.size("\(folder)/\($0)") > 0 }
    }

    /// The engine takes no checkpoint that it has in its store already, as after a first try to start from it: another
    /// file makes it a new one.
    func makeUnique(_ container: String, _ checkpoint: String) throws {
        try DurableFile(path: "\(folder(container, checkpoint))/nonce").write(Entropy.bytes(16))
    }

    /// Bytes of the checkpoint, to see whether it still grows.
    func size(_ container: String, _ checkpoint: String) -> Int64 {
        let folder = folder(container, checkpoint)
        return Folder.names(folder).reduce(0) { $0 + Folder.size("\(folder)/\($1)") }
    }

    /// What CRIU said, if the device's /etc/criu/runc.conf has it written into the data folder.
    var failure: String? {
        guard let bytes = try? DurableFile(path: "\(dockerRoot)/criu.log").read() else { return nil }
        let lines = String(decoding: bytes.suffix(65_536), as: UTF8.self).split(separator: "\n")
        let errors = lines.filter { $0.contains("Error") }
        return errors.isEmpty ? nil : errors.prefix(2).joined(separator: "; ")
    }
}

/// Folders and their disks.
enum Folder {
    /// Names in it, but for `.` and `..`; none if it can't be read.
    static func names(_ path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    static func size(_ path: String) -> Int64 {
        var status = stat()
        return lstat(path, &status) == 0 ? Int64(status.st_size) : 0
    }

    /// Makes it, with those above it that are missing.
    static func make(_ path: String, mode: mode_t = 0o700) throws {
        var partial = ""
        for part in path.split(separator: "/") {
            partial += "/\(part)"
            if mkdir(partial, mode) != 0, errno != EEXIST { throw FileError("make", partial) }
        }
    }

    /// Removes what is in it and keeps the folder itself. Links are removed, never followed.
    static func empty(_ path: String) throws {
        for name in names(path) {
            let inner = "\(path)/\(name)"
            var status = stat()
            guard lstat(inner, &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR {
                try empty(inner)
                if rmdir(inner) != 0, errno != ENOENT { throw FileError("remove", inner) }
            } else if unlink(inner) != 0, errno != ENOENT {
                throw FileError("remove", inner)
            }
        }
    }

    /// Bytes that are free on the disk of `path` for whoever is not root.
    static func free(_ path: String) -> Int64 {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return 0 }
        return Int64(status.f_bavail) * Int64(status.f_frsize)
    }
}
