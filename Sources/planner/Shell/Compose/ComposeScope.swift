import Contracts
import YAML

/// Reads the values of one part of a file (a service, or the top level) and notes what is wrong with them, in place.
struct ComposeScope {
    /// "in service `web`", or empty.
    let place: String
    var problems: ComposeProblems

    mutating func refuse(_ line: Int, _ what: String, _ remedy: String) {
        problems.add(ValueProblem(what, remedy), line: line, place: place)
    }

    /// The result of `body`, or nil with the problem noted.
    mutating func checked<T>(_ line: Int, _ body: () throws(ValueProblem) -> T) -> T? {
        do {
            return try body()
        } catch {
            problems.add(error, line: line, place: place)
            return nil
        }
    }

    /// A single value as text. `$$` is a dollar; any other `$` asks for a variable of the environment.
    mutating func text(_ node: YAMLNode, _ what: String) -> String? {
        guard let raw = node.text else {
            refuse(node.line, "\(what) is \(node.kind)", "write a single value")
            return nil
        }
        return checked(node.line) { () throws(ValueProblem) in try ComposeText.plain(raw, what) }
    }

    /// A list of texts. A single value is a list of one where Compose says so.
    mutating func texts(_ node: YAMLNode, _ what: String, orSingle: Bool = false) -> [String] {
        if orSingle, node.text != nil { return text(node, what).map { [$0] } ?? [] }
        return list(node, what).compactMap { text($0, "an entry of \(what)") }
    }

    mutating func list(_ node: YAMLNode, _ what: String) -> [YAMLNode] {
        if node.isNull { return [] }
        guard case .list(let entries) = node.content else {
            refuse(node.line, "\(what) is \(node.kind)", "write a list")
            return []
        }
        guard entries.count <= AppSpecification.listLimit else {
            refuse(node.line, "\(what) has \(entries.count) entries", "at most \(AppSpecification.listLimit) are kept")
            return []
        }
        return entries
    }

    /// The entries of a map, without extensions (`x-…`), which are for other readers.
    mutating func map(_ node: YAMLNode, _ what: String) -> [YAMLNode.Entry] {
        if node.isNull { return [] }
        guard case .map(let entries) = node.content else {
            refuse(node.line, "\(what) is \(node.kind)", "write a map of `key: value`")
            return []
        }
        return entries.filter { !$0.key.hasPrefix("x-") }
    }

    mutating func truth(_ node: YAMLNode, _ what: String) -> Bool? {
        switch node.text {
        case "true": return true
        case "false": return false
        default:
            refuse(node.line, "\(what) is neither true nor false", "write true or false")
            return nil
        }
    }

    struct Pair {
        var key: String
        /// nil where only the key is written.
        var value: String?
        var line: Int
    }

    /// `KEY: value` or `- KEY=value`, as environment and labels are written.
    mutating func pairs(_ node: YAMLNode, _ what: String) -> [Pair] {
        var pairs: [Pair] = []
        if case .list = node.content {
            for entry in list(node, what) {
                guard let text = text(entry, "an entry of \(what)") else { continue }
                let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
                pairs.append(Pair(key: parts[0], value: parts.count == 2 ? parts[1] : nil, line: entry.line))
            }
        } else {
            for entry in map(node, what) {
                var pair = Pair(key: entry.key, value: nil, line: entry.line)
                if !entry.value.isNull {
                    guard let value = text(entry.value, "`\(entry.key)` of \(what)") else { continue }
                    pair.value = value
                }
                pairs.append(pair)
            }
        }
        guard pairs.count <= AppSpecification.listLimit else {
            refuse(node.line, "\(what) has \(pairs.count) entries", "at most \(AppSpecification.listLimit) are kept")
            return []
        }
        var seen: Set<String> = []
        return pairs.filter { pair in
            if pair.key.isEmpty { refuse(pair.line, "\(what) has an entry without a name", "write NAME=VALUE") }
            let isNew = seen.insert(pair.key).inserted
            if !isNew { refuse(pair.line, "`\(pair.key)` stands twice in \(what)", "keep one of them") }
            return isNew && !pair.key.isEmpty
        }
    }
}

/// Text that Compose would fill in from the environment of whoever runs it.
enum ComposeText {
    /// - Parameter what: what the text is, for the message.
    static func plain(_ raw: String, _ what: String) throws(ValueProblem) -> String {
        guard raw.utf8.count <= AppSpecification.textLimit else {
            throw ValueProblem(
                "\(what) has \(raw.utf8.count) bytes", "at most \(AppSpecification.textLimit) are kept")
        }
        guard !raw.utf8.contains(0) else {
            throw ValueProblem("\(what) contains a NUL character", "no container can be given it; remove it")
        }
        var text = ""
        var rest = Substring(raw)
        while let dollar = rest.firstIndex(of: "$") {
            text += rest[..<dollar]
            let after = rest.index(after: dollar)
            guard after < rest.endIndex, rest[after] == "$" else {
                throw ValueProblem(
                    "\(what) asks for a variable (`$`)",
                    "no device's environment is consulted: write the value itself, or `$$` for a dollar sign")
            }
            text += "$"
            rest = rest[rest.index(after: after)...]
        }
        return text + rest
    }
}
