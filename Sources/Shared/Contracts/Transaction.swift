// What can be asked of the chain besides reports: the payload of a `transaction` message.

/// How much a move brought and how long that took, as its target has measured: what plans take a device's bandwidth from.
public struct Shipment: ByteCodable, Codable, Hashable {
    /// Checkpoint, written files and volumes, 1 to 2^50.
    public var bytes: Int64
    /// From the acceptance of the offer until all was there, the writing of the checkpoint included: 1 to 3,600,000.
    public var milliseconds: Int64

    public init(bytes: Int64, milliseconds: Int64) {
        self.bytes = min(1 << 50, max(1, bytes))
        self.milliseconds = min(3_600_000, max(1, milliseconds))
    }

    public func encode(to writer: inout ByteWriter) {
        writer.integer(bytes)
        writer.integer(milliseconds)
    }

    public init(from reader: inout ByteReader) throws {
        bytes = try reader.integer()
        milliseconds = try reader.integer()
        guard (1...1 << 50).contains(bytes), (1...3_600_000).contains(milliseconds) else {
            throw ByteCodingError.invalid(what: "a shipment", value: "\(bytes) bytes in \(milliseconds) ms")
        }
    }
}

/// How an act on a placement ended, as the device that performed it says (migrator → planner).
public struct Receipt: ByteCodable, Codable, Hashable {
    public enum Outcome: String, Codable, Sendable, CaseIterable {
        /// The app runs here in this incarnation: started anew, or restored by a move.
        case running
        /// The move to this incarnation can't be: said by its target when it refuses, or by its source while
        /// the app still runs there. The app goes on at the source.
        case refused
        /// A fresh placement could not be started here.
        case failed
        /// The app ended by itself with exit status 0 and is not to be started again.
        case completed
    }

    public var app: String
    public var incarnation: UInt64
    public var outcome: Outcome
    /// Why, for people; empty where there is nothing to say.
    public var reason: String
    /// Said by the target of a move when the app runs there.
    public var shipment: Shipment?

    public init(
        app: String, incarnation: UInt64, outcome: Outcome, reason: String = "", shipment: Shipment? = nil
    ) {
        self.app = app
        self.incarnation = incarnation
        self.outcome = outcome
        self.reason = reason
        self.shipment = shipment
    }

    public func encode(to writer: inout ByteWriter) {
        writer.text(app)
        writer.integer(incarnation)
        writer.text(outcome.rawValue)
        writer.text(reason)
        writer.optional(shipment)
    }

    public init(from reader: inout ByteReader) throws {
        app = try reader.appName()
        incarnation = try reader.integer()
        outcome = try reader.named("a receipt's outcome")
        reason = try reader.text("a receipt's reason", limit: 1_024)
        shipment = try reader.optional()
    }
}

/// One app of a submission.
public struct SubmittedApp: ByteCodable, Hashable {
    public var specification: AppSpecification
    /// The node for its first placement; nil leaves the choice to the strategy.
    public var on: NodeID?

    public init(specification: AppSpecification, on: NodeID? = nil) {
        self.specification = specification
        self.on = on
    }

    public func encode(to writer: inout ByteWriter) {
        writer.value(specification)
        writer.optional(on)
    }

    public init(from reader: inout ByteReader) throws {
        specification = try reader.value()
        on = try reader.optional()
    }
}

/// A change that a node asks the chain to make. It is carried in a block as the message that its node signed, and says
/// nothing in another's name but what that other has signed itself.
public enum Transaction: ByteCodable, Hashable {
    /// Apps in one submission at most.
    public static let submissionLimit = 256

    /// What the operator ordered, whoever brings it.
    case order(SignedOrder)
    /// The sender, who is no member yet, was invited.
    case join(Join)
    /// The sender, a member since this height, wants to be relieved of its apps and then to be no member any more.
    case leave(since: UInt64)
    /// Another member voted twice.
    case evidence(Evidence)
    /// What became of a placement or move on the sender's device.
    case receipt(Receipt)

    public func encode(to writer: inout ByteWriter) {
        switch self {
        case .receipt(let receipt):
            writer.integer(UInt8(3))
            writer.value(receipt)
        case .order(let order):
            writer.integer(UInt8(4))
            writer.value(order)
        case .join(let join):
            writer.integer(UInt8(5))
            writer.value(join)
        case .leave(let since):
            writer.integer(UInt8(6))
            writer.integer(since)
        case .evidence(let evidence):
            writer.integer(UInt8(7))
            writer.value(evidence)
        }
    }

    public init(from reader: inout ByteReader) throws {
        switch try reader.integer(UInt8.self) {
        case 3: self = .receipt(try reader.value())
        case 4: self = .order(try reader.value())
        case 5: self = .join(try reader.value())
        case 6: self = .leave(since: try reader.integer())
        case 7: self = .evidence(try reader.value())
        case let other: throw ByteCodingError.invalid(what: "a transaction's kind", value: "\(other)")
        }
    }
}
