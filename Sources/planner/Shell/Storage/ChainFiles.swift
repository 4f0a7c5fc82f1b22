import Glibc

/// The files of the chain and who may open them.
enum ChainFiles {
    static func path(in directory: String) -> String { "\(directory)/chain.sqlite" }

    /// Makes the directory if need be, and takes the lock that keeps a second planner out.
    /// - Returns: the descriptor that holds the lock until it is closed.
    static func claim(_ directory: String) throws(StorageError) -> Int32 {
        if mkdir(directory, 0o700) != 0, errno != EEXIST {
            throw failure("make the directory \(directory)")
        }
        let path = "\(directory)/chain.lock"
        let lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw failure("open \(path)") }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            close(lock)
            throw StorageError("another planner runs on \(directory): stop it, or give this one its own --state-dir")
        }
        return lock
    }

    /// Makes the file, readable by its owner alone, before SQLite opens it: SQLite gives its log the same mode.
    static func create(_ path: String) throws(StorageError) {
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failure("open \(path)") }
        defer { close(file) }
        guard fchmod(file, 0o600) == 0 else { throw failure("set the mode of \(path)") }
    }

    /// Whether the file begins as SQLite's do.
    static func isDatabase(_ path: String) -> Bool {
        let magic = Array("SQLite format 3\0".utf8)
        guard let file = fopen(path, "r") else { return false }
        defer { fclose(file) }
        var head = [UInt8](repeating: 0, count: magic.count)
        return fread(&head, 1, head.count, file) == head.count && head == magic
    }

    static func bytes(_ path: String) -> Int {
        ["", "-wal", "-shm"].reduce(0) { sum, suffix in
            var status = stat()
            return stat(path + suffix, &status) == 0 ? sum + Int(status.st_size) : sum
        }
    }

    private static func failure(_ attempt: String) -> StorageError {
        let reason = String(cString: strerror(errno))
        return StorageError(
            "could not \(attempt): \(reason); check that the directory belongs to the user that runs planner")
    }
}
