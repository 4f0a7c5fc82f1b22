import ArgumentParser
import Contracts
import Glibc
import Identity
import PlannerCore
import Runtime
import Transport

/// Stores a chain that is valid in all it holds, as if a site had run for hours: for `scripts/bench-chain` and whoever wants one
/// to check. The keys are known to everybody.
struct ChainSample: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sample",
        abstract: "Write a valid chain of a site that never was into an empty directory.",
        shouldDisplay: false)

    @Option(help: "A directory of its own.") var directory: String
    @Option(help: "How many blocks.") var blocks: UInt64 = 1_000
    @Option(help: "Nodes of the site.") var nodes = 4
    @Option(help: "Apps that run on it, up to 256.") var apps = 20
    @Option(help: "Blocks between two snapshots at least; none by default.") var snapshotInterval: UInt64 = 1 << 40

    struct Result: Codable {
        var blocks: UInt64
        /// Means.
        var blockBytes: Int
        var certificateBytes: Int
        var reports: Int
        var transactions: Int
        var moves: Int
        /// Ed25519 signatures that whoever checks the chain must verify, and draws.
        var signatures: Int
        var draws: Int
        /// Of the file once the log is in it.
        var fileBytes: Int
        var seconds: Double
        /// What one processor takes for one, the best of some batches.
        var microsecondsOfASignature: Double
        var microsecondsOfADraw: Double
    }

    private struct Totals {
        var bytes = 0
        var certificates = 0
        var reports = 0
        var transactions = 0
        var moves = 0
        var signatures = 0
    }

    func validate() throws {
        guard (1...100).contains(nodes) else { throw ValidationError("--nodes is 1 to 100.") }
        guard (0...256).contains(apps) else { throw ValidationError("--apps is 0 to 256.") }
        guard blocks >= 1 else { throw ValidationError("--blocks is 1 at least.") }
    }

    func run() async throws {
        let began = ContinuousClock.now
        let parameters = SiteParameters(
            quorum: QuorumRule.usual(members: nodes), blockInterval: 1_000, idleInterval: 1_000)
        let cast = PeacefulCast(nodes: nodes, apps: apps, parameters: parameters)
        let totals = try write(cast)
        let count = Int(blocks)
        let rates = VerificationRates(cast)
        let result = Result(
            blocks: blocks, blockBytes: totals.bytes / count, certificateBytes: totals.certificates / count,
            reports: totals.reports, transactions: totals.transactions, moves: totals.moves,
            signatures: totals.signatures, draws: count, fileBytes: ChainFiles.bytes(ChainFiles.path(in: directory)),
            seconds: (ContinuousClock.now - began) / .seconds(1), microsecondsOfASignature: rates.signature,
            microsecondsOfADraw: rates.draw)
        print(try JSON.pretty(result))
    }

    private func write(_ cast: PeacefulCast) throws -> Totals {
        let store = try ChainStore(directory: directory, limit: 1 << 42)
        guard try store.genesis() == nil else { throw StorageError("\(directory) holds a chain already") }
        try store.persist(genesis: cast.founding.encoded)
        var site = try PeacefulSite(cast, delay: 1, start: 1_750_000_000_000, snapshotInterval: snapshotInterval)
        var totals = Totals()
        var height: UInt64 = 0
        while height < blocks {
            // A memo keeps all it has seen.
            try VerificationMemo().during {
                for _ in 0..<100_000 where height < blocks {
                    for notice in site.next() { try take(notice, store, &totals, &height) }
                }
            }
        }
        return totals
    }

    /// The first node's is the disk.
    private func take(
        _ notice: PeacefulSite.Notice, _ store: ChainStore, _ totals: inout Totals, _ height: inout UInt64
    ) throws {
        switch notice {
        case .committed(let block, by: 0):
            try store.commit(block)
            height = block.height
            let summary = try BlockSummary(block)
            totals.bytes += block.block.count
            totals.certificates += block.certificate.count
            totals.reports += summary.reports.count
            totals.transactions += summary.transactions.count
            totals.moves += summary.moves.count
            totals.signatures += 1 + summary.signers.count + summary.reports.count + summary.transactions.count
        case .snapshot(let snapshot, by: 0): try store.persist(snapshot)
        case .complaint(let text, _): throw StorageError("a planner complains at block \(height): \(text)")
        case .committed, .snapshot, .said: break
        }
    }
}

/// How fast this machine verifies.
private struct VerificationRates {
    let signature: Double
    let draw: Double

    init(_ cast: PeacefulCast) {
        let keys = cast.seeds.compactMap { SigningKey(seed: $0) }
        let report = cast.report(of: 0, cast.load(of: [], at: 0)).encoded
        signature = Self.best(of: 2_000) { number in
            let key = keys[number % keys.count]
            return (key, key.sign(report))
        } check: {
            $0.0.nodeID.verifies($0.1, of: report)
        }
        draw = Self.best(of: 200) { number in
            let key = keys[number % keys.count]
            return (key.vrf.publicKey, key.vrf.prove(report))
        } check: {
            $0.0.output(of: $0.1, for: report) != nil
        }
    }

    /// Microseconds of one check.
    private static func best<Case>(of count: Int, make: (Int) -> Case, check: (Case) -> Bool) -> Double {
        let cases = (0..<count).map(make)
        var best = Double.infinity
        for _ in 0..<5 {
            let began = ContinuousClock.now
            let sound = cases.count { check($0) }
            guard sound == count else { return .nan }
            best = min(best, (ContinuousClock.now - began) / .microseconds(1) / Double(count))
        }
        return best
    }
}
