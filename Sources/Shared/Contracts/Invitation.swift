// How a device becomes a member of a site that exists.

/// The operator's word that a device may join.
///
/// It names a key made for it alone, whose secret half only the invited device gets. A member that sees a `join` on its way
/// can therefore not use the invitation for a node of its own.
public struct Invitation: ByteCodable, Codable, Hashable {
    /// Behind which tag it is signed.
    public static let domain = "poise/invitation/1"
    /// Milliseconds of block time for which one may hold at most: thirty days.
    public static let longest: Int64 = 30 * 86_400_000

    public var genesis: Digest
    public var site: String
    /// A block that the chain had when the invitation was made, and the hash of the members who decided the one after it. The
    /// invited device accepts no chain without them, so that nobody who was a member once can show it a chain of his own.
    public var height: UInt64
    public var head: Digest
    public var members: Digest
    /// How the new node must be called.
    public var name: String
    /// Block time after which it is void, milliseconds since 1970.
    public var expires: Int64
    /// Whose other half proves that a node was invited. Each is used once.
    public var key: PublicKey

    public init(
        genesis: Digest, site: String, height: UInt64, head: Digest, members: Digest, name: String, expires: Int64,
        key: PublicKey
    ) {
        self.genesis = genesis
        self.site = site
        self.height = height
        self.head = head
        self.members = members
        self.name = name
        self.expires = expires
        self.key = key
    }

    /// What the operator signs.
    public var signedBytes: [UInt8] { encoded }

    public func encode(to writer: inout ByteWriter) {
        writer.text(Self.domain)
        writer.value(genesis)
        writer.text(site)
        writer.integer(height)
        writer.value(head)
        writer.value(members)
        writer.text(name)
        writer.integer(expires)
        writer.value(key)
    }

    public init(from reader: inout ByteReader) throws {
        try reader.domain(Self.domain)
        genesis = try reader.value()
        site = try reader.text("the site's name", limit: 63)
        height = try reader.integer()
        head = try reader.value()
        members = try reader.value()
        name = try reader.text("a node's name", limit: 63)
        expires = try reader.integer()
        key = try reader.value()
    }
}

/// What the new node shows the members.
public struct Join: ByteCodable, Hashable {
    public var invitation: Invitation
    /// The operator's, of the invitation.
    public var signature: Signature
    /// The node that joins.
    public var member: Member
    /// By the invitation's own key, of ``provenBytes``.
    public var proof: Signature

    public init(invitation: Invitation, signature: Signature, member: Member, proof: Signature) {
        self.invitation = invitation
        self.signature = signature
        self.member = member
        self.proof = proof
    }

    /// What shows that whoever was invited means this node.
    public static func provenBytes(_ invitation: Invitation, _ member: Member) -> [UInt8] {
        var writer = ByteWriter()
        writer.text("poise/join/1")
        writer.value(invitation)
        writer.value(member)
        return writer.bytes
    }

    public var provenBytes: [UInt8] { Self.provenBytes(invitation, member) }

    public func encode(to writer: inout ByteWriter) {
        writer.value(invitation)
        writer.value(signature)
        writer.value(member)
        writer.value(proof)
    }

    public init(from reader: inout ByteReader) throws {
        invitation = try reader.value()
        signature = try reader.value()
        member = try reader.value()
        proof = try reader.value()
    }
}

/// What the operator hands to a new device: an invitation and the secret half of its key, as one line of text.
public struct InvitationToken: ByteCodable, Hashable {
    private static let prefix = "poise-invitation-"
    private static let seedCount = 32

    public var invitation: Invitation
    public var signature: Signature
    /// The seed of the invitation's key.
    public var seed: [UInt8]

    public init(invitation: Invitation, signature: Signature, seed: [UInt8]) {
        self.invitation = invitation
        self.signature = signature
        self.seed = seed
    }

    public var text: String { Self.prefix + Hex.encode(encoded) }

    /// - Throws: ``ByteCodingError`` for text that is no token.
    public init(text: String) throws {
        guard text.hasPrefix(Self.prefix), text.utf8.count <= 4_096,
            let bytes = Hex.decode(String(text.dropFirst(Self.prefix.count)))
        else { throw ByteCodingError.invalid(what: "an invitation", value: "\"\(text.prefix(24))…\"") }
        self = try Self(encoded: bytes)
    }

    public func encode(to writer: inout ByteWriter) {
        writer.value(invitation)
        writer.value(signature)
        writer.raw(seed)
    }

    public init(from reader: inout ByteReader) throws {
        invitation = try reader.value()
        signature = try reader.value()
        seed = try reader.raw(Self.seedCount)
    }
}
