import ArgumentParser
import Runtime
import Transport

struct PreflightCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "preflight", abstract: "Say whether this device can start and move apps, and what to do if not.",
        discussion: """
            The service need not run. The last check starts a container of the migrator's own image, checkpoints it, \
            restores it and removes it; another image that is here can be named, with what to run in it. The exit \
            status is 1 if a check fails.
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var options: MigratorOptions
    @Option(help: "An image to try a checkpoint with.") var image: String?
    @Flag(help: "Leave out the trial checkpoint.") var noTrial = false
    @Flag(help: "Print JSON.") var json = false
    @Argument(help: "What to run in the image (default: hold, for the migrator's own).") var command: [String] = [
        "hold"
    ]

    func run() async throws {
        let settings = try MigratorSettings(options, try common.settings())
        let engine = DockerEngine(socket: settings.dockerSocket, client: HTTPClient())
        let probe = noTrial ? nil : Preflight.Probe(image: image, command: command)
        let checks = await Preflight(engine: engine, settings: settings, probe: probe).run()
        if json {
            print(try JSON.pretty(checks))
        } else {
            let rows = checks.map { [$0.name, $0.ok ? "ok" : "FAILS", $0.found, $0.advice] }
            print(Table(["CHECK", "RESULT", "FOUND", "WHAT TO DO"], rows).text)
        }
        if checks.contains(where: { !$0.ok }) { throw ExitCode.failure }
    }
}
