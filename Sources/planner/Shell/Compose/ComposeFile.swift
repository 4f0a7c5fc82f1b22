import Contracts
import YAML

/// A Compose file as a list of apps: each service is one.
///
/// Poise keeps what decides how an app runs and refuses the rest by name: a key that is dropped in silence would
/// start another app than the one described. All that is wrong is reported at once, and a file with one fault gives no apps.
enum ComposeFile {
    static let byteLimit = 1 << 20
    static let appLimit = 100

    /// - Parameter name: the file's name, for messages.
    /// - Returns: the apps in the order of the file.
    /// - Throws: ``ComposeRefusal`` with everything that is wrong.
    static func read(_ bytes: [UInt8], name: String) throws(ComposeRefusal) -> [AppSpecification] {
        var scope = ComposeScope(place: "", problems: ComposeProblems(file: name))
        let document: YAMLDocument
        do {
            document = try YAMLDocument.parse(bytes, limits: YAMLLimits(bytes: byteLimit))
        } catch {
            scope.refuse(error.line, error.reason, "mend this first; the rest of the file was not looked at")
            throw scope.problems.refusal ?? ComposeRefusal(problems: [])
        }
        for problem in document.problems { scope.refuse(problem.line, problem.reason, "keep one of them") }
        let apps = document.root.map { Self.apps(of: $0, &scope) } ?? []
        if document.root == nil { scope.refuse(0, "the file is empty", "describe apps under `services:`") }
        if let refusal = scope.problems.refusal { throw refusal }
        return apps
    }

    private static func apps(of root: YAMLNode, _ scope: inout ComposeScope) -> [AppSpecification] {
        let top = scope.map(root, "the file")
        for entry in top where !ComposeKeys.top.contains(entry.key) {
            scope.refuse(
                entry.line, "unsupported key `\(entry.key.prefix(80))`",
                ComposeKeys.remedy(for: entry.key, known: ComposeKeys.top))
        }
        let declared = top.first { $0.key == "volumes" }.map { volumes($0, &scope) } ?? []
        guard let services = top.first(where: { $0.key == "services" }) else {
            if case .map = root.content {
                scope.refuse(0, "there is no `services:`", "describe apps under `services:`")
            }
            return []
        }
        let entries = scope.map(services.value, "services")
        if entries.isEmpty {
            scope.refuse(services.line, "`services:` names no app", "describe at least one")
        }
        guard entries.count <= appLimit else {
            scope.refuse(services.line, "`services:` has \(entries.count) apps", "submit at most \(appLimit) at a time")
            return []
        }
        var apps: [AppSpecification] = []
        for entry in entries {
            apps.append(ComposeService.read(entry, declared: declared, problems: &scope.problems))
        }
        return apps
    }

    /// The names under the top-level `volumes:`.
    private static func volumes(_ entry: YAMLNode.Entry, _ scope: inout ComposeScope) -> Set<String> {
        var names: Set<String> = []
        for volume in scope.map(entry.value, "volumes") {
            names.insert(volume.key)
            for option in scope.map(volume.value, "volume `\(volume.key.prefix(80))`") {
                scope.refuse(
                    option.line, "unsupported key `\(option.key.prefix(80))` of volume `\(volume.key.prefix(80))`",
                    "remove it; a volume is a directory of the device's engine that its app's moves carry along")
            }
        }
        return names
    }
}
