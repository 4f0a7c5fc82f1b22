import ArgumentParser
import Contracts
import Glibc
import PlannerCore
import Runtime
import Transport

struct ChainVerb: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chain", abstract: "Look at the site's chain of blocks.",
        subcommands: [ChainShow.self, ChainExport.self, ChainVerify.self, ChainExercise.self, ChainSample.self])
}

struct ChainShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show the newest blocks, or one of them with all it holds.")

    @Option(help: "How many of the newest blocks, 1 to 100.") var last = 10
    @Option(help: "One block, by its height.") var height: Int?
    @OptionGroup var common: CommonOptions
    @Flag(help: "Print JSON.") var json = false

    func validate() throws {
        guard (1...100).contains(last) else { throw ValidationError("--last is 1 to 100.") }
        guard height ?? 1 >= 1 else { throw ValidationError("--height begins with 1.") }
    }

    func run() async throws {
        let client = try LocalClient("planner", common)
        let head: HeadView = try await client.get("/chain/head")
        let query = height.map { "from=\($0)&limit=1" } ?? "limit=\(last)"
        let blocks: [BlockSummary] = try await client.get("/chain/blocks?\(query)")
        if let height, blocks.isEmpty {
            throw Problem(404, "unknown-block", "there is no block \(height) yet: the last is \(head.height)")
        }
        if json {
            print(try JSON.pretty(blocks))
        } else if height != nil, let block = blocks.first {
            print(BlockText(block, head.members).details)
        } else {
            print(
                "site \(head.site), genesis \(head.genesis.short), \(head.members.count) members, height \(head.height)"
            )
            print(BlockText.table(blocks, head.members))
        }
    }
}

/// Blocks for people, who know nodes by their names.
struct BlockText {
    private let block: BlockSummary
    private let names: [NodeID: String]

    init(_ block: BlockSummary, _ members: [Member]) {
        self.block = block
        names = Dictionary(members.map { ($0.id, $0.name) }) { first, _ in first }
    }

    private func name(_ node: NodeID) -> String { names[node] ?? node.short }

    static func table(_ blocks: [BlockSummary], _ members: [Member]) -> String {
        let rows = blocks.map { block in
            let text = BlockText(block, members)
            return [
                "\(block.height)", Moment.text(block.time), text.name(block.builder), "\(block.term)", "\(block.round)",
                block.id.short, "\(block.signers.count)", text.summary,
            ]
        }
        return Table(
            ["HEIGHT", "TIME", "BUILDER", "TERM", "ROUND", "ID", "VOTES", "CONTENT"], rows,
            rightAligned: [0, 3, 4, 6]
        ).text
    }

    private var summary: String {
        var parts = plan
        parts += transactions.map { $0.count > 60 ? $0.prefix(59) + "…" : $0 }
        let shown = parts.prefix(3).joined(separator: "; ")
        let more = parts.count > 3 ? "; and \(parts.count - 3) more" : ""
        return parts.isEmpty ? "\(block.reports.count) reports" : shown + more
    }

    private var plan: [String] {
        block.assignments.sorted { $0.key < $1.key }.map { "\($0.key) → \(name($0.value))" }
            + block.moves.map { "\($0.app): \(name($0.from)) → \(name($0.to))" }
    }

    /// The core begins each with the short key of its node.
    private var transactions: [String] {
        block.transactions.map { text in
            guard let (id, name) = names.first(where: { text.hasPrefix("\($0.key.short): ") }) else { return text }
            return name + text.dropFirst(id.short.count)
        }
    }

    var details: String {
        var lines = [
            "height       \(block.height)", "id           \(block.id)", "parent       \(block.parent)",
            "time         \(Moment.text(block.time))",
            "builder      \(name(block.builder)) (\(block.engine), term \(block.term))",
            "round        \(block.round)", "votes        \(block.signers.map(name).sorted().joined(separator: ", "))",
            "state root   \(block.stateRoot)", "bytes        \(block.bytes)",
            "reports      \(block.reports.map(name).sorted().joined(separator: ", "))",
        ]
        lines += plan.map { "plan         \($0)" }
        lines += transactions.map { "transaction  \($0)" }
        return lines.joined(separator: "\n")
    }
}

/// Block time for people.
enum Moment {
    /// `2026-05-01 12:00:00.123` UTC.
    static func text(_ milliseconds: Int64) -> String {
        var seconds = time_t(milliseconds / 1_000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let fraction = String(1_000 + milliseconds % 1_000).dropFirst()
        return "\(parts.tm_year + 1_900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday)) "
            + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)).\(fraction)"
    }
}
