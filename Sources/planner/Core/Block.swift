public import Contracts
import Identity

/// What a block's builder signs, and what the block's name covers.
public struct BlockHeader: ByteCodable, Hashable {
    /// Behind which tag a header is signed.
    public static let domain = SigningRequest.headerDomain
    /// Bytes in the name of an election engine at most.
    public static let engineLimit = 32

    /// The chain that this block belongs to: the genesis hash.
    public var genesis: Digest
    /// 1 for the first block.
    public var height: UInt64
    public var builder: NodeID
    /// The election by which its builder led, as far as it knew, and the term. Never below the parent's term.
    public var engine: String
    public var term: UInt64
    /// Block time, milliseconds since 1970: its builder's clock within bounds that the parent's time sets.
    public var time: Int64
    /// The parent's ID, and its builder's signature; zero for the first block.
    public var parent: Digest
    public var parentSignature: Signature
    public var body: Digest
    /// The hash of the members who decide the next block.
    public var nextMembers: Digest
    /// The proof of its builder's draw for this height and the parent's seed.
    public var draw: VRFProof
    /// The state's root after this block.
    public var stateRoot: Digest

    public init(
        genesis: Digest, height: UInt64, builder: NodeID, engine: String, term: UInt64, time: Int64, parent: Digest,
        parentSignature: Signature, body: Digest, nextMembers: Digest, draw: VRFProof, stateRoot: Digest
    ) {
        self.genesis = genesis
        self.height = height
        self.builder = builder
        self.engine = engine
        self.term = term
        self.time = time
        self.parent = parent
        self.parentSignature = parentSignature
        self.body = body
        self.nextMembers = nextMembers
        self.draw = draw
        self.stateRoot = stateRoot
    }

    public func encode(to writer: inout ByteWriter) {
        writer.text(Self.domain)
        writer.value(genesis)
        writer.integer(height)
        writer.value(builder)
        writer.text(engine)
        writer.integer(term)
        writer.integer(time)
        writer.value(parent)
        writer.value(parentSignature)
        writer.value(body)
        writer.value(nextMembers)
        writer.value(draw)
        writer.value(stateRoot)
    }

    public init(from reader: inout ByteReader) throws {
        try reader.domain(Self.domain)
        genesis = try reader.value()
        height = try reader.integer()
        builder = try reader.value()
        engine = try reader.text("an election engine", limit: Self.engineLimit)
        term = try reader.integer()
        time = try reader.integer()
        parent = try reader.value()
        parentSignature = try reader.value()
        body = try reader.value()
        nextMembers = try reader.value()
        draw = try reader.value()
        stateRoot = try reader.value()
    }
}

/// A block: what the site agrees on at one height. The round in which it was agreed is not part of it.
public struct Block: ByteCodable, Hashable {
    /// Bytes of an encoded block at most, so that it fits a message with its proposal.
    public static let sizeLimit = 900_000

    public var header: BlockHeader
    /// The builder's signature of the header's encoding.
    public var signature: Signature
    public var body: BlockBody

    public init(header: BlockHeader, signature: Signature, body: BlockBody) {
        self.header = header
        self.signature = signature
        self.body = body
    }

    /// The block's name. It covers the header and its builder's signature.
    public var id: Digest { header.blockID(signature) }

    public func encode(to writer: inout ByteWriter) {
        writer.value(header)
        writer.value(signature)
        writer.value(body)
    }

    public init(from reader: inout ByteReader) throws {
        header = try reader.value()
        signature = try reader.value()
        body = try reader.value()
    }

    /// Reads a block from bytes of another node.
    /// - Throws: ``Refusal`` `block-too-large` or `undecodable-block`.
    public static func decode(_ bytes: [UInt8]) throws(Refusal) -> Block {
        guard bytes.count <= sizeLimit else {
            throw Refusal(.blockTooLarge, "\(bytes.count) bytes, at most \(sizeLimit) are allowed")
        }
        do {
            return try Block(encoded: bytes)
        } catch {
            throw Refusal(.undecodableBlock, "\(error)")
        }
    }
}

extension Digest {
    /// What envelopes of a site's messages are signed for: a name known before there is a genesis.
    public static func site(named name: String) -> Digest { Digest(of: Array(name.utf8), domain: "poise/site/1") }

    /// The hash of a list of members, who decide a block together.
    public static func members(_ members: [Member]) -> Digest {
        var writer = ByteWriter()
        writer.list(members)
        return Digest(of: writer.bytes, domain: "poise/members/2")
    }
}
