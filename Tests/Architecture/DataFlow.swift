/// Who reads whom: the feeds, which run one way, and the few requests back.
enum DataFlow {
    /// Consumer to producers. `find Sources -name '*Feed.swift'` prints exactly this.
    static let feeds: [String: Set<String>] = [
        "monitor": [],
        "gossip": ["monitor"],
        "consensus": ["gossip"],
        "planner": ["gossip", "consensus"],
        "migrator": ["planner"],
    ]

    /// Bounded requests against the flow, that may be repeated: publish, sign, head, blame, receipts.
    static let requests: [String: Set<String>] = [
        "consensus": ["gossip"],
        "planner": ["gossip", "consensus"],
        "migrator": ["planner"],
    ]

    /// The path of a feed's file.
    static func path(consumer: String, producer: String) -> String {
        "Sources/\(consumer)/Shell/\(producer.prefix(1).uppercased())\(producer.dropFirst())Feed.swift"
    }

    static var feedFiles: Set<String> {
        Set(feeds.flatMap { consumer, producers in producers.map { path(consumer: consumer, producer: $0) } })
    }

    /// Where the tree's feed files differ from ``feeds``.
    static func wrongFeeds(_ files: [SourceFile]) -> [String] {
        let found = Set(files.map(\.path).filter { $0.hasSuffix("Feed.swift") && !$0.hasPrefix("Sources/Shared/") })
        return found.subtracting(feedFiles).sorted().map { "\($0) is a feed that the data flow doesn't have" }
            + feedFiles.subtracting(found).sorted().map { "\($0) is missing: the data flow has this feed" }
    }

    /// Files other than feeds that follow a feed, and services that talk to one they may not know.
    static func strayReaders(_ files: [SourceFile]) -> [String] {
        files.flatMap { file -> [String] in
            guard let service = file.service else { return [] }
            var found: [String] = []
            if !file.name.hasSuffix("Feed.swift") {
                found += file.lines(matching: /\bFeedReader\b\s*[<(]/)
                    .map { "\(file):\($0) follows a feed: only <Producer>Feed.swift does that" }
            }
            let known = Set([service]).union(feeds[service] ?? []).union(requests[service] ?? [])
            for other in Architecture.services where !known.contains(other) {
                // A socket's name stands in a literal, so the text is searched rather than the code.
                let isNamed =
                    file.text.contains("\(other).sock") || file.text.contains("LocalClient(\"\(other)\"")
                    || file.text.contains("FeedReader<") && file.text.contains("\"\(other)\"")
                if isNamed { found.append("\(file) reaches for \(other), which \(service) may not know") }
            }
            return found
        }
    }
}
