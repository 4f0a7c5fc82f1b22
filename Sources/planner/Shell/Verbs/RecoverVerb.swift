import ArgumentParser
import Contracts
import Identity
import PlannerCore
import Runtime
import Transport

struct Recover: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Go on without devices that are lost for good, when those left are too few to decide.",
        discussion: """
            Run it on one of the devices that are left. The chain goes on after its last block under another name, with those \
            devices alone and by your signature; what ran on the lost ones is started anew, without its memory. Whoever checks \
            the chain sees it for ever. A lost device that turns up again stops what it runs and takes part no more.

            Only for devices that never come back: while one of them may return, wait. Where they are cut off but together, they \
            could have gone on by themselves, and what they decided is given up.
            """)

    @Option(help: ArgumentHelp("The lost devices, separated by commas.", valueName: "names")) var without: String
    @Option(help: "What those left must bear: crash or byzantine. By default byzantine from four devices on.")
    var quorum: String?
    @Flag(help: "Also without devices that answer, and with a quorum if that has decided nothing for half a minute.")
    var force = false
    @Flag(help: "Don't ask.") var yes = false
    @OptionGroup var operatorOptions: OperatorOptions
    @OptionGroup var common: CommonOptions

    private var lost: [String] { without.split(separator: ",").map { $0.trimmed } }

    func validate() throws {
        guard quorum.map({ QuorumRule(rawValue: $0) != nil }) ?? true else {
            throw ValidationError("--quorum is crash or byzantine.")
        }
        guard !lost.isEmpty else { throw ValidationError("--without names no device, as in: --without cellar,roof") }
    }

    func run() async throws {
        let client = try LocalClient("planner", common)
        let key = try operatorOptions.file(try common.settings()).read()
        let head: HeadView = try await client.get("/chain/head")
        try head.check(key)
        let lost = lost
        if let wrong = lost.first(where: { !PlannerSettings.isName($0) }) {
            throw ValueProblem("`\(wrong)` is no device's name", "allowed are \(PlannerSettings.nameRule)")
        }
        var query = "without=\(lost.joined(separator: ","))"
        if let quorum { query += "&quorum=\(quorum)" }
        if force { query += "&force=true" }
        let draft: RecoveryDraft = try await client.get("/chain/recovery?\(query)")
        let genesis = try Genesis(encoded: draft.encoded.bytes)
        try check(genesis, head, lost)
        show(genesis, lost)
        guard yes || Confirmation.isGiven("Go on without \(lost.joined(separator: ", "))?") else {
            throw ValueProblem(
                "nothing was done", "say yes (docker exec -it lets you), or --yes where nobody can be asked")
        }
        guard let recovery = Recovery(genesis: genesis, signature: key.sign(genesis.signedBytes)) else {
            throw ValueProblem("planner has drafted no recovery", "is it of the same version as this command?")
        }
        let body = RecoveryRequest(recovery: Base64Bytes(recovery.encoded), force: force)
        try await client.send("POST", "/recoveries", body: try JSON.encode(body))
        try await awaitBlock(after: head.height, client)
        print("\(genesis.site) goes on as \(genesis.hash)")
    }

    /// The operator signs what the command was told and shows, whatever planner drafts.
    private func check(_ genesis: Genesis, _ head: HeadView, _ lost: [String]) throws {
        var wanted = Genesis(
            site: head.site, operatorKey: head.operatorKey, parameters: head.parameters,
            members: head.members.filter { !lost.contains($0.name) },
            predecessor: Predecessor(
                genesis: head.genesis, height: head.height, head: head.id, stateRoot: head.stateRoot))
        wanted.parameters.quorum = quorum.flatMap(QuorumRule.init) ?? .usual(members: wanted.members.count)
        guard genesis == wanted else { throw ValueProblem("the chain has changed meanwhile", "try again") }
    }

    private func show(_ genesis: Genesis, _ lost: [String]) {
        guard let predecessor = genesis.predecessor else { return }
        let quorum = Quorum(members: genesis.members.count, rule: genesis.parameters.quorum)
        Notice.show("site        \(genesis.site), chain \(predecessor.genesis.short)")
        Notice.show("last block  \(predecessor.height) \(predecessor.head.short)")
        Notice.show("lost        \(lost.joined(separator: ", "))")
        Notice.show("goes on     \(genesis.members.map(\.name).sorted().joined(separator: ", "))")
        Notice.show("quorum      \(quorum.votes) of \(quorum.members) (\(quorum.rule.rawValue))")
    }

    private func awaitBlock(after height: UInt64, _ client: LocalClient) async throws {
        Notice.show("signed; waiting for the first block that those left decide")
        let deadline = ContinuousClock.now + .seconds(90)
        var silence = ""
        while .now < deadline {
            do {
                let head: HeadView = try await client.get("/chain/head")
                if head.height > height { return Notice.show("block \(head.height) is decided") }
                silence = ""
            } catch  where !(error is CancellationError) {
                // The recovery holds whether or not planner is there to be asked.
                silence = "; this device's planner doesn't answer: \(error)"
            }
            try await Task.sleep(for: .milliseconds(500))
        }
        throw Problem(
            504, "no-block",
            "no block was decided within 90 s: `planner health` on the devices that are left says why\(silence)")
    }
}

extension Substring {
    fileprivate var trimmed: String { String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()) }
}

/// A question to a person at a terminal.
enum Confirmation {
    /// - Returns: whether the answer is yes. Where nobody can answer it is no.
    static func isGiven(_ question: String) -> Bool {
        Notice.show("\(question) [yes/no]")
        return readLine()?.lowercased() == "yes"
    }
}
