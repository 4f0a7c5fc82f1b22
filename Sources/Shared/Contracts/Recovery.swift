// How a site goes on that has lost its quorum for good: its chain gets another name and other members, by the operator's word
// alone. A vote names the chain that it is for, so that no vote from before counts after it, and none from after it before.

/// The operator's word that a chain goes on after some block with those of its members who are left.
public struct Recovery: ByteCodable, Hashable {
    /// Names the chain's old name and the block after which the new one holds.
    public let genesis: Genesis
    public let predecessor: Predecessor
    /// The operator's, of the genesis' ``Genesis/signedBytes``.
    public let signature: Signature

    /// - Returns: nil for a genesis that founds a site of its own.
    public init?(genesis: Genesis, signature: Signature) {
        guard let predecessor = genesis.predecessor else { return nil }
        self.genesis = genesis
        self.predecessor = predecessor
        self.signature = signature
    }

    public func encode(to writer: inout ByteWriter) {
        writer.value(genesis)
        writer.value(signature)
    }

    public init(from reader: inout ByteReader) throws {
        genesis = try reader.value()
        signature = try reader.value()
        guard let predecessor = genesis.predecessor else {
            throw ByteCodingError.invalid(what: "a recovery", value: "the founding of another site")
        }
        self.predecessor = predecessor
    }
}

/// All recoveries of a chain so far, one after the other: what gossip is shown to vote under the newest name.
public struct RecoveryPath: ByteCodable, Hashable {
    /// Behind which tag it is signed.
    public static let domain = "poise/recoveries/1"
    /// Recoveries of one chain at most.
    public static let limit = 64

    public var recoveries: [Recovery]

    public init(_ recoveries: [Recovery]) { self.recoveries = recoveries }

    public func encode(to writer: inout ByteWriter) {
        writer.text(Self.domain)
        writer.list(recoveries)
    }

    public init(from reader: inout ByteReader) throws {
        try reader.domain(Self.domain)
        recoveries = try reader.list("the recoveries", limit: Self.limit)
        guard !recoveries.isEmpty else { throw ByteCodingError.invalid(what: "the recoveries", value: "none") }
    }
}
