import ArgumentParser
import Runtime
import Transport

/// `simulate chain-figures`.
struct ChainFiguresCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chain-figures",
        abstract: "How soon a block is committed, in one-way delays, and what it costs.",
        discussion: """
            On a network where each message takes \(ChainFigures.delay) ms and nothing is lost, with the quorum byzantine, a \
            block each second and a report of each node in it; what a device does itself takes no time. Once with one \
            copy of each message to each other node (direct), and once as gossip spreads them.
            """)

    @Option(help: "How many nodes; several sizes with commas.") var nodes = "4,10,50,100"
    @Option(help: "Blocks at each size, 1 to 10000; a twentieth above 20 nodes, a fiftieth above 60.") var blocks = 200
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        let sizes = try nodes.split(separator: ",").map { text in
            guard let size = Int(text), (1...200).contains(size) else {
                throw ValidationError("--nodes has \"\(text)\": allowed are 1 to 200")
            }
            return size
        }
        guard (1...10_000).contains(blocks) else {
            throw ValidationError("--blocks is \(blocks): allowed are 1 to 10000")
        }
        let cases = ChainFigures.Network.allCases.flatMap { network in sizes.map { (network, $0) } }
        let figures = try await withThrowingTaskGroup(of: (Int, ChainFigures).self) { [blocks] group in
            for (index, (network, size)) in cases.enumerated() {
                group.addTask {
                    let count = max(1, size > 60 ? blocks / 50 : size > 20 ? blocks / 20 : blocks)
                    return (index, try ChainFigures.measure(network, nodes: size, blocks: count))
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }.sorted { $0.0 < $1.0 }.map(\.1)
        }
        if json { return print(try JSON.pretty(figures)) }
        print(
            Table(
                [
                    "NETWORK", "NODES", "QUORUM HAS IT", "MOST", "HALF HAVE IT", "MOST", "ALL HAVE IT", "MOST",
                    "MESSAGES/BLOCK", "KB/BLOCK", "ALL MESSAGES", "ALL KB",
                ], figures.map(Self.row)
            ).text)
        print(
            "In one-way delays from the proposal, median and most. Messages and KB: proposals and votes; and all there was."
        )
    }

    private static func row(_ figures: ChainFigures) -> [String] {
        [figures.network.rawValue, "\(figures.nodes)"]
            + [figures.quorumLatency, figures.medianLatency, figures.allLatency].flatMap {
                [number($0.median), number($0.most)]
            }
            + [
                number(figures.messages), number(figures.bytes / 1_000), number(figures.allMessages),
                number(figures.allBytes / 1_000),
            ]
    }

    private static func number(_ value: Double) -> String {
        value < 100 ? "\((value * 10).rounded() / 10)" : "\(Int(value.rounded()))"
    }
}
