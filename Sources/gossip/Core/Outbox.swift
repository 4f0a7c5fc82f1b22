import Contracts

/// What waits for one peer: messages to be sent, and messages to be asked about first.
///
/// It is bounded. If a peer is slower than the flow, what goes first is what is soonest out of date: reports and
/// statuses (the next one replaces them), then genesis, transactions and blocks (their publishers repeat them);
/// votes, proposals and elections only when nothing else is left, and then the oldest.
struct Outbox: Sendable {
    private struct Entry: Sendable {
        var order: UInt64
        var delivery: Delivery
        var size: Int
    }

    private var ready: [Entry] = []
    private var offers: [Entry] = []
    private var order: UInt64 = 0
    private var bytes = 0

    var hasReady: Bool { !ready.isEmpty }
    var hasOffers: Bool { !offers.isEmpty }

    /// Queues a message to be sent without a question.
    /// - Returns: how many messages had to go for it.
    mutating func enqueue(_ delivery: Delivery) -> Int {
        replaceReport(by: delivery.message)
        ready.append(entry(delivery))
        return shrink()
    }

    /// Queues a message that the peer is asked about first.
    /// - Returns: how many messages had to go for it.
    mutating func offer(_ message: SignedMessage) -> Int {
        replaceReport(by: message)
        offers.append(entry(Delivery(relay: true, message: message)))
        return shrink()
    }

    /// Takes out what goes in one request, oldest first. Not empty if ``hasReady``.
    mutating func takeBatch() -> [Delivery] {
        var size = 0
        var count = 0
        for entry in ready.prefix(GossipLimits.batchMessages) {
            size += entry.size
            if count > 0, size > GossipLimits.batchBytes { break }
            count += 1
        }
        defer { ready.removeFirst(count) }
        return took(ready.prefix(count))
    }

    /// Takes out what is ready of `node`'s own words that agreement or an election waits for, oldest first; empty if there is none.
    mutating func takeUrgent(of node: NodeID) -> [Delivery] {
        let urgent = ready.filter { $0.delivery.message.sender == node && Self.rank($0.delivery.message.kind) == 2 }
            .prefix(GossipLimits.batchMessages)
        guard !urgent.isEmpty, urgent.reduce(0, { $0 + $1.size }) <= GossipLimits.batchBytes else { return [] }
        let orders = Set(urgent.map(\.order))
        ready.removeAll { orders.contains($0.order) }
        bytes -= urgent.reduce(0) { $0 + $1.size }
        return urgent.map(\.delivery)
    }

    /// Takes out what is asked about in one request, oldest first.
    mutating func takeOffers() -> [SignedMessage] {
        let asked = offers.prefix(GossipLimits.questionSignatures)
        offers.removeFirst(asked.count)
        return took(asked).map(\.message)
    }

    /// Puts back in front what did not get through, unless a newer report has taken its place.
    mutating func putBack(_ deliveries: [Delivery]) -> Int {
        let kept = deliveries.filter { !isReplaced($0.message) }
        ready.insert(contentsOf: kept.map { entry($0) }, at: 0)
        return shrink()
    }

    mutating func putBack(offers messages: [SignedMessage]) -> Int {
        let kept = messages.filter { !isReplaced($0) }
        offers.insert(contentsOf: kept.map { entry(Delivery(relay: true, message: $0)) }, at: 0)
        return shrink()
    }

    /// Removes messages of others that the peer turns out to have. `node`'s own go to it whatever anybody says in its name.
    mutating func remove(_ signatures: some Sequence<Signature>, butOf node: NodeID) {
        guard hasReady || hasOffers else { return }
        let known = Set(signatures)
        remove {
            let message = $0.delivery.message
            return $0.delivery.relay && message.sender != node && known.contains(message.signature)
        }
    }

    private mutating func replaceReport(by message: SignedMessage) {
        guard message.kind == .report else { return }
        remove { $0.delivery.message.kind == .report && $0.delivery.message.sender == message.sender }
    }

    private func isReplaced(_ message: SignedMessage) -> Bool {
        message.kind == .report
            && (ready + offers).contains {
                $0.delivery.message.kind == .report && $0.delivery.message.sender == message.sender
            }
    }

    private mutating func remove(where condition: (Entry) -> Bool) {
        bytes -= Self.remove(from: &ready, where: condition) + Self.remove(from: &offers, where: condition)
    }

    /// - Returns: how many bytes went.
    private static func remove(from entries: inout [Entry], where condition: (Entry) -> Bool) -> Int {
        var size = 0
        entries.removeAll { entry in
            guard condition(entry) else { return false }
            size += entry.size
            return true
        }
        return size
    }

    /// What is removed of one of the two lists.
    private mutating func took(_ taken: ArraySlice<Entry>) -> [Delivery] {
        bytes -= taken.reduce(0) { $0 + $1.size }
        return taken.map(\.delivery)
    }

    private mutating func entry(_ delivery: Delivery) -> Entry {
        order += 1
        let size = delivery.message.encodedCount
        bytes += size
        return Entry(order: order, delivery: delivery, size: size)
    }

    private mutating func shrink() -> Int {
        var dropped = 0
        while ready.count + offers.count > GossipLimits.queuedMessages || bytes > GossipLimits.queuedBytes {
            func first(_ entries: [Entry]) -> (rank: Int, order: UInt64, index: Int)? {
                entries.enumerated().map { (Self.rank($1.delivery.message.kind), $1.order, $0) }
                    .min { ($0.0, $0.1) < ($1.0, $1.1) }
            }
            let a = first(ready)
            let b = first(offers)
            if let a, b.map({ (a.rank, a.order) < ($0.rank, $0.order) }) ?? true {
                bytes -= ready.remove(at: a.index).size
            } else if let b {
                bytes -= offers.remove(at: b.index).size
            }
            dropped += 1
        }
        return dropped
    }

    /// Which kinds make room first.
    private static func rank(_ kind: MessageKind) -> Int {
        switch kind {
        case .report, .status: 0
        case .genesis, .transaction, .blocks, .snapshot: 1
        case .leave, .election, .proposal, .vote: 2
        }
    }
}

extension SignedMessage {
    /// Bytes of ``encoded``.
    var encodedCount: Int { 1 + NodeID.count + 8 + 4 + payload.bytes.count + Signature.count }
}
