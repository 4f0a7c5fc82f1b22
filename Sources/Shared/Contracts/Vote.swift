// planner → gossip, to be signed; planner ↔ planner, to agree. Tendermint's messages (arXiv 1807.04938, Algorithm 1).

/// The two votes of a round.
public enum VoteStep: UInt8, Codable, Sendable {
    case prevote = 1
    case precommit = 2
}

/// What is signed to make a vote, in a fixed encoding without a sequence: to send a vote again is no second vote,
/// and a certificate can carry it.
public struct Vote: ByteCodable, Hashable {
    public var genesis: Digest
    public var height: UInt64
    public var round: UInt32
    public var step: VoteStep
    /// The block voted for; nil is a vote for no block in this round.
    public var block: Digest?

    public init(genesis: Digest, height: UInt64, round: UInt32, step: VoteStep, block: Digest?) {
        self.genesis = genesis
        self.height = height
        self.round = round
        self.step = step
        self.block = block
    }

    public func encode(to writer: inout ByteWriter) {
        writer.text("poise/vote/1")
        writer.value(genesis)
        writer.integer(height)
        writer.integer(round)
        writer.integer(step.rawValue)
        writer.optional(block)
    }

    public init(from reader: inout ByteReader) throws {
        try reader.domain("poise/vote/1")
        genesis = try reader.value()
        height = try reader.integer()
        round = try reader.integer()
        let raw = try reader.integer(UInt8.self)
        guard let step = VoteStep(rawValue: raw) else {
            throw ByteCodingError.invalid(what: "the vote's step", value: "\(raw)")
        }
        self.step = step
        block = try reader.optional()
    }
}

/// What a proposer signs: that it offers `block` in this round.
public struct Proposal: ByteCodable, Hashable {
    public var genesis: Digest
    public var height: UInt64
    public var round: UInt32
    /// The last round in which the proposer saw a quorum of prevotes for this block; -1 for a fresh block.
    public var validRound: Int32
    public var block: Digest

    public init(genesis: Digest, height: UInt64, round: UInt32, validRound: Int32, block: Digest) {
        self.genesis = genesis
        self.height = height
        self.round = round
        self.validRound = validRound
        self.block = block
    }

    public func encode(to writer: inout ByteWriter) {
        writer.text("poise/proposal/1")
        writer.value(genesis)
        writer.integer(height)
        writer.integer(round)
        writer.integer(validRound)
        writer.value(block)
    }

    public init(from reader: inout ByteReader) throws {
        try reader.domain("poise/proposal/1")
        genesis = try reader.value()
        height = try reader.integer()
        round = try reader.integer()
        validRound = try reader.integer()
        block = try reader.value()
    }
}

/// What gossip, the keeper of the key, is asked to sign: the body of `POST /sign`.
///
/// Gossip reads a vote or proposal and makes durable what it signed, so that it never signs two that conflict.
public struct SigningRequest: Codable, Hashable, Sendable {
    public enum Purpose: String, Codable, Sendable {
        /// The encoding of a ``Vote``.
        case vote
        /// The encoding of a ``Proposal``.
        case proposal
        /// A block's header, behind its own domain tag.
        case header
        /// A genesis, behind its own domain tag. Gossip signs one in its life.
        case genesis
        /// The encoding of a ``RecoveryPath``: from now on this key votes in the chain under its newest name.
        case recovery
    }

    /// Behind which tag a header is signed.
    public static let headerDomain = "poise/header/2"

    public var purpose: Purpose
    public var bytes: Base64Bytes

    public init(purpose: Purpose, bytes: [UInt8]) {
        self.purpose = purpose
        self.bytes = Base64Bytes(bytes)
    }
}

/// The answer to ``SigningRequest``.
public struct SigningResponse: Codable, Hashable, Sendable {
    public var signer: NodeID
    public var signature: Signature

    public init(signer: NodeID, signature: Signature) {
        self.signer = signer
        self.signature = signature
    }
}

extension ByteReader {
    /// Reads the tag that says what the following bytes are.
    public mutating func domain(_ tag: String) throws {
        let found = try text("the domain tag", limit: 64)
        guard found == tag else {
            throw ByteCodingError.invalid(what: "the domain tag", value: "\"\(found)\", not \"\(tag)\"")
        }
    }
}
