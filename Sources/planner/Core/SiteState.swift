public import Contracts
import Identity

/// The site after some block: a fold of all blocks up to it. Plans are made of nothing else.
public struct SiteState: Sendable, Equatable {
    /// Apps in a site at most, whatever their phase.
    public static let appLimit = 10_000
    /// Milliseconds of block time for which a node that refused an app is not asked again.
    public static let exclusionTime: Int64 = 60_000
    /// Milliseconds of block time after which a running app that its node's reports lack is placed anew. A container that keeps
    /// ending is started again at least twice as often.
    public static let missingAfter: Int64 = 60_000
    /// Milliseconds of a node's silence after which this time begins anew.
    static let missingSilence: Int64 = 10_000
    /// Blocks in an epoch, for which members take turns in one order.
    public static let epoch: UInt64 = 100

    /// The chain's name: of its genesis, or of the newest recovery.
    public internal(set) var genesis: Digest
    /// What envelopes in blocks are signed for.
    public let site: Digest
    public let operatorKey: PublicKey
    public internal(set) var parameters: SiteParameters
    /// Parameters that the operator has ordered for a later block.
    public internal(set) var scheduled: ScheduledParameters?
    /// The last block's height, time, term, ID and builder's signature; of 0 and zero before the first.
    public internal(set) var height: UInt64
    public internal(set) var time: Int64
    public internal(set) var term: UInt64
    public internal(set) var head: Digest
    public internal(set) var headSignature: Signature
    /// What the builders have drawn together, one after the other: nobody could choose it.
    public internal(set) var seed: Digest
    /// The seed as it was at the start of the running epoch.
    public internal(set) var epochSeed: Digest
    /// Who decides the next block, in ascending order of key.
    public internal(set) var members: [Member]
    /// The height of the block that last changed ``members``; 0 while the founders are.
    public internal(set) var membersSince: UInt64
    /// Sequences of the operator's orders that are used up.
    public internal(set) var orders: ReplayWindow
    /// Invitations that were used and could otherwise be used again, in ascending order of key.
    public internal(set) var invitations: [SpentInvitation]
    /// One for each member.
    public internal(set) var nodes: [NodeID: NodeRecord]
    public internal(set) var apps: AppTable
    /// Pending apps in the order in which they are placed.
    public internal(set) var queue: [String]
    /// Given to the next placement of any app: ascending, so that it is ascending for each.
    public internal(set) var nextIncarnation: UInt64

    /// The state before the first block.
    public init(genesis: Genesis) {
        self.genesis = genesis.hash
        site = .site(named: genesis.site)
        operatorKey = genesis.operatorKey
        parameters = genesis.parameters
        scheduled = nil
        height = 0
        time = 0
        term = 0
        head = .zero
        headSignature = .zero
        seed = Draw.firstSeed(of: self.genesis)
        epochSeed = seed
        members = genesis.members
        membersSince = 0
        orders = ReplayWindow()
        invitations = []
        nodes = Dictionary(uniqueKeysWithValues: genesis.members.map { ($0.id, NodeRecord()) })
        apps = [:]
        queue = []
        nextIncarnation = 1
    }

    public var memberIDs: [NodeID] { members.map(\.id) }

    public var quorum: Quorum { Quorum(members: members.count, rule: parameters.quorum) }

    /// What the builder of the next block draws for.
    public var nextDraw: Draw { Draw(genesis: genesis, height: height + 1, seed: seed) }

    /// Takes what this block's builder has drawn into the seed.
    mutating func take(_ output: VRFOutput) {
        seed = Draw.seed(after: seed, output)
        if height.isMultiple(of: Self.epoch) { epochSeed = seed }
    }

    /// Whether every app that should run has been measured in its newest incarnation, or had the time to be. Until
    /// then loads are not what they will be.
    public func isSettled(after time: Int64) -> Bool {
        apps.values.allSatisfy { app in
            switch app.phase {
            case .pending, .completed, .failed: true
            case .moving: false
            case .placed, .running: app.measured == app.incarnation || self.time - app.since >= time
            }
        }
    }

    /// Whether a member should hold a copy, or waits to go on with it.
    private func isPlaced(_ app: AppRecord) -> Bool {
        (app.phase.isPlaced || app.isWaiting) && app.node.map { nodes[$0] != nil } == true
    }

    /// What should run where, as the migrator of `here` is told.
    public func placement(for here: NodeID) -> Placement {
        Placement(
            height: height, here: here,
            nodes: members.map { member in
                PlacedNode(
                    id: member.id, name: member.name, migratorAddress: nodes[member.id]?.report?.migratorAddress)
            },
            apps: apps.values.filter(isPlaced).sorted { $0.name < $1.name }
                .compactMap { app in
                    guard let node = app.node else { return nil }
                    let order = app.move.map {
                        MoveOrder(
                            to: $0.to, incarnation: $0.incarnation, height: $0.height,
                            deadline: max(0, $0.deadline - time))
                    }
                    return PlacedApp(
                        specification: app.specification, node: node, incarnation: app.incarnation,
                        running: app.phase != .placed, move: order)
                })
    }
}

extension SiteState {
    private static let snapshotDomain = "poise/snapshot/4"

    /// This state in bytes, to start from without folding every block again.
    public var snapshot: [UInt8] {
        var writer = ByteWriter()
        writer.text(Self.snapshotDomain)
        writer.value(genesis)
        writer.integer(height)
        writer.integer(time)
        writer.integer(term)
        writer.value(head)
        writer.value(headSignature)
        writer.value(seed)
        writer.value(epochSeed)
        writer.value(parameters)
        writer.optional(scheduled)
        writer.value(orders)
        writer.list(invitations)
        writer.integer(membersSince)
        writer.list(members)
        for member in members { writer.value(nodes[member.id] ?? NodeRecord()) }
        writer.list(apps.ascending)
        writer.texts(queue)
        writer.integer(nextIncarnation)
        return writer.bytes
    }

    /// The state that `snapshot` holds.
    /// - Throws: ``ByteCodingError``, also for a snapshot of another chain.
    public init(snapshot: [UInt8], genesis founding: Genesis) throws {
        self.init(genesis: founding)
        var reader = ByteReader(snapshot)
        try reader.domain(Self.snapshotDomain)
        let found: Digest = try reader.value()
        guard found == genesis else {
            throw ByteCodingError.invalid(what: "a snapshot's genesis", value: "\(found.short), not \(genesis.short)")
        }
        height = try reader.integer()
        time = try reader.integer()
        term = try reader.integer()
        head = try reader.value()
        headSignature = try reader.value()
        seed = try reader.value()
        epochSeed = try reader.value()
        parameters = try reader.value()
        scheduled = try reader.optional()
        orders = try reader.value()
        invitations = try reader.list("the used invitations", limit: Genesis.memberLimit)
        membersSince = try reader.integer()
        members = try reader.list("the members", limit: Genesis.memberLimit)
        nodes = [:]
        for member in members { nodes[member.id] = try reader.value() }
        let records = try reader.list("the apps", of: AppRecord.self, limit: Self.appLimit)
        apps = [:]
        for record in records { apps[record.name] = record }
        queue = try reader.texts("the queue", limit: Self.appLimit, each: AppSpecification.nameLimit)
        nextIncarnation = try reader.integer()
        try reader.finish()
    }
}
