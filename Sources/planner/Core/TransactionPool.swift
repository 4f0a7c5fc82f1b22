import Contracts

/// Names a message of one kind for ever.
struct MessageKey: Hashable, Sendable {
    let sender: NodeID
    let sequence: UInt64

    init(_ message: SignedMessage) {
        sender = message.sender
        sequence = message.sequence
    }
}

/// What a node has heard and no block holds yet: transactions in order of arrival, and each node's newest report.
struct TransactionPool: Sendable {
    static let senderLimit = 512
    static let limit = 4_096

    struct Entry: Sendable {
        let message: SignedMessage
        let transaction: Transaction
        /// Monotonic milliseconds.
        let since: Int64
    }

    private(set) var entries: [Entry] = []
    private var keys: Set<MessageKey> = []
    private(set) var reports: [NodeID: (message: SignedMessage, at: Int64)] = [:]

    enum Outcome: Equatable { case taken, known, full }

    /// - Precondition: the message's signature was checked.
    mutating func take(_ message: SignedMessage, _ transaction: Transaction, at now: Int64) -> Outcome {
        let key = MessageKey(message)
        guard !keys.contains(key) else { return .known }
        guard entries.count < Self.limit,
            entries.lazy.filter({ $0.message.sender == message.sender }).count < Self.senderLimit
        else { return .full }
        keys.insert(key)
        entries.append(Entry(message: message, transaction: transaction, since: now))
        return .taken
    }

    mutating func take(report message: SignedMessage, at now: Int64) {
        if let known = reports[message.sender], known.message.sequence >= message.sequence { return }
        reports[message.sender] = (message, now)
    }

    /// Forgets what is in the chain by now or can have no effect any more.
    ///
    /// - Parameter isRenamed: whether the chain has another name than when these were taken: what names the old one is void.
    /// - Returns: what was forgotten, with why it has no effect, nil if the chain holds it.
    mutating func prune(_ state: SiteState, isRenamed: Bool = false) -> [(entry: Entry, refusal: Refusal?)] {
        var forgotten: [(Entry, Refusal?)] = []
        entries.removeAll { entry in
            let sender = entry.message.sender
            if state.nodes[sender]?.transactions.contains(entry.message.sequence) == true {
                forgotten.append((entry, nil))
                return true
            }
            do throws(Refusal) {
                let sequence = entry.message.sequence
                if isRenamed { try state.authenticate(entry.transaction, sender: sender) }
                try state.check(entry.transaction, sender: sender, sequence: sequence, at: state.time + 1)
                return false
            } catch {
                forgotten.append((entry, error))
                return true
            }
        }
        for (entry, _) in forgotten { keys.remove(MessageKey(entry.message)) }
        return forgotten
    }

    /// `sender`'s transactions, oldest first.
    func pending(of sender: NodeID) -> [Entry] { entries.filter { $0.message.sender == sender } }

    var newestReports: [SignedMessage] {
        reports.values.map(\.message).sorted { $0.sender < $1.sender }
    }
}
