import Glibc
import Machine
import PlannerCore
import Testing

@testable import planner

/// A process of the planner's executable that stores blocks and says on a pipe what is durable.
private final class Writer {
    private let pid: pid_t
    private let output: Int32
    private var text = ""

    init?(directory: String, arguments: [String] = []) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { return nil }
        output = ends[0]
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_addclose(&actions, ends[0])
        let all = ["planner", "chain", "exercise", "--directory", directory, "--announce"] + arguments
        var pointers: [UnsafeMutablePointer<CChar>?] = all.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        var child: pid_t = 0
        let status = posix_spawn(&child, Self.executable, &actions, nil, &pointers, environ)
        close(ends[1])
        guard status == 0 else { return nil }
        pid = child
    }

    deinit { close(output) }

    /// Built beside the tests.
    static var executable: String {
        var path = [CChar](repeating: 0, count: 4_096)
        let count = readlink("/proc/self/exe", &path, path.count - 1)
        let own = String(decoding: path.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return own.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" } + "/planner"
    }

    /// Waits for the first word, lets it go on for a while, and kills it.
    /// - Returns: every line that it has said.
    func kill(afterMicroseconds delay: UInt32) -> [Substring] {
        readSome()
        usleep(delay)
        Glibc.kill(pid, SIGKILL)
        return finish().lines
    }

    /// What it has said until it ended, and its exit status.
    func finish() -> (lines: [Substring], status: Int32) {
        while readSome() {}
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        // The last line may be cut off.
        let whole = text.lastIndex(of: "\n").map { text[..<$0] } ?? ""
        return (whole.split(separator: "\n"), status >> 8 & 0xFF)
    }

    @discardableResult
    private func readSome() -> Bool {
        var buffer = [UInt8](repeating: 0, count: 4_096)
        let count = read(output, &buffer, buffer.count)
        guard count > 0 else { return false }
        text += String(decoding: buffer.prefix(count), as: UTF8.self)
        return true
    }
}

/// What a process said before it was killed is on disk.
@Suite(.serialized) struct ChainKillTests {
    private struct Said {
        var height: UInt64 = 0
        var vote: (height: UInt64, step: Int)?
        var snapshot: UInt64 = 0

        init(_ lines: [Substring], after height: UInt64, _ snapshot: UInt64) {
            self.height = height
            self.snapshot = snapshot
            for line in lines {
                let words = line.split(separator: " ")
                let numbers = words.dropFirst().compactMap { UInt64($0) }
                switch words.first {
                case "vote" where numbers.count == 2: vote = (numbers[0], Int(numbers[1]))
                case "block" where numbers.count == 1: self.height = numbers[0]
                case "snapshot" where numbers.count == 1: self.snapshot = numbers[0]
                default: break
                }
            }
        }
    }

    @Test func whatWasAcknowledgedBeforeAKillIsThere() throws {
        let directory = TemporaryDirectory()
        var random = SplitMix64(seed: 27)
        var (height, snapshot): (UInt64, UInt64) = (0, 0)
        for round in 0..<16 {
            let writer = try #require(
                Writer(directory: directory.path, arguments: ["--blocks", "1000000", "--chain-bytes", "16777216"]),
                "\(Writer.executable) can't be run")
            let said = Said(
                writer.kill(afterMicroseconds: UInt32(random.next(in: 0...250_000))), after: height, snapshot)
            let store = try ChainStore(directory: directory.path, limit: 16 << 20)
            let reader = try ChainReader(directory: directory.path)
            let last = try reader.height()
            // What came after the last word may be there or not: one step at most.
            #expect(last == said.height || last == said.height + 1, "round \(round)")
            #expect(try (store.snapshot()?.height ?? 0) >= said.snapshot, "round \(round)")
            let first = try #require(try reader.heights()).lowerBound
            var next = first
            try reader.forEachBlock(from: first) { block in
                #expect(block == ImitatedHeight(height: next, nodes: 8).committed, "round \(round)")
                next += 1
            }
            #expect(next == last + 1)
            if let vote = said.vote, vote.height > last {
                let kept = try #require(try store.agreement(), "round \(round): a vote at \(vote.height) is forgotten")
                let steps = ImitatedHeight(height: vote.height, nodes: 8).agreements
                let possible = steps[vote.step...].prefix(2).map(\.record)
                #expect(kept.height == vote.height && possible.contains(kept.record), "round \(round)")
                #expect(
                    kept.blocks.allSatisfy { $0.block == ImitatedHeight(height: vote.height, nodes: 8).committed.block }
                )
                if let named = steps.first(where: { $0.record == kept.record })?.named {
                    #expect(Set(named).isSubset(of: kept.blocks.map(\.id)), "round \(round): a held block is missing")
                }
            }
            (height, snapshot) = (last, try store.snapshot()?.height ?? 0)
        }
        #expect(height > 50, "it wrote too little to prove much")
    }

    /// A file that may not grow any more, as by a full disk: an error that says so, and nothing is lost.
    @Test func aFileThatMayNotGrowIsAClearError() throws {
        let directory = TemporaryDirectory()
        let log = directory.file("log")
        let command =
            "ulimit -f 600; trap '' XFSZ; \(Writer.executable) chain exercise --announce --blocks 100000 --directory \(directory.path)/chain"
            + " >\(log) 2>\(log).err"
        let words: [String] = ["sh", "-c", command]
        var pointers: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        var child: pid_t = 0
        try #require(posix_spawn(&child, "/bin/sh", nil, nil, &pointers, environ) == 0)
        var status: Int32 = 0
        waitpid(child, &status, 0)
        defer {
            for name in ["chain.sqlite", "chain.sqlite-wal", "chain.sqlite-shm", "chain.lock"] {
                unlink("\(directory.path)/chain/\(name)")
            }
            rmdir("\(directory.path)/chain")
        }
        let error = String(decoding: directory.read("log.err"), as: UTF8.self)
        #expect(status != 0 && error.contains("could not change the chain in"), "\(error)")
        #expect(error.contains("disk"), "\(error)")
        let lines = String(decoding: directory.read("log"), as: UTF8.self).split(separator: "\n")
        let said = Said(lines, after: 0, 0)
        #expect(said.height > 10)
        let reader = try ChainReader(directory: "\(directory.path)/chain")
        #expect(try reader.height() >= said.height)
    }
}
