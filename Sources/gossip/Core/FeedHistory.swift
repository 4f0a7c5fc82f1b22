public import Contracts

/// What local services read: every message once, in the order of arrival, each with a cursor to resume behind.
///
/// Of reports only the newest of each node is kept, as it replaces the ones before; of the others the last
/// ``GossipLimits/feedMessages``, or fewer if they exceed ``GossipLimits/feedBytes``.
public struct Feed: Sendable {
    private struct Entry: Sendable {
        var number: UInt64
        var message: SignedMessage
    }

    /// A cursor of another epoch means nothing here.
    private let epoch: String
    private var next: UInt64 = 1
    private var entries: [Entry] = []
    /// Where the retained ones begin in `entries`; those before are removed many at a time.
    private var start = 0
    private var bytes = 0
    private var reports: [NodeID: Entry] = [:]

    init(epoch: UInt64) {
        var writer = ByteWriter()
        writer.integer(epoch)
        self.epoch = Hex.encode(writer.bytes)
    }

    mutating func append(_ message: SignedMessage) -> FeedMessage {
        let entry = Entry(number: next, message: message)
        next += 1
        if message.kind == .report {
            reports[message.sender] = entry
        } else {
            entries.append(entry)
            bytes += message.payload.bytes.count
            while entries.count - start > GossipLimits.feedMessages || bytes > GossipLimits.feedBytes { dropOldest() }
        }
        return line(entry)
    }

    /// Forgets the report of a node that is no longer kept.
    mutating func forgetReport(of node: NodeID) { reports[node] = nil }

    /// The retained lines of these kinds behind a cursor, oldest first; all of them if the cursor is nil or not
    /// of this run of gossip.
    public func lines(after cursor: String?, kinds: Set<MessageKind>) -> [FeedMessage] {
        let behind = number(of: cursor) ?? 0
        var found = entries[start...].filter { $0.number > behind && kinds.contains($0.message.kind) }
        if kinds.contains(.report) { found += reports.values.filter { $0.number > behind } }
        return found.sorted { $0.number < $1.number }.map(line)
    }

    /// The number in a cursor of this epoch; nil for any other text.
    public func number(of cursor: String?) -> UInt64? {
        guard let cursor else { return nil }
        let parts = cursor.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0] == epoch, let number = UInt64(parts[1]), number < next else { return nil }
        return number
    }

    /// The number of the newest line; 0 before the first.
    public var newest: UInt64 { next - 1 }

    private func line(_ entry: Entry) -> FeedMessage {
        FeedMessage(cursor: "\(epoch).\(entry.number)", message: entry.message)
    }

    private mutating func dropOldest() {
        bytes -= entries[start].message.payload.bytes.count
        // the place goes later; the payload now
        entries[start].message.payload = Base64Bytes([])
        start += 1
        if start == GossipLimits.feedMessages / 4 {
            entries.removeFirst(start)
            start = 0
        }
    }
}
