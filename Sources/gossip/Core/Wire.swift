// gossip ↔ gossip over TCP: the bodies of `POST /messages` and `POST /dynt`.

public import Contracts

/// A message on its way to one peer.
public struct Delivery: Hashable, Sendable {
    /// Whether the receiver should pass it on. False for what is meant for the receiver alone.
    public var relay: Bool
    public var message: SignedMessage

    public init(relay: Bool, message: SignedMessage) {
        self.relay = relay
        self.message = message
    }
}

/// Messages from one node to another. Each stands behind its own length, so that one that can't be read leaves
/// the others unharmed.
public struct Batch: ByteCodable, Hashable {
    static let domain = "poise/batch/1"

    /// Of which site the sender believes to be.
    public var site: Digest
    /// Who hands them over: they don't go back there. Unproven, and nothing but that depends on it.
    public var from: NodeID
    public var deliveries: [Delivery]
    /// Why the entries that could not be read were not; empty in a batch to be sent.
    public private(set) var unreadable: [DropReason] = []

    public init(site: Digest, from: NodeID, deliveries: [Delivery]) {
        self.site = site
        self.from = from
        self.deliveries = deliveries
    }

    public func encode(to writer: inout ByteWriter) {
        writer.text(Self.domain)
        writer.value(site)
        writer.value(from)
        writer.integer(UInt32(deliveries.count))
        for delivery in deliveries {
            writer.bool(delivery.relay)
            writer.byteString(delivery.message.encoded)
        }
    }

    public init(from reader: inout ByteReader) throws {
        try reader.domain(Self.domain)
        site = try reader.value()
        from = try reader.value()
        let count = Int(try reader.integer(UInt32.self))
        guard count <= GossipLimits.batchMessages else {
            throw ByteCodingError.tooLong(what: "a batch", count: count, limit: GossipLimits.batchMessages)
        }
        deliveries = []
        for _ in 0..<count {
            let relay = try reader.bool()
            let bytes = try reader.byteString("a batch's entry", limit: GossipLimits.requestBytes)
            do {
                deliveries.append(Delivery(relay: relay, message: try SignedMessage(encoded: bytes)))
            } catch {
                unreadable.append(DropReason(unreadable: bytes, error))
            }
        }
    }
}

extension DropReason {
    /// Why `bytes` are no message.
    init(unreadable bytes: [UInt8], _ error: any Error) {
        if let raw = bytes.first, MessageKind(rawValue: raw) == nil {
            self = .unknownKind
        } else if case .tooLong = error as? ByteCodingError {
            self = .oversized
        } else {
            self = .malformed
        }
    }
}

/// "Do you need this?" (DYNT; paper, section 5): the signatures of messages that the asker could send.
public struct Question: ByteCodable, Hashable {
    static let domain = "poise/dynt/1"

    public var site: Digest
    public var from: NodeID
    public var signatures: [Signature]

    public init(site: Digest, from: NodeID, signatures: [Signature]) {
        self.site = site
        self.from = from
        self.signatures = signatures
    }

    public func encode(to writer: inout ByteWriter) {
        writer.text(Self.domain)
        writer.value(site)
        writer.value(from)
        writer.list(signatures)
    }

    public init(from reader: inout ByteReader) throws {
        try reader.domain(Self.domain)
        site = try reader.value()
        from = try reader.value()
        signatures = try reader.list("the question", limit: GossipLimits.questionSignatures)
    }
}

/// The answer to a ``Question``: for each signature, in its order, whether the message is needed.
public struct Needs: ByteCodable, Hashable {
    public var needed: [Bool]

    public init(_ needed: [Bool]) { self.needed = needed }

    public func encode(to writer: inout ByteWriter) {
        writer.integer(UInt32(needed.count))
        for need in needed { writer.bool(need) }
    }

    public init(from reader: inout ByteReader) throws {
        let count = Int(try reader.integer(UInt32.self))
        guard count <= GossipLimits.questionSignatures else {
            throw ByteCodingError.tooLong(what: "the answer", count: count, limit: GossipLimits.questionSignatures)
        }
        needed = []
        for _ in 0..<count { needed.append(try reader.bool()) }
    }
}
