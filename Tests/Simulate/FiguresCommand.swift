import ArgumentParser
import ConsensusCore
import ElectionSimulation
import Runtime
import Transport

/// `simulate figures`.
struct FiguresCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "figures",
        abstract: "What each way to elect costs, and how soon it has a new leader.",
        discussion: """
            On a network where each message takes \(ElectionFigures.delay) ms, with a heartbeat of 250 ms and a timeout of \
            1000 ms, which is \(1_000 / ElectionFigures.delay) one-way delays: most of the time until there is a new leader is \
            the silence by which the old one is missed.
            """)

    @Option(help: "How many nodes; several sizes with commas.") var nodes = "4,10,50,100"
    @Option(help: "How often a leader dies at each size, 1 to 100000; a tenth of it above 20 nodes.") var rounds = 1_000
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        let sizes = try nodes.split(separator: ",").map { text in
            guard let size = Int(text), (1...500).contains(size) else {
                throw ValidationError("--nodes has \"\(text)\": allowed are 1 to 500")
            }
            return size
        }
        guard (1...100_000).contains(rounds) else {
            throw ValidationError("--rounds is \(rounds): allowed are 1 to 100000")
        }
        let cases = Elections.names.flatMap { name in sizes.map { (name, $0) } }
        let figures = try await withThrowingTaskGroup(of: (Int, ElectionFigures).self) { [rounds] group in
            for (index, (name, size)) in cases.enumerated() {
                group.addTask {
                    let engine = try Elections.named(name)
                    let count = size > 20 ? max(1, rounds / 10) : rounds
                    return (index, ElectionFigures.measure(engine, nodes: size, rounds: count))
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }.sorted { $0.0 < $1.0 }.map(\.1)
        }
        if json { return print(try JSON.pretty(figures)) }
        print(
            Table(
                [
                    "ENGINE", "NODES", "MESSAGES/ELECTION", "KB/ELECTION", "MESSAGES/IDLE S", "KB/IDLE S", "NEW LEADER",
                    "P99", "OF IT VOTING",
                ], figures.map(Self.row)
            ).text)
        print("A new leader: in one-way delays from the old one's death, median and 99th percentile.")
    }

    private static func row(_ figures: ElectionFigures) -> [String] {
        [
            figures.engine, "\(figures.nodes)", number(figures.electionMessages),
            number(figures.electionBytes / 1_000), number(figures.idleMessages), number(figures.idleBytes / 1_000),
            "\(figures.recoveryMedian)", "\(figures.recoveryP99)", figures.votingMedian.map { "\($0)" } ?? "",
        ]
    }

    private static func number(_ value: Double) -> String {
        value < 100 ? "\((value * 10).rounded() / 10)" : "\(Int(value.rounded()))"
    }
}
