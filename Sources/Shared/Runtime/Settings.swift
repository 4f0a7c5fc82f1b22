import FoundationEssentials
import Synchronization
import YAML

/// Where a service's settings come from: a flag, else `POISE_*` in the environment, else the YAML file, else the default.
///
/// The setting `report-interval-ms` is `POISE_REPORT_INTERVAL_MS` in the environment and `report-interval-ms` in the file.
/// Everything is read once, at start; a wrong value throws ``SettingError``, which names it and says what is allowed.
public final class Settings: Sendable {
    private let environment: [String: String]
    private let file: [String: YAMLNode]
    private let path: String?
    private let asked = Mutex<Set<String>>([])

    /// - Parameter config: the YAML file, a map of settings to single values or lists; nil for none.
    /// - Throws: ``SettingError`` if the file can't be read or isn't such a map.
    public init(
        config path: String?, environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws {
        self.environment = environment
        self.path = path
        guard let path else {
            file = [:]
            return
        }
        guard let bytes = try DurableFile(path: path).read() else {
            throw SettingError("the settings file \(path) does not exist")
        }
        let document: YAMLDocument
        do { document = try YAMLDocument.parse(bytes) } catch { throw SettingError("\(path): \(error)") }
        if let problem = document.problems.first { throw SettingError("\(path): \(problem)") }
        guard let root = document.root, !root.isNull else {
            file = [:]
            return
        }
        guard case .map(let entries) = root.content else {
            throw SettingError("\(path): expected a map of settings, found \(root.kind)")
        }
        file = Dictionary(entries.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
    }

    public static func variable(_ key: String) -> String {
        "POISE_" + key.uppercased().split(separator: "-").joined(separator: "_")
    }

    /// The text of a setting and where it was found; nil if nowhere.
    private func find(_ key: String, flag: String?) throws -> (text: String, source: String)? {
        asked.withLock { _ = $0.insert(key) }
        if let flag { return (flag, "--\(key)") }
        let variable = Self.variable(key)
        // Compose passes variables that are not set as empty ones.
        if let text = environment[variable], !text.isEmpty { return (text, variable) }
        guard let node = file[key], !node.isNull else { return nil }
        let source = "\(key) (\(path ?? ""), line \(node.line))"
        switch node.content {
        case .scalar(let text, _): return (text, source)
        case .list(let entries):
            return (
                try entries.map { entry in
                    guard let text = entry.text else {
                        throw SettingError("\(source): expected a list of single values, found \(entry.kind)")
                    }
                    return text
                }.joined(separator: ","), source
            )
        case .map: throw SettingError("\(source): expected a single value, found \(node.kind)")
        }
    }

    public func string(_ key: String, flag: String? = nil, default fallback: String) throws -> String {
        try find(key, flag: flag)?.text ?? fallback
    }

    public func optional(_ key: String, flag: String? = nil) throws -> String? { try find(key, flag: flag)?.text }

    /// - Parameter purpose: what it is for, to tell whoever has not set it.
    public func required(_ key: String, flag: String? = nil, purpose: String) throws -> String {
        guard let found = try find(key, flag: flag) else {
            throw SettingError("\(Self.variable(key)) (or --\(key)) is not set: \(purpose)")
        }
        return found.text
    }

    public func integer(
        _ key: String, flag: Int? = nil, default fallback: Int, in range: ClosedRange<Int>
    ) throws -> Int {
        try optionalInteger(key, flag: flag, in: range) ?? fallback
    }

    public func optionalInteger(_ key: String, flag: Int? = nil, in range: ClosedRange<Int>) throws -> Int? {
        guard let (text, source) = try find(key, flag: flag.map(String.init)) else { return nil }
        guard let value = Int(text), range.contains(value) else {
            throw SettingError(
                "\(source) is \"\(text)\": allowed are whole numbers from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    public func choice(_ key: String, flag: String? = nil, default fallback: String, of allowed: [String]) throws
        -> String
    {
        guard let (text, source) = try find(key, flag: flag) else { return fallback }
        guard allowed.contains(text) else {
            throw SettingError("\(source) is \"\(text)\": allowed is \(allowed.joined(separator: ", "))")
        }
        return text
    }

    /// Comma-separated values, without blanks around them; empty ones are left out.
    public func list(_ key: String, flag: String? = nil, limit: Int = 1_000) throws -> [String] {
        guard let (text, source) = try find(key, flag: flag) else { return [] }
        let values = text.split(separator: ",").map { $0.trimmed }.filter { !$0.isEmpty }
        guard values.count <= limit else {
            throw SettingError("\(source) has \(values.count) entries: at most \(limit) are allowed")
        }
        return values
    }

    /// A value that `parse` understands.
    ///
    /// - Parameter parse: throws an error that says what is allowed.
    public func parsed<T>(_ key: String, flag: String? = nil, _ parse: (String) throws -> T) throws -> T? {
        guard let (text, source) = try find(key, flag: flag) else { return nil }
        do { return try parse(text) } catch { throw SettingError("\(source): \(error)") }
    }

    /// Call when every setting has been asked for.
    ///
    /// - Parameter others: settings that the file may hold for the other services.
    /// - Throws: ``SettingError`` for a setting in the file that nobody knows: it is misspelt.
    public func rejectUnknown(except others: Set<String> = []) throws {
        let known = asked.withLock { $0 }.union(others)
        if let unknown = file.keys.filter({ !known.contains($0) }).min() {
            throw SettingError(
                "\(path ?? ""): there is no setting called \(unknown); there are: \(known.sorted().joined(separator: ", "))"
            )
        }
    }
}

extension Substring {
    var trimmed: String {
        var text = self
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}

/// A setting that is missing or wrong.
public struct SettingError: Error, CustomStringConvertible {
    public var description: String
    public init(_ description: String) { self.description = description }
}
