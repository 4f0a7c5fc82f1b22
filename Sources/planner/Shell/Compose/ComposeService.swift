import Contracts
import YAML

/// One service of a Compose file, read into an app.
struct ComposeService {
    private var app: AppSpecification
    private var scope: ComposeScope
    private var cpuLine: Int?
    private var memoryLine: Int?
    /// The named volumes that the file declares.
    private let declared: Set<String>
    private var hasImage = false

    /// The app, as far as it could be read; what is wrong with it is added to `problems`.
    static func read(
        _ entry: YAMLNode.Entry, declared: Set<String>, problems: inout ComposeProblems
    ) -> AppSpecification {
        var service = ComposeService(
            app: AppSpecification(name: entry.key, image: ""),
            scope: ComposeScope(place: "in service `\(entry.key)`", problems: problems), declared: declared)
        service.read(entry)
        problems = service.scope.problems
        return service.app
    }

    private init(app: AppSpecification, scope: ComposeScope, declared: Set<String>) {
        self.app = app
        self.scope = scope
        self.declared = declared
    }

    private mutating func read(_ entry: YAMLNode.Entry) {
        if !AppSpecification.isValid(name: app.name) {
            scope.refuse(
                entry.line, "name `\(app.name.prefix(80))` is not allowed",
                "an app's name has 1 to 63 of a-z, 0-9, `-`, `_` and `.`, and begins with a letter or digit")
        }
        for setting in scope.map(entry.value, "a service") { read(setting: setting) }
        if !hasImage { scope.refuse(entry.line, "no image", "name one with `image:`") }
        if let problem = AppLimits.problem(app) {
            scope.problems.add(problem, line: entry.line, place: scope.place)
        }
    }

    private mutating func read(setting: YAMLNode.Entry) {
        let value = setting.value
        switch setting.key {
        case "image": image(value)
        case "command": app.command = words(value, "command")
        case "entrypoint": app.entrypoint = words(value, "entrypoint")
        case "environment": environment(value)
        case "labels": labels(value)
        case "volumes": for entry in scope.list(value, "volumes") { volume(entry) }
        case "tmpfs": for path in scope.texts(value, "tmpfs", orSingle: true) { tmpfs(path, value.line) }
        case "ports": ports(value)
        case "restart": restart(value)
        case "cpus": cpus(value)
        case "mem_limit": memory(value)
        case "deploy": deploy(value)
        case "devices": placement(value, "devices", AppPlacement.device)
        case "hostname": app.hostname = checked(value, "hostname", AppText.hostname)
        case "user": app.user = checked(value, "user", AppText.user)
        case "working_dir": app.workingDirectory = checked(value, "working_dir", AppText.directory)
        default: unsupported(setting, known: ComposeKeys.service)
        }
    }

    private mutating func unsupported(_ entry: YAMLNode.Entry, known: [String], under parent: String = "") {
        scope.refuse(
            entry.line, "unsupported key `\(parent)\(entry.key.prefix(80))`",
            ComposeKeys.remedy(for: entry.key, known: known))
    }

    /// A single text that `check` accepts; nil where the key is left empty.
    private mutating func checked(
        _ node: YAMLNode, _ what: String, _ check: (String) throws(ValueProblem) -> String
    ) -> String? {
        guard !node.isNull, let text = scope.text(node, what) else { return nil }
        return scope.checked(node.line) { () throws(ValueProblem) in try check(text) }
    }

    private mutating func image(_ node: YAMLNode) {
        hasImage = true
        if let image = scope.text(node, "image").flatMap({ text in
            scope.checked(node.line) { () throws(ValueProblem) in try AppText.image(text) }
        }) {
            app.image = image
        }
    }

    /// Words, from a list or from one string split as a shell would.
    private mutating func words(_ node: YAMLNode, _ what: String) -> [String]? {
        if node.isNull { return nil }
        guard case .scalar = node.content else { return scope.texts(node, what) }
        guard let line = scope.text(node, what) else { return nil }
        let words = scope.checked(node.line) { () throws(ValueProblem) in try ShellWords.split(line) }
        guard let words, words.count > AppSpecification.listLimit else { return words }
        scope.refuse(node.line, "\(what) has \(words.count) words", "at most \(AppSpecification.listLimit) are kept")
        return nil
    }

    private mutating func environment(_ node: YAMLNode) {
        for pair in scope.pairs(node, "environment") {
            if let value = pair.value {
                app.environment[pair.key] = value
            } else {
                scope.refuse(
                    pair.line, "environment variable `\(pair.key)` has no value",
                    "no device's environment is consulted: write `\(pair.key)=VALUE`, or `\(pair.key)=` for an empty one"
                )
            }
        }
    }

    private mutating func labels(_ node: YAMLNode) {
        for pair in scope.pairs(node, "labels") {
            let value = pair.value ?? ""
            scope.checked(pair.line) { () throws(ValueProblem) in
                try AppLabels.set(pair.key, value, of: &app)
            }
        }
    }

    private mutating func volume(_ node: YAMLNode) {
        let mount: VolumeMount?
        if case .map = node.content {
            mount = longVolume(node)
        } else if let text = scope.text(node, "an entry of volumes") {
            mount = scope.checked(node.line) { () throws(ValueProblem) in try ComposeMounts.parse(text) }
        } else {
            mount = nil
        }
        if let mount { add(mount, node.line) }
    }

    private mutating func tmpfs(_ path: String, _ line: Int) {
        guard !path.contains(":") else {
            scope.refuse(line, "tmpfs `\(path)` has options", "write the path alone")
            return
        }
        let mount = scope.checked(line) { () throws(ValueProblem) in
            try ComposeMounts.mount(.tmpfs, source: "", target: path, readOnly: false)
        }
        if let mount { add(mount, line) }
    }

    private mutating func add(_ mount: VolumeMount, _ line: Int) {
        if app.volumes.contains(where: { $0.target == mount.target }) {
            scope.refuse(line, "two mounts at `\(mount.target)`", "keep one of them")
        }
        if mount.kind == .volume, !declared.contains(mount.source) {
            scope.refuse(
                line, "volume `\(mount.source)` is not declared",
                "add `\(mount.source):` under the top-level `volumes:`")
        }
        app.volumes.append(mount)
    }

    private mutating func longVolume(_ node: YAMLNode) -> VolumeMount? {
        var kind: VolumeMount.Kind?
        var source = ""
        var target = ""
        var readOnly = false
        var isKnown = true
        for entry in scope.map(node, "an entry of volumes") {
            switch entry.key {
            case "type":
                let text = scope.text(entry.value, "type") ?? ""
                kind = VolumeMount.Kind(rawValue: text)
                guard kind == nil else { continue }
                isKnown = false
                scope.refuse(entry.line, "volume type `\(text)` is unknown", "allowed are volume, bind and tmpfs")
            case "source": source = scope.text(entry.value, "source") ?? ""
            case "target": target = scope.text(entry.value, "target") ?? ""
            case "read_only": readOnly = scope.truth(entry.value, "read_only") ?? false
            // What `docker compose config` writes for the short form.
            case "volume", "bind", "tmpfs":
                for option in scope.map(entry.value, entry.key) {
                    unsupported(option, known: [], under: "\(entry.key).")
                }
            default: unsupported(entry, known: ["type", "source", "target", "read_only"], under: "volumes.")
            }
        }
        guard isKnown, let kind else {
            if isKnown { scope.refuse(node.line, "a volume has no type", "add `type: volume`, `bind` or `tmpfs`") }
            return nil
        }
        return scope.checked(node.line) { () throws(ValueProblem) in
            try ComposeMounts.mount(kind, source: source, target: target, readOnly: readOnly)
        }
    }
}

// Ports, restarts and limits.
extension ComposeService {
    private mutating func ports(_ node: YAMLNode) {
        for entry in scope.list(node, "ports") {
            let mappings: [PortMapping]?
            if case .map = entry.content {
                mappings = longPort(entry)
            } else if let text = scope.text(entry, "an entry of ports") {
                mappings = scope.checked(entry.line) { () throws(ValueProblem) in try ComposePorts.parse(text) }
            } else {
                mappings = nil
            }
            for mapping in mappings ?? [] {
                if app.ports.contains(where: { $0.published == mapping.published && $0.transport == mapping.transport })
                {
                    scope.refuse(
                        entry.line, "port \(mapping.published)/\(mapping.transport) is published twice",
                        "choose another port of the device")
                }
                app.ports.append(mapping)
            }
        }
    }

    private mutating func longPort(_ node: YAMLNode) -> [PortMapping]? {
        var published = ""
        var target = ""
        var transport = "tcp"
        for entry in scope.map(node, "an entry of ports") {
            switch entry.key {
            case "target": target = scope.text(entry.value, "target") ?? ""
            case "published": published = scope.text(entry.value, "published") ?? ""
            case "protocol": transport = scope.text(entry.value, "protocol") ?? ""
            // Both mean the same where one container has the port; `docker compose config` writes it.
            case "mode":
                let mode = scope.text(entry.value, "mode") ?? ""
                guard !["host", "ingress"].contains(mode) else { continue }
                scope.refuse(entry.line, "port mode `\(mode)` is unknown", "allowed are host and ingress")
            case "host_ip":
                scope.refuse(
                    entry.line, "a port names an address of the device (`host_ip`)",
                    "it has to hold on every device, so a port is published on all addresses; remove it")
            default: unsupported(entry, known: ["target", "published", "protocol", "mode"], under: "ports.")
            }
        }
        guard !target.isEmpty, !published.isEmpty else {
            scope.refuse(node.line, "a port lacks `target` or `published`", "write both")
            return nil
        }
        return scope.checked(node.line) { () throws(ValueProblem) in
            try ComposePorts.parse(published: published, target: target, transport: transport)
        }
    }

    private mutating func restart(_ node: YAMLNode) {
        guard let text = scope.text(node, "restart") else { return }
        if let policy = RestartPolicy(rawValue: text) {
            app.restart = policy
        } else if text.hasPrefix("on-failure:") {
            scope.refuse(node.line, "restart `\(text)` counts attempts", "write `on-failure`")
        } else {
            let allowed = RestartPolicy.allCases.map { "`\($0.rawValue)`" }.joined(separator: ", ")
            scope.refuse(node.line, "restart policy `\(text)` is unknown", "allowed are \(allowed)")
        }
    }

    private mutating func deploy(_ node: YAMLNode) {
        for entry in scope.map(node, "deploy") {
            switch entry.key {
            case "resources": resources(entry.value)
            case "placement":
                for entry in scope.map(entry.value, "deploy.placement") {
                    guard entry.key == "constraints" else {
                        unsupported(entry, known: ["constraints"], under: "deploy.placement.")
                        continue
                    }
                    placement(entry.value, "deploy.placement.constraints", AppPlacement.constrain)
                }
            default: unsupported(entry, known: ["placement", "resources"], under: "deploy.")
            }
        }
    }

    private mutating func resources(_ node: YAMLNode) {
        for entry in scope.map(node, "deploy.resources") {
            guard entry.key == "limits" else {
                unsupported(entry, known: ["limits"], under: "deploy.resources.")
                continue
            }
            for limit in scope.map(entry.value, "deploy.resources.limits") {
                switch limit.key {
                case "cpus": cpus(limit.value)
                case "memory": memory(limit.value)
                default: unsupported(limit, known: ["cpus", "memory"], under: "deploy.resources.limits.")
                }
            }
        }
    }

    /// A list of texts that say where the app may run.
    private mutating func placement(
        _ node: YAMLNode, _ what: String, _ add: (String, inout AppSpecification) throws(ValueProblem) -> Void
    ) {
        for entry in scope.list(node, what) {
            guard let text = scope.text(entry, "an entry of \(what)") else { continue }
            scope.checked(entry.line) { () throws(ValueProblem) in try add(text, &app) }
        }
    }

    private mutating func cpus(_ node: YAMLNode) {
        guard let text = scope.text(node, "cpus"),
            let value = scope.checked(node.line, { () throws(ValueProblem) in try ComposeFigures.millicores(text) })
        else { return }
        if let cpuLine, app.cpuMillicores != value {
            scope.refuse(node.line, "the processor limit differs from that in line \(cpuLine)", "keep one of them")
        }
        app.cpuMillicores = value
        cpuLine = node.line
    }

    private mutating func memory(_ node: YAMLNode) {
        guard let text = scope.text(node, "the memory limit"),
            let value = scope.checked(node.line, { () throws(ValueProblem) in try ComposeFigures.bytes(text) })
        else { return }
        if let memoryLine, app.memoryBytes != value {
            scope.refuse(node.line, "the memory limit differs from that in line \(memoryLine)", "keep one of them")
        }
        app.memoryBytes = value
        memoryLine = node.line
    }
}
