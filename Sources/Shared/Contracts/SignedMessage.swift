// gossip ↔ gossip, and gossip → consensus and planner: what nodes tell each other.

/// What a message carries. The raw value is what is signed.
public enum MessageKind: UInt8, Codable, Sendable, CaseIterable {
    /// A ``Report``: the node's scores.
    case report = 1
    /// A node leaves by its own word; empty.
    case leave = 2
    /// A ``SignedGenesis``.
    case genesis = 3
    /// An election engine's own message.
    case election = 4
    /// Where a node's chain stands, so that the others can send what it lacks.
    case status = 5
    /// A block that a proposer offers, with its proposal.
    case proposal = 6
    /// A prevote or precommit.
    case vote = 7
    /// Committed blocks with their certificates, for one node that lacks them.
    case blocks = 8
    /// A ``Transaction`` for the chain: an application submitted or removed, or a move's receipt.
    case transaction = 9
    /// A piece of a snapshot of the chain's state, or the wish for one: for one node.
    case snapshot = 10

    /// As it stands in JSON and in `GET /messages?kinds=`.
    public var name: String { String(describing: self) }

    public init?(name: String) {
        guard let kind = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = kind
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let name = try container.decode(String.self)
        guard let kind = Self(name: name) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "no kind of message is called \"\(name)\"")
        }
        self = kind
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(name)
    }
}

/// A message as its sender signed it. The payload is the exact bytes under the signature and is passed on unread.
///
/// The signature covers a domain tag, the site, the kind, the sequence and the payload, so that a message can't
/// be taken for one of another site, kind or moment.
public struct SignedMessage: ByteCodable, Codable, Hashable {
    /// Bytes of payload at most.
    public static let payloadLimit = 1 << 20

    public var kind: MessageKind
    public var sender: NodeID
    /// Ascending for each sender and kind; a number is never used twice, also across restarts.
    public var sequence: UInt64
    public var payload: Base64Bytes
    public var signature: Signature

    public init(kind: MessageKind, sender: NodeID, sequence: UInt64, payload: [UInt8], signature: Signature) {
        self.kind = kind
        self.sender = sender
        self.sequence = sequence
        self.payload = Base64Bytes(payload)
        self.signature = signature
    }

    /// The bytes that the sender signs.
    public static func signedBytes(site: Digest, kind: MessageKind, sequence: UInt64, payload: [UInt8]) -> [UInt8] {
        var writer = ByteWriter()
        writer.text("poise/message/1")
        writer.value(site)
        writer.integer(kind.rawValue)
        writer.integer(sequence)
        writer.byteString(payload)
        return writer.bytes
    }

    public func signedBytes(site: Digest) -> [UInt8] {
        Self.signedBytes(site: site, kind: kind, sequence: sequence, payload: payload.bytes)
    }

    public func encode(to writer: inout ByteWriter) {
        writer.integer(kind.rawValue)
        writer.value(sender)
        writer.integer(sequence)
        writer.byteString(payload.bytes)
        writer.value(signature)
    }

    public init(from reader: inout ByteReader) throws {
        let raw = try reader.integer(UInt8.self)
        guard let kind = MessageKind(rawValue: raw) else {
            throw ByteCodingError.invalid(what: "the message's kind", value: "\(raw)")
        }
        self.kind = kind
        sender = try reader.value()
        sequence = try reader.integer()
        payload = Base64Bytes(try reader.byteString("a payload", limit: Self.payloadLimit))
        signature = try reader.value()
    }
}

/// One line of gossip's `GET /messages`.
public struct FeedMessage: Codable, Hashable, Sendable {
    /// Resume after this line with `cursor=`. Opaque to the reader.
    public var cursor: String
    public var message: SignedMessage

    public init(cursor: String, message: SignedMessage) {
        self.cursor = cursor
        self.message = message
    }
}

/// What a local service asks gossip to sign and send: the body of `POST /messages`.
public struct Publication: Codable, Hashable, Sendable {
    public var kind: MessageKind
    public var payload: Base64Bytes
    /// The one node that should get it; nil for all.
    public var to: NodeID?

    public init(kind: MessageKind, payload: [UInt8], to: NodeID? = nil) {
        self.kind = kind
        self.payload = Base64Bytes(payload)
        self.to = to
    }
}
