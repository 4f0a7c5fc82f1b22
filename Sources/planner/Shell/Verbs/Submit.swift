import ArgumentParser
import Contracts
import Glibc
import PlannerCore
import Runtime
import Transport

struct Submit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Submit apps: the services of a Compose file, or one app by its image.",
        discussion: """
            Each service of the file is an app; its name must be new in the site. Kept are image, command, entrypoint, \
            environment, labels, volumes, tmpfs, ports, restart, limits of processor and memory, hostname, user, \
            working_dir, deploy.placement.constraints and devices; any other key is an error. The label poise.move says \
            whether an app may be moved while it runs: live (the default) or never; poise.pin names the only device \
            that may run it. On a device that is out of touch with the site an app goes on (poise.isolated=run, the \
            default) or is frozen until that ends (freeze). An app with named volumes waits for a device that is away \
            (poise.restart=wait, the default), or is placed anew elsewhere with empty ones (fresh).

            The devices must have the image or be able to pull it. Where planner runs in a container, give it the file \
            on standard input: docker exec -i poise-planner planner submit - < apps.yaml

            Only the operator can submit apps: the order is signed with the operator's key.

            The command waits until the apps run and shows what happens to them. Exit status 1 if one doesn't.
            """)

    @Argument(help: ArgumentHelp("A Compose file; - reads standard input.", valueName: "file"))
    var file: String?

    @OptionGroup var app: AppOptions

    @Option(help: ArgumentHelp("The device for the first placement; later the site decides.", valueName: "node"))
    var on: String?

    @Flag(inversion: .prefixedNo, help: "Wait until the apps run.") var wait = true

    @Option(help: ArgumentHelp("Seconds to wait at most.", valueName: "seconds")) var timeout = 120

    @Flag(help: "Print the apps as JSON at the end.") var json = false

    @OptionGroup var operatorOptions: OperatorOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (file == nil) == (app.image != nil) else {
            throw ValidationError(
                "Give a Compose file, or --image and --name for a single app. (planner submit apps.yaml)")
        }
        if file != nil, let extra = app.firstGiven {
            throw ValidationError("--\(extra) describes a single app; a file says it itself.")
        }
        guard (1...86_400).contains(timeout) else { throw ValidationError("--timeout is 1 to 86400 seconds.") }
    }

    func run() async throws {
        let client = try LocalClient("planner", common)
        let submissions = try file.map { try Self.read($0) } ?? [try app.specification()]
        let orders = try Orders(client, operatorOptions, try common.settings())
        var progress = Progress(client: client, patience: .seconds(timeout))
        try await progress.submit(
            submissions.map { Submission(specification: $0, on: on) }, orders, waiting: wait)
        if wait { try await progress.waitUntilRunning() }
        let apps = try await progress.apps()
        if json {
            print(try JSON.pretty(apps))
        } else {
            print(AppTable(apps).text)
        }
        let well = apps.filter { [.running, .moving, .completed].contains($0.phase) }
        if wait, well.count < progress.names.count {
            throw ExitCode.failure
        }
    }

    private static func read(_ path: String) throws -> [AppSpecification] {
        let name = path == "-" ? "standard input" : path
        let apps = try ComposeFile.read(try read(path, name: name), name: name)
        for app in apps {
            guard let problem = AppLimits.problem(app) else { continue }
            throw ValueProblem("the app \"\(app.name.prefix(80))\": \(problem.what)", problem.remedy)
        }
        return apps
    }

    private static func read(_ path: String, name: String) throws -> [UInt8] {
        let descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw ValueProblem(
                "can't read \(path)",
                "\(String(cString: strerror(errno))). Inside a container the device's files are not there: give the file on standard input (-)"
            )
        }
        defer { if path != "-" { close(descriptor) } }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        // One byte more than is allowed tells that there is more.
        while bytes.count <= ComposeFile.byteLimit {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                throw ValueProblem("can't read \(name)", String(cString: strerror(errno)))
            }
            if count == 0 { break }
            bytes += chunk.prefix(count)
        }
        return bytes
    }
}

/// One app by flags.
struct AppOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Submit one app of this image.", valueName: "image")) var image: String?
    @Option(help: ArgumentHelp("Its name in the site.", valueName: "app")) var name: String?
    @Option(help: ArgumentHelp("Its command, split into words as a shell would.", valueName: "words")) var command:
        String?
    @Option(
        name: .customLong("env"),
        help: ArgumentHelp("A variable of its environment (repeatable).", valueName: "name=value"))
    var environment: [String] = []
    @Option(help: ArgumentHelp("A port of the device and one of the app (repeatable).", valueName: "8080:80"))
    var publish: [String] = []
    @Option(
        help: ArgumentHelp(
            "A label (repeatable); poise.move=never keeps it where it is, poise.pin names its device; poise.isolated=freeze and "
                + "poise.restart=fresh say what happens when that is cut off or away.",
            valueName: "name=value"))
    var label: [String] = []
    @Option(help: ArgumentHelp("A volume or host path and where it is mounted (repeatable).", valueName: "data:/data"))
    var volume: [String] = []
    @Option(
        help: ArgumentHelp(
            "What must hold of its device (repeatable): node.hostname, node.platform.arch or node.labels.KEY, == or !=.",
            valueName: "node.labels.floor==2"))
    var constraint: [String] = []
    @Option(help: ArgumentHelp("A device node that it uses (repeatable).", valueName: "/dev/x:/dev/y:rw"))
    var device: [String] = []
    @Option(help: ArgumentHelp("When to start it again: no, on-failure, always, unless-stopped.", valueName: "policy"))
    var restart: String?
    @Option(help: ArgumentHelp("Processor limit in cores, as 0.5.", valueName: "cores")) var cpus: String?
    @Option(help: ArgumentHelp("Memory limit, as 512m.", valueName: "size")) var memory: String?

    /// The first option that describes an app, if any is given.
    var firstGiven: String? {
        let given: [(String, Bool)] = [
            ("image", image != nil), ("name", name != nil), ("command", command != nil), ("env", !environment.isEmpty),
            ("publish", !publish.isEmpty), ("label", !label.isEmpty), ("volume", !volume.isEmpty),
            ("constraint", !constraint.isEmpty), ("device", !device.isEmpty),
            ("restart", restart != nil), ("cpus", cpus != nil), ("memory", memory != nil),
        ]
        return given.first(where: \.1)?.0
    }

    /// - Throws: `ValueProblem`, `ValidationError`.
    func specification() throws -> AppSpecification {
        guard let image, let name else { throw ValidationError("--image and --name belong together.") }
        guard AppSpecification.isValid(name: name) else {
            throw ValueProblem(
                "--name `\(name)` is not allowed",
                "an app's name has 1 to 63 of a-z, 0-9, `-`, `_` and `.`, and begins with a letter or digit")
        }
        var app = AppSpecification(name: name, image: try AppText.image(image))
        app.command = try command.map { line throws(ValueProblem) in try ShellWords.split(line) }
        for text in environment {
            let (key, value) = try Self.pair(text, "--env")
            app.environment[key] = value
        }
        for text in label {
            let (key, value) = try Self.pair(text, "--label")
            try AppLabels.set(key, value, of: &app)
        }
        for text in publish { app.ports += try ComposePorts.parse(text) }
        for text in constraint { try AppPlacement.constrain(text, &app) }
        for text in device { try AppPlacement.device(text, &app) }
        for text in volume { app.volumes.append(try ComposeMounts.parse(text)) }
        if let restart {
            guard let policy = RestartPolicy(rawValue: restart) else {
                let allowed = RestartPolicy.allCases.map(\.rawValue).joined(separator: ", ")
                throw ValueProblem("--restart `\(restart)` is unknown", "allowed are \(allowed)")
            }
            app.restart = policy
        }
        app.cpuMillicores = try cpus.map { text throws(ValueProblem) in try ComposeFigures.millicores(text) }
        app.memoryBytes = try memory.map { text throws(ValueProblem) in try ComposeFigures.bytes(text) }
        if let problem = AppLimits.problem(app) { throw problem }
        return app
    }

    private static func pair(_ text: String, _ option: String) throws(ValueProblem) -> (String, String) {
        guard let separator = text.firstIndex(of: "="), separator > text.startIndex else {
            throw ValueProblem("\(option) `\(text)` has no value", "write NAME=VALUE")
        }
        let value = String(text[text.index(after: separator)...])
        guard value.utf8.count <= AppSpecification.textLimit else {
            throw ValueProblem(
                "\(option) `\(text.prefix(40))…` is too long", "at most \(AppSpecification.textLimit) bytes")
        }
        return (String(text[..<separator]), value)
    }
}
