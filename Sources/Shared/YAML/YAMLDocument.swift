/// One YAML document as a tree. Scalars stay text: what a text means is for the reader of the key to say.
public struct YAMLDocument: Sendable {
    /// nil if the document is empty.
    public var root: YAMLNode?
    /// Keys that stand twice in one map, in the order found. The first of them is kept in the tree.
    public var problems: [YAMLProblem]

    /// Reads `bytes`, which must be UTF-8 and hold one document at most.
    ///
    /// Aliases are replaced by what they name and merge keys (`<<`) by what they merge; tags and keys that
    /// aren't text are refused.
    /// - Throws: ``YAMLProblem`` for what isn't YAML or exceeds `limits`.
    public static func parse(_ bytes: [UInt8], limits: YAMLLimits = YAMLLimits()) throws(YAMLProblem) -> YAMLDocument {
        guard bytes.count <= limits.bytes else {
            throw YAMLProblem(line: 0, reason: "the file has \(bytes.count) bytes; at most \(limits.bytes) are read")
        }
        guard String(validating: bytes, as: UTF8.self) != nil else {
            throw YAMLProblem(line: 0, reason: "the file isn't UTF-8 text")
        }
        let events = try YAMLEvents(bytes)
        var composer = YAMLComposer(events: events, limits: limits)
        return try composer.document()
    }
}

/// Builds the tree from the parser's events.
struct YAMLComposer {
    /// A finished subtree and its size, so that an alias to it can be weighed before it is copied.
    private struct Part {
        var node: YAMLNode
        var count: Int
        var depth: Int
    }

    private let events: YAMLEvents
    private let limits: YAMLLimits
    private var anchors: [String: Part] = [:]
    private var count = 0
    private var problems: [YAMLProblem] = []

    init(events: YAMLEvents, limits: YAMLLimits) {
        self.events = events
        self.limits = limits
    }

    mutating func document() throws(YAMLProblem) -> YAMLDocument {
        var root: YAMLNode?
        while true {
            let event = try events.next()
            switch event.kind {
            case .documentStart where root != nil:
                throw YAMLProblem(line: event.line, reason: "a second document begins; one file is one document")
            case .end: return YAMLDocument(root: root, problems: problems)
            case .scalar, .alias, .listStart, .mapStart: root = try part(event, under: 0).node
            case .documentStart, .listEnd, .mapEnd, .other: continue
            }
        }
    }

    private mutating func part(_ event: YAMLEvents.Event, under parents: Int) throws(YAMLProblem) -> Part {
        guard parents < limits.depth else {
            throw YAMLProblem(line: event.line, reason: "nested deeper than \(limits.depth) levels")
        }
        try add(1, at: event)
        var part: Part
        switch event.kind {
        case .alias(let name): return try aliased(name, event, under: parents)
        case .scalar(let text, let quoted):
            part = Part(node: YAMLNode(.scalar(text, quoted: quoted), line: event.line), count: 1, depth: 1)
        case .listStart: part = try list(event, under: parents)
        case .mapStart: part = try map(event, under: parents)
        case .documentStart, .listEnd, .mapEnd, .end, .other:
            throw YAMLProblem(line: event.line, reason: "a value is missing")
        }
        if let anchor = event.anchor { anchors[anchor] = part }
        return part
    }

    private mutating func add(_ more: Int, at event: YAMLEvents.Event) throws(YAMLProblem) {
        count += more
        guard count <= limits.nodes else {
            throw YAMLProblem(
                line: event.line, reason: "more than \(limits.nodes) values, with aliases (`*name`) written out")
        }
    }

    private mutating func aliased(
        _ name: String, _ event: YAMLEvents.Event, under parents: Int
    ) throws(YAMLProblem) -> Part {
        guard let part = anchors[name] else {
            throw YAMLProblem(line: event.line, reason: "nothing before this place is anchored as `&\(name)`")
        }
        guard parents + part.depth <= limits.depth else {
            throw YAMLProblem(line: event.line, reason: "nested deeper than \(limits.depth) levels")
        }
        try add(part.count - 1, at: event)
        return part
    }

    private mutating func list(_ start: YAMLEvents.Event, under parents: Int) throws(YAMLProblem) -> Part {
        var nodes: [YAMLNode] = []
        var size = 1
        var depth = 0
        while true {
            let event = try events.next()
            if case .listEnd = event.kind { break }
            let part = try part(event, under: parents + 1)
            nodes.append(part.node)
            size += part.count
            depth = max(depth, part.depth)
        }
        return Part(node: YAMLNode(.list(nodes), line: start.line), count: size, depth: depth + 1)
    }

    private mutating func map(_ start: YAMLEvents.Event, under parents: Int) throws(YAMLProblem) -> Part {
        var entries: [YAMLNode.Entry] = []
        var merged: [YAMLNode] = []
        var lines: [String: Int] = [:]
        var size = 1
        var depth = 0
        while true {
            let event = try events.next()
            if case .mapEnd = event.kind { break }
            let key = try part(event, under: parents + 1)
            let value = try part(try events.next(), under: parents + 1)
            size += key.count + value.count
            depth = max(depth, key.depth, value.depth)
            guard case .scalar(let text, let quoted) = key.node.content else {
                throw YAMLProblem(line: event.line, reason: "a key must be text; here it is \(key.node.kind)")
            }
            if text == "<<", !quoted {
                merged.append(value.node)
            } else if let first = lines[text] {
                problems.append(
                    YAMLProblem(line: event.line, reason: "`\(text)` stands here again, first in line \(first)"))
            } else {
                lines[text] = event.line
                entries.append(YAMLNode.Entry(key: text, line: event.line, value: value.node))
            }
        }
        for source in merged { try merge(source, into: &entries, &lines) }
        return Part(node: YAMLNode(.map(entries), line: start.line), count: size, depth: depth + 1)
    }

    /// The merge key: what a map says itself comes before what it merges, and earlier merges before later ones.
    private func merge(
        _ source: YAMLNode, into entries: inout [YAMLNode.Entry], _ lines: inout [String: Int]
    ) throws(YAMLProblem) {
        switch source.content {
        case .map(let more):
            for entry in more where lines[entry.key] == nil {
                lines[entry.key] = entry.line
                entries.append(entry)
            }
        case .list(let sources):
            for source in sources {
                guard case .map = source.content else {
                    throw YAMLProblem(line: source.line, reason: "`<<` merges maps; here is \(source.kind)")
                }
                try merge(source, into: &entries, &lines)
            }
        case .scalar:
            throw YAMLProblem(line: source.line, reason: "`<<` merges a map or a list of maps; here is \(source.kind)")
        }
    }
}
