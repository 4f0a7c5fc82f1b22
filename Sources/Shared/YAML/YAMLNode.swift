/// A value in a YAML document, with the place where it stands, so that whoever refuses it can say where.
public struct YAMLNode: Sendable, Equatable {
    public enum Content: Sendable, Equatable {
        /// Text as written. `quoted` tells `"no"` from a plain `no`, which a reader may take for a truth value.
        case scalar(String, quoted: Bool)
        case list([YAMLNode])
        /// In the order of the document; a key that stands twice is in ``YAMLDocument/problems`` and here once.
        case map([Entry])
    }

    public struct Entry: Sendable, Equatable {
        public var key: String
        /// Where the key stands, from 1.
        public var line: Int
        public var value: YAMLNode
    }

    public var content: Content
    /// Where the value begins, from 1.
    public var line: Int

    public init(_ content: Content, line: Int) {
        self.content = content
        self.line = line
    }

    /// Whether nothing stands here: an empty value, `~` or `null`.
    public var isNull: Bool {
        guard case .scalar(let text, quoted: false) = content else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(text)
    }

    /// The text of a scalar that isn't null.
    public var text: String? {
        guard case .scalar(let text, _) = content, !isNull else { return nil }
        return text
    }

    /// What stands here, in words for a message.
    public var kind: String {
        switch content {
        case .scalar: isNull ? "nothing" : "a single value"
        case .list: "a list"
        case .map: "a map"
        }
    }
}

/// What is wrong with a document, and where.
public struct YAMLProblem: Error, Equatable, CustomStringConvertible {
    /// From 1; 0 where the problem has no place.
    public var line: Int
    public var reason: String

    public init(line: Int, reason: String) {
        self.line = line
        self.reason = reason
    }

    public var description: String { line > 0 ? "line \(line): \(reason)" : reason }
}

/// How large a document may be. A few aliases can stand for billions of values, so what counts is the
/// document with each alias replaced by what it names.
public struct YAMLLimits: Sendable {
    public var bytes: Int
    public var nodes: Int
    public var depth: Int

    public init(bytes: Int = 1 << 20, nodes: Int = 100_000, depth: Int = 32) {
        self.bytes = bytes
        self.nodes = nodes
        self.depth = depth
    }
}
