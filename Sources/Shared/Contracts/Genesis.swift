// What a site is founded on, agreed before its first block.

/// A member of a site: one of its founders, or invited later.
public struct Member: ByteCodable, Codable, Hashable {
    public var id: NodeID
    public var name: String
    /// By which its draws are checked.
    public var vrf: VRFKey

    public init(id: NodeID, name: String, vrf: VRFKey) {
        self.id = id
        self.name = name
        self.vrf = vrf
    }

    public func encode(to writer: inout ByteWriter) {
        writer.value(id)
        writer.text(name)
        writer.value(vrf)
    }

    public init(from reader: inout ByteReader) throws {
        id = try reader.value()
        name = try reader.text("a node's name", limit: 63)
        vrf = try reader.value()
    }
}

/// How many of a block's voters must agree. Fixed for a chain's life; it never follows who is present.
public enum QuorumRule: String, Codable, Hashable, Sendable, CaseIterable {
    /// More than half: members may crash, and none lies.
    case crash
    /// More than two thirds: up to f of 3f + 1 members may do anything.
    case byzantine

    /// What a site of so many founders gets if nothing else was asked for: fewer than four can't bear a liar.
    public static func usual(members: Int) -> QuorumRule { members >= 4 ? .byzantine : .crash }
}

/// What all nodes must plan by alike, so it is fixed in the genesis and not read from each one's environment.
public struct SiteParameters: ByteCodable, Codable, Hashable {
    /// The placement strategy: `balance` or `paper`.
    public var strategy: String
    public var quorum: QuorumRule
    /// Milliseconds from one block's commit to the next one's proposal, 100 to 60,000.
    public var blockInterval: Int64
    /// The same while there is nothing to decide: from ``blockInterval`` to 60,000. Blocks then only carry reports.
    public var idleInterval: Int64
    /// Milliseconds of block time without a report after which a node's apps are placed elsewhere, 3,000 to 3,600,000.
    public var absentAfter: Int64
    /// Milliseconds that a move may take before the chain ends it, 10,000 to 3,600,000.
    public var moveDeadline: Int64
    /// Millicores that an app is taken to need before its first report, 1 to 64,000.
    public var declaredDemand: Int64
    /// How much `balance` wants a move to be worth, 0 to 1,000,000 ppm of a device: as much as levelling two devices on a large
    /// site that are twice this apart.
    public var margin: Int64
    /// Milliseconds of block time for which `balance` leaves an app alone after a move, 0 to 3,600,000.
    public var coolDown: Int64

    /// - Parameter idleInterval: nil for 3,000 or, if that is longer, the block interval.
    public init(
        strategy: String = "balance", quorum: QuorumRule = .crash, blockInterval: Int64 = 1_000,
        idleInterval: Int64? = nil, absentAfter: Int64 = 5_000, moveDeadline: Int64 = 120_000,
        declaredDemand: Int64 = 100, margin: Int64 = 69_000, coolDown: Int64 = 60_000
    ) {
        self.strategy = strategy
        self.quorum = quorum
        self.blockInterval = blockInterval
        self.idleInterval = idleInterval ?? max(blockInterval, 3_000)
        self.absentAfter = absentAfter
        self.moveDeadline = moveDeadline
        self.declaredDemand = declaredDemand
        self.margin = margin
        self.coolDown = coolDown
    }

    public func encode(to writer: inout ByteWriter) {
        writer.text(strategy)
        writer.text(quorum.rawValue)
        for figure in [blockInterval, idleInterval, absentAfter, moveDeadline, declaredDemand, margin, coolDown] {
            writer.integer(figure)
        }
    }

    public init(from reader: inout ByteReader) throws {
        strategy = try reader.text("a strategy", limit: 32)
        quorum = try reader.named("the quorum rule")
        func figure(_ name: String, _ range: ClosedRange<Int64>) throws -> Int64 {
            let value = try reader.integer(Int64.self)
            guard range.contains(value) else {
                throw ByteCodingError.invalid(what: name, value: "\(value), outside \(range)")
            }
            return value
        }
        blockInterval = try figure("the block interval", 100...60_000)
        idleInterval = try figure("the idle interval", blockInterval...60_000)
        absentAfter = try figure("the time to absence", 3_000...3_600_000)
        moveDeadline = try figure("a move's deadline", 10_000...3_600_000)
        declaredDemand = try figure("the declared demand", 1...64_000)
        margin = try figure("the margin", 0...1_000_000)
        coolDown = try figure("the cool-down", 0...3_600_000)
    }
}

/// The site's founding document. Its hash is the name of the chain, and every vote carries it.
public struct Genesis: ByteCodable, Codable, Hashable {
    public static let memberLimit = 1_000
    /// Behind which tag it is signed.
    public static let domain = "poise/genesis/3"

    public var site: String
    /// Who alone can invite and dismiss nodes, submit and remove apps, and change the parameters.
    public var operatorKey: PublicKey
    public var parameters: SiteParameters
    /// The chain that this one goes on from, if the operator had to found the site anew.
    public var predecessor: Predecessor?
    /// In ascending order of key, each key and name once.
    public var members: [Member]

    public init(
        site: String, operatorKey: PublicKey, parameters: SiteParameters, members: [Member],
        predecessor: Predecessor? = nil
    ) {
        self.site = site
        self.operatorKey = operatorKey
        self.parameters = parameters
        self.predecessor = predecessor
        self.members = members.sorted { $0.id < $1.id }
    }

    /// What each founding member signs.
    public var signedBytes: [UInt8] {
        var writer = ByteWriter()
        writer.text(Self.domain)
        writer.value(self)
        return writer.bytes
    }

    public func encode(to writer: inout ByteWriter) {
        writer.text(site)
        writer.value(operatorKey)
        writer.value(parameters)
        writer.optional(predecessor)
        writer.list(members)
    }

    public init(from reader: inout ByteReader) throws {
        site = try reader.text("the site's name", limit: 63)
        operatorKey = try reader.value()
        parameters = try reader.value()
        predecessor = try reader.optional()
        members = try reader.list("the members", limit: Self.memberLimit)
        for (a, b) in zip(members, members.dropFirst()) where a.id >= b.id {
            throw ByteCodingError.invalid(what: "the members", value: "out of order at \(b.id.short)")
        }
        guard Set(members.map(\.name)).count == members.count else {
            throw ByteCodingError.invalid(what: "the members", value: "two of one name")
        }
    }
}

/// Where a chain ended that lost its quorum for good. The one that goes on from it begins with the state after that block.
public struct Predecessor: ByteCodable, Codable, Hashable {
    public var genesis: Digest
    /// The last block, and the root of the state after it.
    public var height: UInt64
    public var head: Digest
    public var stateRoot: Digest

    public init(genesis: Digest, height: UInt64, head: Digest, stateRoot: Digest) {
        self.genesis = genesis
        self.height = height
        self.head = head
        self.stateRoot = stateRoot
    }

    public func encode(to writer: inout ByteWriter) {
        writer.value(genesis)
        writer.integer(height)
        writer.value(head)
        writer.value(stateRoot)
    }

    public init(from reader: inout ByteReader) throws {
        genesis = try reader.value()
        height = try reader.integer()
        head = try reader.value()
        stateRoot = try reader.value()
    }
}

/// A genesis with one member's signature of it: the payload of a `genesis` message.
public struct SignedGenesis: ByteCodable, Hashable {
    public var genesis: Genesis
    public var signature: Signature

    public init(genesis: Genesis, signature: Signature) {
        self.genesis = genesis
        self.signature = signature
    }

    public func encode(to writer: inout ByteWriter) {
        writer.value(genesis)
        writer.value(signature)
    }

    public init(from reader: inout ByteReader) throws {
        genesis = try reader.value()
        signature = try reader.value()
    }
}
