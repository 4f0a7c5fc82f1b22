import ArgumentParser
import Contracts
import Glibc
import PlannerCore
import Runtime
import Transport

struct ChainVerify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Check the whole stored chain again, trusting nothing.",
        discussion: """
            Reads this device's stored chain, or a copy, and computes everything anew: every member's signature of the \
            genesis, every block's hash and its builder's signature, the votes that made it final, every report and \
            transaction in it, the plan and the state's root. Where older blocks have been given up it begins with the \
            snapshot, whose proof leads from the genesis to it. Nothing is changed; planner may be running, or be on \
            another machine.
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var state: StateOptions
    @Option(
        help:
            "What to check in place of this device's chain: a file that `planner chain export` has written, a copied chain.sqlite, or a directory that holds one."
    )
    var from: String?
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        let source: ChainSource
        if let from {
            source = try ChainSource(from)
        } else {
            let settings = try common.settings()
            let directory = try settings.string("state", flag: state.stateDirectory, default: "/var/lib/poise")
            source = .stored(try ChainReader(directory: directory), path: ChainFiles.path(in: directory))
        }
        var next = ContinuousClock.now + .seconds(2)
        let result = try ChainCheck.run(source) { height, last in
            guard .now > next else { return }
            Notice.show("checked block \(height) of \(last)")
            next = .now + .seconds(2)
        }
        print(json ? try JSON.pretty(result) : Self.text(result))
    }

    static func text(_ result: ChainCheck.Result) -> String {
        let extent =
            if let snapshot = result.snapshot, result.from > 1 {
                "Blocks \(result.from) to \(result.height) hold: every signature, certificate, plan and state was computed again.\n"
                    + "Older ones are given up: the state after block \(snapshot) is proven by its members' votes, "
                    + "\(result.memberChanges) changes of members, and the genesis.\n"
                    + "\(result.linked) blocks before it are named by its header, one by the next."
            } else {
                "\(result.height) blocks hold, the whole chain: every signature, certificate, plan and state was computed again."
            }
        let recoveries = result.recoveries.map { recovery in
            "The operator had it go on after block \(recovery.height) with "
                + "\(recovery.members.map(\.name).sorted().joined(separator: ", ")); until then it was called \(recovery.predecessor).\n"
        }
        return """
            \(extent)
            \(recoveries.joined())genesis  \(result.genesis)
            members  \(result.members.map(\.name).sorted().joined(separator: ", "))
            head     \(result.head)
            size     \(result.bytes) bytes
            """
    }
}

struct ChainExport: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Write this device's chain into one file, to check it elsewhere.",
        discussion: """
            The file holds the genesis, the snapshot if there is one, and the blocks: `planner chain verify --from FILE` \
            checks it on any machine. Nothing is changed; planner may be running.
            """)

    @Argument(help: "The file. An older export that is there is replaced.") var file: String
    @OptionGroup var common: CommonOptions
    @OptionGroup var state: StateOptions
    @Flag(help: "Print JSON.") var json = false

    struct Result: Codable {
        var file: String
        var height: UInt64
        var bytes: Int
    }

    func run() async throws {
        let settings = try common.settings()
        let reader = try ChainReader(
            directory: try settings.string("state", flag: state.stateDirectory, default: "/var/lib/poise"))
        guard access(file, F_OK) != 0 || ArchiveReader.isArchive(file) else {
            throw ValueProblem("\(file) is there and is no exported chain", "choose another name, or remove it first")
        }
        var next = ContinuousClock.now + .seconds(2)
        var last = try reader.snapshot()?.height ?? 0
        let bytes = try ChainArchive.export(reader, to: file) { height in
            last = max(last, height)
            guard .now > next else { return }
            Notice.show("wrote block \(height)")
            next = .now + .seconds(2)
        }
        let result = Result(file: file, height: last, bytes: bytes)
        print(
            json
                ? try JSON.pretty(result)
                : "\(file): the chain up to block \(last), \(bytes) bytes. Check it with `planner chain verify --from \(file)`."
        )
    }
}
