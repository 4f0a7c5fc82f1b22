import ArgumentParser
import Contracts
import PlannerCore
import Runtime
import Transport

struct Apps: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the site's apps.",
        discussion: """
            Phases: pending (waits for a device), placed (a device was told to start it), running, moving, completed \
            (ended by itself with success), failed (REASON says why). INC is the number of its placement; LOAD is in \
            thousandths of a core.
            """)

    @OptionGroup var common: CommonOptions
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        let apps: [AppStatus] = try await LocalClient("planner", common).get("/apps")
        if json {
            print(try JSON.pretty(apps))
        } else if apps.isEmpty {
            print("no apps yet: `planner submit` takes a Compose file")
        } else {
            print(AppTable(apps).text)
        }
    }
}

/// Apps for people.
struct AppTable {
    private let apps: [AppStatus]

    init(_ apps: [AppStatus]) { self.apps = apps }

    var text: String {
        let rows = apps.map { app in
            [
                app.name, app.phase.rawValue, (app.node ?? "-") + (app.target.map { " → \($0)" } ?? ""),
                "\(app.incarnation)", app.image, app.cpuMillicores.map { "\($0)m" } ?? "-", app.reason,
            ]
        }
        return Table(["APP", "PHASE", "NODE", "INC", "IMAGE", "LOAD", "REASON"], rows, rightAligned: [3, 5]).text
    }
}

struct Remove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Remove an app from the site.",
        discussion: "Its container is stopped and removed on the device that has it; its named volumes stay there.")

    @Argument(help: "The app's name.") var app: String
    @OptionGroup var operatorOptions: OperatorOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        guard AppSpecification.isValid(name: app) else {
            throw ValueProblem("`\(app)` is no app's name", "`planner apps` lists those there are")
        }
        let client = try LocalClient("planner", common)
        let orders = try Orders(client, operatorOptions, try common.settings())
        try await orders.send(.remove(app: app), for: try await client.get("/chain/head"))
        print("removed \(app)")
    }
}

struct Nodes: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the site's devices.",
        discussion: """
            A device is present while its reports arrive; one that is absent still votes but is given no apps. HEARD says \
            whether this device has had word of it within five seconds, so who is missing where the site stands still. LOAD is what it carries and is about to carry, in thousandths of a core; % is that of its own total.
            """)

    @OptionGroup var common: CommonOptions
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        let nodes: [NodeStatus] = try await LocalClient("planner", common).get("/nodes")
        if json {
            print(try JSON.pretty(nodes))
            return
        }
        let rows = nodes.sorted { $0.name < $1.name }.map(Self.row)
        print(Table(["NODE", "ID", "STATE", "HEARD", "LOAD", "OF", "%", "APPS"], rows, rightAligned: [4, 5, 6]).text)
    }
    private static func row(_ node: NodeStatus) -> [String] {
        let standing = node.present ? "present" : node.absent ? "absent" : "not heard yet"
        // Tenths of a percent, from ppm.
        let share = node.score.map { "\($0 / 10_000).\($0 / 1_000 % 10)" }
        return [
            node.name, node.id.short, standing, node.heard ? "yes" : "no", node.loadMillicores.map { "\($0)m" } ?? "-",
            node.capacityMillicores.map { "\($0)m" } ?? "-", share ?? "-", node.apps.joined(separator: " "),
        ]
    }
}
