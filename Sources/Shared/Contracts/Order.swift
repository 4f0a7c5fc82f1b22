// What the operator alone can do. The signature is the operator's, so that it doesn't matter which member brings an order
// to the chain, and no member can make one up.

/// What the operator wants of the site.
public struct Order: ByteCodable, Hashable {
    /// Behind which tag it is signed.
    public static let domain = "poise/order/1"

    public enum Act: Hashable, Sendable {
        /// Put these apps into the queue, in this order: all of them or, if one of them can't be, none.
        case submit([SubmittedApp])
        case remove(app: String)
        /// A node is no member any more, whether it answers or not.
        case dismiss(NodeID)
        /// Other parameters hold from the block of this height on. Strategy and limits may change, the quorum's rule never.
        case configure(SiteParameters, from: UInt64)
    }

    /// The chain that it is for.
    public var genesis: Digest
    /// Used once. Microseconds since 1970 when it was signed will do, and need no memory.
    public var sequence: UInt64
    public var act: Act

    public init(genesis: Digest, sequence: UInt64, act: Act) {
        self.genesis = genesis
        self.sequence = sequence
        self.act = act
    }

    /// What the operator signs.
    public var signedBytes: [UInt8] { encoded }

    public func encode(to writer: inout ByteWriter) {
        writer.text(Self.domain)
        writer.value(genesis)
        writer.integer(sequence)
        switch act {
        case .submit(let apps):
            writer.integer(UInt8(1))
            writer.list(apps)
        case .remove(let app):
            writer.integer(UInt8(2))
            writer.text(app)
        case .dismiss(let node):
            writer.integer(UInt8(3))
            writer.value(node)
        case .configure(let parameters, let height):
            writer.integer(UInt8(4))
            writer.value(parameters)
            writer.integer(height)
        }
    }

    public init(from reader: inout ByteReader) throws {
        try reader.domain(Self.domain)
        genesis = try reader.value()
        sequence = try reader.integer()
        switch try reader.integer(UInt8.self) {
        case 1: act = .submit(try reader.list("a submission", limit: Transaction.submissionLimit))
        case 2: act = .remove(app: try reader.appName())
        case 3: act = .dismiss(try reader.value())
        case 4: act = .configure(try reader.value(), from: try reader.integer())
        case let other: throw ByteCodingError.invalid(what: "an order's kind", value: "\(other)")
        }
    }
}

/// An order with the operator's signature: the body of `POST /orders`, in base 64.
public struct SignedOrder: ByteCodable, Hashable {
    public var order: Order
    public var signature: Signature

    public init(order: Order, signature: Signature) {
        self.order = order
        self.signature = signature
    }

    public func encode(to writer: inout ByteWriter) {
        writer.value(order)
        writer.value(signature)
    }

    public init(from reader: inout ByteReader) throws {
        order = try reader.value()
        signature = try reader.value()
    }
}
