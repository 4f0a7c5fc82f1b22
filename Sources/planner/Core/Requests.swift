import Contracts

/// What local clients asked for and wait to hear of.
struct Requests: Sendable {
    static let limit = 1_024
    /// Milliseconds after which a client is told what is missing.
    static let patience: Int64 = 10_000
    /// Milliseconds after which a publication that did not come back is sent again.
    private static let echo: Int64 = 2_000

    struct Waiting: Sendable {
        let id: RequestID
        let transaction: Transaction
        let payload: [UInt8]
        let since: Int64
        var published: Int64
        /// The message that carries it, once it came back from gossip.
        var key: MessageKey?
    }

    private(set) var waiting: [Waiting] = []

    var isFull: Bool { waiting.count >= Self.limit }

    mutating func add(_ id: RequestID, _ transaction: Transaction, at now: Int64) {
        let payload = transaction.encoded
        waiting.append(Waiting(id: id, transaction: transaction, payload: payload, since: now, published: now))
    }

    /// Whether the same is already on its way.
    func holds(_ transaction: Transaction) -> Bool { waiting.contains { $0.transaction == transaction } }

    /// This node's message came back from gossip: it is out.
    /// - Returns: receipts, which need no more than that.
    mutating func echoed(_ message: SignedMessage) -> [RequestID] {
        let key = MessageKey(message)
        guard !waiting.contains(where: { $0.key == key }) else { return [] }
        var done: [RequestID] = []
        var claimed = false
        waiting = waiting.compactMap { entry in
            guard entry.key == nil, entry.payload == message.payload.bytes else { return entry }
            if case .receipt = entry.transaction {
                done.append(entry.id)
                return nil
            }
            guard !claimed else { return entry }
            claimed = true
            var entry = entry
            entry.key = key
            return entry
        }
        return done
    }

    mutating func committed(_ message: SignedMessage) -> [RequestID] {
        let key = MessageKey(message)
        let done = waiting.filter { $0.key == key || ($0.key == nil && $0.payload == message.payload.bytes) }
        waiting.removeAll { entry in done.contains { $0.id == entry.id } }
        return done.map(\.id)
    }

    /// The answer to the client whose transaction can have no effect any more, if one waits.
    mutating func refused(_ message: SignedMessage, _ refusal: Refusal) -> PlannerEffect? {
        let key = MessageKey(message)
        guard let index = waiting.firstIndex(where: { $0.key == key || $0.payload == message.payload.bytes }),
            refusal.reason != .replayedMessage
        else { return nil }
        // Somebody else brought the same order, and the chain has it.
        let isDone = refusal.reason == .replayedOrder
        return .answer(waiting.remove(at: index).id, isDone ? nil : Problem(refusal))
    }

    /// Those that have waited for too long.
    mutating func overdue(at now: Int64) -> [Waiting] {
        let overdue = waiting.filter { now - $0.since >= Self.patience }
        waiting.removeAll { now - $0.since >= Self.patience }
        return overdue
    }

    /// Payloads that gossip seems to have lost.
    mutating func unheard(at now: Int64) -> [[UInt8]] {
        var lost: [[UInt8]] = []
        for index in waiting.indices where waiting[index].key == nil && now - waiting[index].published >= Self.echo {
            waiting[index].published = now
            lost.append(waiting[index].payload)
        }
        return lost
    }
}

extension Problem {
    /// What a client is told of a transaction without effect.
    init(_ refusal: Refusal) {
        switch refusal.reason {
        case .appExists:
            self.init(
                409, "app-exists",
                "an app named \"\(refusal.detail)\" is in the site already: remove it first or choose another name")
        case .unknownApp:
            self.init(404, "unknown-app", "no app is named \"\(refusal.detail)\": `planner apps` lists those there are")
        case .unknownNode:
            self.init(404, "unknown-node", "no node is \(refusal.detail)")
        case .badOrderSignature:
            self.init(
                403, refusal.reason.rawValue,
                "\(refusal.detail): only the operator can order this; name the file of the operator's key with --operator-key"
            )
        case .senderNotMember:
            self.init(
                409, "not-a-member",
                "this device is no member of the site, so it can't bring anything to the chain: ask on a member")
        default: self.init(409, refusal.reason.rawValue, refusal.detail)
        }
    }
}
