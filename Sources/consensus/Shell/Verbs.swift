import ArgumentParser
import ConsensusCore
import Contracts
import Runtime
import Transport

/// `consensus health`.
struct HealthVerb: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "health",
        abstract: "Ask the running service how it is.",
        discussion: "Exits 0 if it works, with or without warnings, and 1 if it doesn't or doesn't answer.")

    @OptionGroup var common: CommonOptions
    @Flag(help: "Print JSON.") var json = false

    func run() async throws { try await HealthCommand("consensus", common).run(json: json) }
}

/// `consensus leader`.
struct LeaderCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "leader",
        abstract: "Show who leads, as this device acknowledges it.",
        discussion: """
            The leader proposes the blocks. Without one, blocks still come, but each takes a round longer. The name is \
            the one that gossip knows.
            """)

    @OptionGroup var common: CommonOptions
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        let leadership: Leadership = try await LocalClient("consensus", common).get("/leadership/latest")
        if json { return print(try JSON.pretty(leadership)) }
        let names = await names()
        let leader = leadership.leader.map { id in names[id].map { "\($0) (\(id.short))" } ?? id.description }
        print(
            Table(
                ["ENGINE", "TERM", "LEADER", "SHOWN BY"],
                [
                    [
                        leadership.engine, String(leadership.term), leader ?? "none: see `consensus health`",
                        leader == nil ? "" : Self.proof(leadership),
                    ]
                ]
            ).text)
    }

    private static func proof(_ leadership: Leadership) -> String {
        switch (try? Elections.named(leadership.engine))?.guarantee.proof {
        case .votes:
            (try? QuorumCertificate(encoded: leadership.certificate?.bytes ?? [])).map {
                "\($0.voices.count) signed votes"
            } ?? ""
        case .draw: "its draw"
        case .computed: "the chain alone"
        case .lookedUp: "etcd"
        case nil: ""
        }
    }

    /// What gossip calls the nodes; without gossip they have no names, and the answer is good all the same.
    private func names() async -> [NodeID: String] {
        struct Named: Decodable {
            var id: NodeID
            var name: String
        }
        do {
            let gossip = try LocalClient("gossip", common)
            let nodes = [try await gossip.get("/node", as: Named.self)] + (try await gossip.get("/peers"))
            return Dictionary(nodes.map { ($0.id, $0.name) }, uniquingKeysWith: { first, _ in first })
        } catch { return [:] }
    }
}
