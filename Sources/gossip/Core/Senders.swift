import Contracts

/// The nodes heard of: which of their sequences were taken, and their newest reports, the score pool.
struct Senders: Sendable {
    struct Pooled: Sendable {
        var message: SignedMessage
        var report: Report
        var receivedAt: Int64
    }

    private struct Sender: Sendable {
        var windows: [MessageKind: SequenceWindow] = [:]
        var heardAt: Int64
        var pooled: Pooled?
        var leftAt: Int64?
    }

    private var senders: [NodeID: Sender] = [:]

    /// The score pool, in ascending order of node.
    var pool: [Pooled] { senders.sorted { $0.key < $1.key }.compactMap(\.value.pooled) }
    var poolCount: Int { senders.values.count { $0.pooled != nil } }

    func pooled(_ node: NodeID) -> Pooled? { senders[node]?.pooled }

    /// Makes sure that there is a place for a sender.
    ///
    /// - Returns: false if there is none: as many as allowed were heard from within ``GossipLimits/senderIdle``.
    ///   Otherwise also which node had to make room, if one had.
    mutating func admit(_ node: NodeID, now: Int64) -> (admitted: Bool, evicted: NodeID?) {
        if senders[node] != nil {
            senders[node]?.heardAt = now
            return (true, nil)
        }
        var evicted: NodeID?
        if senders.count >= GossipLimits.senders {
            let idlest = senders.min { ($0.value.heardAt, $0.key) < ($1.value.heardAt, $1.key) }
            guard let idlest, now - idlest.value.heardAt >= GossipLimits.senderIdle else { return (false, nil) }
            senders[idlest.key] = nil
            evicted = idlest.key
        }
        senders[node] = Sender(heardAt: now)
        return (true, evicted)
    }

    /// Takes a sequence of an admitted sender.
    mutating func take(_ message: SignedMessage) -> SequenceWindow.Verdict {
        senders[message.sender]?.windows[message.kind, default: SequenceWindow()].take(message.sequence) ?? .stale
    }

    /// Puts a report of an admitted sender into the pool.
    /// - Returns: why not, if a newer one is there or the node has just left.
    mutating func pool(_ message: SignedMessage, _ report: Report, now: Int64) -> DropReason? {
        guard var sender = senders[message.sender] else { return .tooManySenders }
        if let leftAt = sender.leftAt, now - leftAt < GossipLimits.leaveQuiet { return .left }
        if let pooled = sender.pooled, pooled.message.sequence > message.sequence { return .superseded }
        sender.pooled = Pooled(message: message, report: report, receivedAt: now)
        sender.leftAt = nil
        senders[message.sender] = sender
        return nil
    }

    /// A node left by its own word.
    mutating func leave(_ node: NodeID, now: Int64) {
        senders[node]?.pooled = nil
        senders[node]?.leftAt = now
    }
}
