import Contracts
import Dispatch
import Glibc
import Synchronization

/// A run of the system's tar, its archive on a pipe. Device's files are of any owner, mode and kind, with extended
/// attributes; GNU tar keeps them all, and refuses to write outside its folder.
final class Tar: Sendable {
    static let program = "/usr/bin/tar"
    private static let common = ["--numeric-owner", "--xattrs", "--xattrs-include=*", "--acls"]
    private static let chunk = 262_144

    private struct State {
        var process: pid_t
        var pipe: Int32
        var status: Int32?
    }

    private let state: Mutex<State>
    private let errors: Int32
    private let queue = DispatchQueue(label: "poise.tar")

    /// Begins to write `folder`'s content as an archive: read it with ``read()``.
    static func packing(_ folder: String) throws -> Tar {
        try Tar(
            ["--create", "--format=posix", "--sparse", "--directory", folder] + common + ["--file=-", "."],
            isReading: true)
    }

    /// Begins to unpack into `folder` what ``write(_:)`` brings.
    static func unpacking(into folder: String) throws -> Tar {
        try Tar(
            ["--extract", "--same-owner", "--same-permissions", "--directory", folder] + common + ["--file=-"],
            isReading: false)
    }

    private init(_ arguments: [String], isReading: Bool) throws {
        let started = try Self.spawning.withLock { _ in try Self.spawn(arguments, isReading: isReading) }
        state = Mutex(State(process: started.process, pipe: started.archive))
        errors = started.messages
    }

    /// One at a time: a program that is started between another's pipe and its mark would keep that pipe open.
    private static let spawning = Mutex(())

    private static func spawn(
        _ arguments: [String], isReading: Bool
    ) throws -> (process: pid_t, archive: Int32, messages: Int32) {
        let archive = try makePipe()
        let messages: [Int32]
        do { messages = try makePipe() } catch {
            archive.forEach { close($0) }
            throw error
        }
        // Larger pipes mean fewer switches between the two programs; a refusal does no harm.
        _ = fcntl(archive[0], setPipeSize, 1 << 20)
        _ = fcntl(messages[0], F_SETFL, O_NONBLOCK)
        let (theirs, ours) = isReading ? (archive[1], archive[0]) : (archive[0], archive[1])
        defer {
            close(theirs)
            close(messages[1])
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, theirs, isReading ? STDOUT_FILENO : STDIN_FILENO)
        posix_spawn_file_actions_adddup2(&actions, messages[1], STDERR_FILENO)
        var words: [UnsafeMutablePointer<CChar>?] = (["tar"] + arguments).map { strdup($0) } + [nil]
        defer { words.forEach { free($0) } }
        // Its messages are read by programs and people of any language.
        var environment: [UnsafeMutablePointer<CChar>?] = [strdup("LC_ALL=C"), nil]
        defer { environment.forEach { free($0) } }
        var process: pid_t = 0
        let status = posix_spawn(&process, program, &actions, nil, &words, &environment)
        guard status == 0 else {
            close(ours)
            close(messages[0])
            throw TarFailure("can't run \(program): \(String(cString: strerror(status)))")
        }
        return (process, ours, messages[0])
    }

    /// `F_SETPIPE_SZ` of fcntl(2), which the C library shows to GNU programs only.
    private static let setPipeSize: Int32 = 1_031

    private static func makePipe() throws -> [Int32] {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw TarFailure("no pipe: \(String(cString: strerror(errno)))") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return ends
    }

    deinit {
        kill()
        let left = state.withLock { $0 }
        if left.pipe >= 0 { close(left.pipe) }
        close(errors)
        if left.status == nil {
            var status: Int32 = 0
            waitpid(left.process, &status, 0)
        }
    }

    /// Ends it; reads and writes then fail or end soon.
    func kill() {
        state.withLock { if $0.status == nil { _ = Glibc.kill($0.process, SIGKILL) } }
    }

    /// The next bytes of the archive; nil at its end.
    ///
    /// - Throws: ``TarFailure`` if tar failed; `CancellationError`.
    func read() async throws -> [UInt8]? {
        let pipe = state.withLock { $0.pipe }
        let bytes: [UInt8] = try await blocking {
            try [UInt8](unsafeUninitializedCapacity: Self.chunk) { buffer, count in
                while true {
                    let got = Glibc.read(pipe, buffer.baseAddress, buffer.count)
                    if got < 0, errno == EINTR { continue }
                    guard got >= 0 else {
                        throw TarFailure("its archive broke off: \(String(cString: strerror(errno)))")
                    }
                    count = got
                    return
                }
            }
        }
        if !bytes.isEmpty { return bytes }
        try await finish()
        return nil
    }

    /// - Throws: ``TarFailure`` with tar's own words if it has ended; `CancellationError`.
    func write(_ bytes: [UInt8]) async throws {
        let pipe = state.withLock { $0.pipe }
        do {
            try await blocking {
                var written = 0
                while written < bytes.count {
                    let count = bytes[written...].withUnsafeBytes { Glibc.write(pipe, $0.baseAddress, $0.count) }
                    if count < 0, errno == EINTR { continue }
                    guard count > 0 else { throw TarFailure("it takes no more: \(String(cString: strerror(errno)))") }
                    written += count
                }
            }
        } catch let failure as TarFailure {
            try await finish()
            throw failure
        }
    }

    /// Closes the archive and waits for tar's end.
    ///
    /// - Throws: ``TarFailure`` unless it succeeded.
    func finish() async throws {
        let (process, pipe) = state.withLock { state in
            defer { state.pipe = -1 }
            return (state.process, state.pipe)
        }
        if pipe >= 0 { close(pipe) }
        let known = state.withLock { $0.status }
        let status: Int32 =
            if let known { known } else {
                try await blocking {
                    var status: Int32 = 0
                    while waitpid(process, &status, 0) < 0, errno == EINTR {}
                    return status
                }
            }
        state.withLock { $0.status = status }
        guard status == 0 else { throw TarFailure(words ?? "it ended with status \(status >> 8 & 255)") }
    }

    /// What it said last.
    private var words: String? {
        var buffer = [UInt8](repeating: 0, count: 2_048)
        let count = Glibc.read(errors, &buffer, buffer.count)
        guard count > 0 else { return nil }
        return String(decoding: buffer[..<count], as: UTF8.self).split(separator: "\n").prefix(3).joined(
            separator: "; ")
    }

    /// Blocking calls stay off the threads that tasks run on.
    private func blocking<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        try Task.checkCancellation()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                queue.async { continuation.resume(with: Result { try body() }) }
            }
        } onCancel: {
            kill()
        }
    }
}

struct TarFailure: Error, CustomStringConvertible {
    var reason: String
    init(_ reason: String) { self.reason = reason }
    var description: String { "tar: \(reason)" }
}
