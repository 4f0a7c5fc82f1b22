public import Contracts
import Identity

/// What a block brings: the plan made from the state before it, then transactions, then reports.
public struct BlockBody: ByteCodable, Hashable {
    public static let transactionLimit = 256
    public static let reportLimit = Genesis.memberLimit

    public var plan: Plan
    /// Messages of kind `transaction` as their nodes signed them, in ascending ``TransactionOrder``.
    public var transactions: [SignedMessage]
    /// Messages of kind `report`, one of a node at most, in ascending order of node.
    public var reports: [SignedMessage]

    public init(plan: Plan = Plan(), transactions: [SignedMessage] = [], reports: [SignedMessage] = []) {
        self.plan = plan
        self.transactions = transactions
        self.reports = reports
    }

    public var hash: Digest { Digest(of: encoded, domain: "poise/body/1") }

    public func encode(to writer: inout ByteWriter) {
        writer.value(plan)
        writer.list(transactions)
        writer.list(reports)
    }

    public init(from reader: inout ByteReader) throws {
        plan = try reader.value()
        transactions = try reader.list("a block's transactions", limit: Self.transactionLimit)
        reports = try reader.list("a block's reports", limit: Self.reportLimit)
    }
}

/// In which order a block holds its transactions: evidence, changes of members and parameters, receipts, removals, submissions;
/// each by sender, then sequence.
public struct TransactionOrder: Comparable, Sendable {
    let rank: Int
    let sender: NodeID
    let sequence: UInt64

    public init(_ transaction: Transaction, sender: NodeID, sequence: UInt64) {
        rank =
            switch transaction {
            case .evidence: 0
            case .join: 1
            case .leave: 2
            case .order(let signed):
                switch signed.order.act {
                case .dismiss: 3
                case .configure: 4
                case .remove: 6
                case .submit: 7
                }
            case .receipt: 5
            }
        self.sender = sender
        self.sequence = sequence
    }

    public static func < (a: Self, b: Self) -> Bool {
        if a.rank != b.rank { return a.rank < b.rank }
        if a.sender != b.sender { return a.sender < b.sender }
        return a.sequence < b.sequence
    }
}
