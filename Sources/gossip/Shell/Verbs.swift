import ArgumentParser
import Contracts
import GossipCore
import Runtime
import Transport

/// `gossip health`.
struct HealthVerb: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "health", abstract: "Ask the running service how it is.",
        discussion: "Exits 0 if it works, with or without warnings, and 1 if it doesn't or doesn't answer.")

    @OptionGroup var common: CommonOptions
    @Flag(help: "Print JSON.") var json = false

    func run() async throws { try await HealthCommand("gossip", common).run(json: json) }
}

/// `gossip peers`.
struct PeersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "peers", abstract: "Show the other devices that this one knows.")

    @OptionGroup var common: CommonOptions
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        let peers: [PeerState] = try await LocalClient("gossip", common).get("/peers")
        if json { return print(try JSON.pretty(peers)) }
        guard !peers.isEmpty else {
            return print("No peers yet. `gossip health` says which of POISE_PEERS don't answer, and why.")
        }
        let rows = peers.map { peer in
            [
                peer.name, peer.id.short, peer.address, peer.connected ? "yes" : "no",
                peer.latencyMicroseconds.map { tenths($0) } ?? "-",
                peer.reportAgeMilliseconds.map { "\(tenths($0)) s" } ?? "-",
            ]
        }
        print(
            Table(["NAME", "ID", "ADDRESS", "CONNECTED", "LATENCY MS", "LAST REPORT"], rows, rightAligned: [4, 5]).text)
    }

    /// Thousandths as a decimal with one place.
    private func tenths(_ thousandths: Int64) -> String { "\(thousandths / 1_000).\(thousandths % 1_000 / 100)" }
}

/// `gossip scores`.
struct ScoresCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scores", abstract: "Show the newest scores of every device and its apps.",
        discussion: "Percent of the device's total. A dash is a figure that could not be had.")

    @OptionGroup var common: CommonOptions
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        let scores: [NodeScores] = try await LocalClient("gossip", common).get("/scores")
        if json { return print(try JSON.pretty(scores)) }
        guard !scores.isEmpty else {
            return print("No reports yet. `gossip health` says whether monitor delivers samples.")
        }
        var rows: [[String]] = []
        for node in scores {
            rows.append(row(node.report.name, "(device)", node.report.load.device, age: node.ageMilliseconds))
            for app in node.report.load.apps { rows.append(row("", app.app, app.score, age: nil)) }
        }
        let header = ["NODE", "APP", "CPU %", "RAM %", "DISK %", "NETWORK %", "AGE S"]
        print(Table(header, rows, rightAligned: [2, 3, 4, 5, 6]).text)
    }

    private func row(_ node: String, _ app: String, _ score: Score, age: Int64?) -> [String] {
        let figures = [score.cpu, score.ram, score.disk, score.network].map { figure in
            figure.map { "\($0 / 10_000).\($0 % 10_000 / 1_000)" } ?? "-"
        }
        return [node, app] + figures + [age.map { "\($0 / 1_000).\($0 % 1_000 / 100)" } ?? ""]
    }
}
