// planner → gossip: the draws by which builders together make what nobody could choose.

/// What the builder of a block draws for: the input of its verifiable random function.
///
/// There is one for each height of a chain, and it holds the seed so far: nobody can draw ahead of the block before.
public struct Draw: ByteCodable, Hashable {
    public static let domain = "poise/draw/1"

    public var genesis: Digest
    /// Of the block to be built.
    public var height: UInt64
    /// The chain's seed after the block before.
    public var seed: Digest

    public init(genesis: Digest, height: UInt64, seed: Digest) {
        self.genesis = genesis
        self.height = height
        self.seed = seed
    }

    /// `alpha_string` of RFC 9381.
    public static func alpha(genesis: Digest, height: UInt64, seed: Digest) -> [UInt8] {
        Draw(genesis: genesis, height: height, seed: seed).encoded
    }

    public func encode(to writer: inout ByteWriter) {
        writer.text(Self.domain)
        writer.value(genesis)
        writer.integer(height)
        writer.value(seed)
    }

    public init(from reader: inout ByteReader) throws {
        try reader.domain(Self.domain)
        genesis = try reader.value()
        height = try reader.integer()
        seed = try reader.value()
    }
}

/// What gossip, the keeper of the key, is asked to draw for: the body of `POST /vrf`. To ask again gives the same answer.
public struct DrawRequest: Codable, Hashable, Sendable {
    /// Bytes of ``alpha`` at most.
    public static let limit = 256

    /// The encoding of a ``Draw``.
    public var alpha: Base64Bytes

    public init(alpha: [UInt8]) { self.alpha = Base64Bytes(alpha) }
}

/// The answer to ``DrawRequest``.
public struct DrawResponse: Codable, Hashable, Sendable {
    /// By which the proof is checked.
    public var key: VRFKey
    public var proof: VRFProof

    public init(key: VRFKey, proof: VRFProof) {
        self.key = key
        self.proof = proof
    }
}
