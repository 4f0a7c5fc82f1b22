import ArgumentParser
import Contracts
import Glibc
import Identity
import Machine
import PlannerCore
import Runtime
import Transport

/// Stores made-up blocks as agreement on them would, to see what that writes and what a kill leaves: for
/// `scripts/bench-chain` and the tests.
struct ChainExercise: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exercise",
        abstract: "Write a chain of made-up blocks into an empty directory, and count the bytes.",
        shouldDisplay: false)

    @Option(help: "A directory of its own.") var directory: String
    @Option(help: "How many blocks.") var blocks: UInt64 = 2_000
    @Option(help: "Nodes of the site that is imitated.") var nodes = 8
    @Option(help: "Bytes that the chain may take.") var chainBytes = ChainStore.usualLimit
    @Flag(help: "Say on a line what is durable, as soon as it is.") var announce = false
    @Flag(help: "Write gossip's memory of what it signed as well.") var gossip = false

    struct Result: Codable {
        var blocks: UInt64
        var blockBytes: Int
        var certificateBytes: Int
        /// Bytes that the kernel was given to write to a disk; 0 on a file system in memory.
        var writtenBytes: Int
        var writtenBytesOfABlock: Int
        var fileBytes: Int
        var microsecondsOfABlock: Int
    }

    func run() async throws {
        let store = try ChainStore(directory: directory, limit: chainBytes)
        let signed = gossip ? RecordFile(path: "\(directory)/signed") : nil
        let before = Self.writtenBytes
        let began = ContinuousClock.now
        let first = try ChainReader(directory: directory).height() + 1
        for height in first..<first + blocks {
            let imitation = ImitatedHeight(height: height, nodes: nodes)
            for (step, agreement) in imitation.agreements.enumerated() {
                try store.persist(agreement)
                say("vote \(height) \(step)")
                try signed?.write([UInt8](repeating: UInt8(truncatingIfNeeded: height), count: 450))
            }
            try store.commit(imitation.committed)
            say("block \(height)")
            if height.isMultiple(of: SnapshotSchedule.interval) {
                try store.persist(StoredSnapshot(height: height, bytes: imitation.bytes(20_000, salt: 9)))
                say("snapshot \(height)")
            }
            try store.prune()
        }
        let imitation = ImitatedHeight(height: first, nodes: nodes)
        let written = Self.writtenBytes - before
        let result = Result(
            blocks: blocks, blockBytes: imitation.committed.block.count,
            certificateBytes: imitation.committed.certificate.count, writtenBytes: written,
            writtenBytesOfABlock: written / Int(max(1, blocks)), fileBytes: store.bytes,
            microsecondsOfABlock: Int((ContinuousClock.now - began) / .microseconds(1)) / Int(max(1, blocks)))
        print(try JSON.pretty(result))
    }

    private func say(_ text: String) {
        guard announce else { return }
        print(text)
        fflush(nil)
    }

    /// Of this process since it began, as the kernel counts.
    static var writtenBytes: Int {
        guard let file = fopen("/proc/self/io", "r") else { return 0 }
        defer { fclose(file) }
        var text = [CChar](repeating: 0, count: 1_024)
        let count = fread(&text, 1, text.count - 1, file)
        let lines = String(decoding: text.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self).split(
            separator: "\n")
        return lines.first { $0.hasPrefix("write_bytes: ") }.flatMap { Int($0.dropFirst(13)) } ?? 0
    }
}

/// What a planner of a site with some nodes stores at one height. Every byte follows from the height.
struct ImitatedHeight {
    let height: UInt64
    let nodes: Int

    func bytes(_ count: Int, salt: UInt64) -> [UInt8] {
        var random = SplitMix64(seed: height &* 1_000_003 &+ salt)
        var words = [UInt64](repeating: 0, count: count / 8 + 1)
        for index in words.indices { words[index] = random.next() }
        return words.withUnsafeBytes { Array($0.prefix(count)) }
    }

    private func digest(_ salt: UInt64) -> Digest { Digest(of: bytes(8, salt: salt), domain: "imitation") }

    /// A block with the report of each node: about 560 bytes each.
    var committed: CommittedBlock {
        let header = BlockHeader(
            genesis: .zero, height: height, builder: NodeID(unchecked: bytes(32, salt: 1)), engine: "raft", term: 7,
            time: 1_700_000_000_000 + Int64(height) * 1_000, parent: digest(2),
            parentSignature: Signature(unchecked: bytes(64, salt: 3)), body: digest(4), nextMembers: .zero,
            draw: VRFProof(unchecked: bytes(80, salt: 5)), stateRoot: digest(6))
        let block = header.encoded + bytes(64 + 24 + nodes * 560, salt: 7)
        return CommittedBlock(
            height: height, id: digest(8), block: block, certificate: bytes(90 + (nodes / 2 + 1) * 96, salt: 10))
    }

    /// Prevote and precommit, which brings the block; the builder, which each node is in its turn, has proposed it before.
    var agreements: [StoredAgreement] {
        let block = committed
        let held = [StoredAgreement.Held(id: block.id, block: block.block)]
        let record = bytes(170, salt: 11)
        let locked = bytes(290 + (nodes / 2 + 1) * 96, salt: 12)
        func stored(_ record: [UInt8], _ named: [Digest], _ blocks: [StoredAgreement.Held]) -> StoredAgreement {
            StoredAgreement(height: height, record: record, named: named, blocks: blocks)
        }
        guard height.isMultiple(of: UInt64(nodes)) else {
            return [stored(record, [], []), stored(locked, [block.id], held)]
        }
        return [
            stored(record, [block.id], held), stored(record + [1], [block.id], []), stored(locked, [block.id], []),
        ]
    }
}

extension Duration {
    fileprivate static func / (a: Duration, b: Duration) -> Int64 {
        let ratio: Double = a / b
        return Int64(ratio)
    }
}
