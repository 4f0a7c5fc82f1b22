import ArgumentParser
import Glibc
import Runtime
import Transport

struct MovesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "moves", abstract: "Show the moves from and to this device, the newest first.",
        discussion: """
            DOWNTIME is how long the app stood still, from the request for its checkpoint until the other device \
            confirmed that it runs there. It is known at the device that the app came from.
            """)

    @OptionGroup var common: CommonOptions
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        let rows: [MoveRow] = try await LocalClient("migrator", common).get("/moves")
        if json { return print(try JSON.pretty(rows)) }
        let now = WallClock.nowMilliseconds()
        let cells = rows.map { row in
            [
                row.app, row.from, row.to, row.endedAt == nil ? row.phase : "-", Self.size(row.bytes),
                row.downtimeMs.map { "\($0) ms" } ?? "-",
                row.reason.isEmpty ? row.outcome.rawValue : "\(row.outcome.rawValue): \(row.reason)",
                Self.age(now - (row.endedAt ?? row.startedAt)),
            ]
        }
        print(
            Table(
                ["APP", "FROM", "TO", "PHASE", "SHIPPED", "DOWNTIME", "OUTCOME", "AGE"], cells, rightAligned: [4, 5, 7]
            )
            .text)
    }

    static func size(_ bytes: Int64) -> String {
        bytes < 10_000_000 ? "\((bytes + 500) / 1_000) kB" : "\((bytes + 500_000) / 1_000_000) MB"
    }

    static func age(_ milliseconds: Int64) -> String {
        let seconds = max(0, milliseconds / 1_000)
        switch seconds {
        case ..<120: return "\(seconds) s"
        case ..<7_200: return "\(seconds / 60) min"
        case ..<172_800: return "\(seconds / 3_600) h"
        default: return "\(seconds / 86_400) d"
        }
    }
}

/// Sleeps until it is ended: the app that preflight checkpoints and restores.
struct HoldCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hold", abstract: "Do nothing until ended.", shouldDisplay: false)

    func run() async throws {
        signal(SIGTERM, SIG_DFL)
        while true { try await Task.sleep(for: .seconds(3_600)) }
    }
}
