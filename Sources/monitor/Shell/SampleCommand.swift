import ArgumentParser
import Contracts
import MonitorCore
import Runtime
import Transport

struct SampleCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sample", abstract: "Print once what the apps and the device use.",
        discussion: """
            Asks the running service. With --direct it reads Docker itself, twice, one interval apart: for a device on \
            which no service runs yet, or to see whether Docker can be read at all.
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var device: DeviceOptions
    @Flag(help: "Read Docker instead of asking the running service.")
    var direct = false
    @Flag(help: "Print the matrix as JSON, in parts per million.")
    var json = false

    func run() async throws {
        let matrix: LoadMatrix
        if direct {
            matrix = try await Self.measure(MonitorSettings(device, try common.settings()))
        } else {
            matrix = try await LocalClient("monitor", common).get("/load/latest")
        }
        if json {
            print(try JSON.pretty(matrix))
        } else {
            let shown = LoadTable(matrix: matrix)
            print(shown.table.text)
            print(shown.legend)
        }
    }

    /// Takes two samples, since rates need two.
    private static func measure(_ settings: MonitorSettings) async throws -> LoadMatrix {
        let engine = DockerEngine(socket: settings.dockerSocket, client: HTTPClient())
        var machine = MonitorMachine(settings.parameters)
        for isLast in [false, true] {
            let effects = machine.step(.sampled(try await engine.sample(describing: !isLast)))
            for case .log(.warning, let text) in effects { Standard.error(text) }
            if !isLast { try await Task.sleep(for: .milliseconds(settings.parameters.interval)) }
        }
        guard let matrix = machine.newest else {
            let reason = machine.checks(now: MonotonicClock.nowMilliseconds())["engine"]?.output
            throw Problem(503, "no-sample", reason ?? "Docker can't be measured")
        }
        return matrix
    }
}
