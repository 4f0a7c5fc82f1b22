public import Contracts
public import Machine

/// What a planner is told at its start.
public struct PlannerConfiguration: Sendable {
    public var here: NodeID
    public var name: String
    /// By which this node's draws are checked.
    public var vrf: VRFKey
    public var site: String
    /// Who can order, as the genesis will state.
    public var operatorKey: PublicKey
    /// What the genesis will state if this node takes part in a founding.
    public var parameters: SiteParameters
    /// How many nodes found the site, at least 1.
    public var expect: Int
    /// Blocks between two snapshots at least.
    public var snapshotInterval: UInt64
    /// By which this node joins a site that exists, if it doesn't found one.
    public var invitation: InvitationToken?

    public init(
        here: NodeID, name: String, vrf: VRFKey, site: String, operatorKey: PublicKey, parameters: SiteParameters,
        expect: Int, snapshotInterval: UInt64 = SnapshotSchedule.interval, invitation: InvitationToken? = nil
    ) {
        self.here = here
        self.name = name
        self.vrf = vrf
        self.site = site
        self.operatorKey = operatorKey
        self.parameters = parameters
        self.expect = expect
        self.snapshotInterval = snapshotInterval
        self.invitation = invitation
    }
}

/// The planner: founds the chain, builds and judges blocks, votes, and tells what committed blocks say.
///
/// What it persists is all it needs after a crash: genesis, committed blocks or a snapshot that stands for those before
/// it, and the running height's agreement.
public struct PlannerMachine: StateMachine {
    /// Milliseconds between two words on where this node stands.
    static let resendInterval: Int64 = 1_000
    /// Milliseconds after which a transaction that is here counts as known to all.
    static let publicAfter: Int64 = 10_000
    /// Milliseconds for which the first placement waits for word of others at most.
    static let placementPatience: Int64 = 10_000

    let configuration: PlannerConfiguration
    let timeouts = Timeouts()
    let deviation: Deviation
    var founding: Founding
    /// The chain's state; nil before a genesis is adopted.
    public internal(set) var state: SiteState?
    var agreement: Agreement?
    /// This node's draw for the running height, without which it builds no block. Not stored: it is always the same.
    var draw: VRFProof?
    var pool = TransactionPool()
    var requests = Requests()
    var leadership: Leadership?
    var peers = Peers()
    var storedAgreement: (record: AgreementRecord, blocks: [Block])?
    /// Blocks of the running height that storage has.
    var storedBlocks: Set<Digest> = []
    /// One for each block so far that changed the members.
    var links: [MembershipLink]
    var schedule: SnapshotSchedule
    var catchUp = CatchUp()
    var lastPlacement: Placement?
    /// The block whose placement was told last, or was the same as the one told.
    var announced: Digest?
    /// Until when the first placement waits for news; nil once it was told.
    var placementWaits: Int64?
    /// Whether the next block places or moves something.
    var isPlanned = false
    /// When the running height was opened, monotonic milliseconds.
    var openedAt: Int64 = 0
    /// Whether somebody has proposed a valid block for the running height.
    var isProposed = false
    /// Whether an app must be frozen where no block comes for a while.
    var needsTouch = false
    /// Monotonic milliseconds.
    var startedAt: Int64?
    var clock = BlockClock()
    var committedAt: Int64? { clock.committedAt }
    var touch = Touch()
    var random: SplitMix64
    /// Why it had stopped before the start.
    let stopped: String?
    /// Another way in which the operator has had the chain go on.
    var rival: Rival?
    /// Whether gossip has been shown the recoveries, without which it doesn't vote.
    var isRecoveryKnown = false
    /// Why this planner has stopped for good, and what to do: a quorum decided what it finds invalid, or the operator had the chain
    /// go on from an earlier block. Nil while all is well.
    public internal(set) var halted: String?

    // Of the event at hand.
    var now: Int64 = 0
    var wallTime: Int64 = 0
    var effects: [PlannerEffect] = []

    /// - Parameters:
    ///   - genesis: what ``PlannerEffect/persistGenesis(_:)`` stored last, if anything.
    ///   - chain: the stored chain, if that genesis was adopted and blocks follow it; nil begins before block 1.
    ///   - agreement: what ``PlannerEffect/persistAgreement(_:)`` stored last, with all blocks that it names, if anything.
    ///   - stopped: what ``PlannerEffect/persistStop(_:)`` stored, if anything.
    ///   - seed: from the operating system's entropy.
    /// - Throws: ``ChainFault`` where what was stored can't be read.
    public init(
        _ configuration: PlannerConfiguration, genesis: [UInt8]?, chain: Chain?, agreement: StoredAgreement?,
        stopped: String? = nil, seed: UInt64
    ) throws(ChainFault) {
        try self.init(
            configuration, genesis: genesis, chain: chain, agreement: agreement, stopped: stopped, seed: seed,
            deviation: [])
    }

    package init(
        _ configuration: PlannerConfiguration, genesis: [UInt8]?, chain: Chain?, agreement: StoredAgreement?,
        stopped: String? = nil, seed: UInt64, deviation: Deviation
    ) throws(ChainFault) {
        self.configuration = configuration
        self.stopped = stopped
        self.deviation = deviation
        random = SplitMix64(seed: seed)
        links = chain?.links ?? []
        schedule = chain?.schedule ?? SnapshotSchedule()
        let record: FoundingRecord?
        do {
            record = try chain?.founding ?? genesis.map { try FoundingRecord(encoded: $0) }
            storedAgreement = try agreement.map { stored in
                let record = try AgreementRecord(encoded: stored.record)
                let blocks = try record.blocks.map { id in
                    guard let held = stored.blocks.first(where: { $0.id == id }) else {
                        throw Refusal(.undecodableBlock, "the agreement names block \(id.short), which is not stored")
                    }
                    return try Block.decode(held.block)
                }
                return (record, blocks)
            }
        } catch {
            throw ChainFault(height: 0, "what is stored can't be read: \(error)")
        }
        founding = Founding(
            member: Member(id: configuration.here, name: configuration.name, vrf: configuration.vrf),
            site: configuration.site, operatorKey: configuration.operatorKey, parameters: configuration.parameters,
            expect: configuration.expect,
            record: record)
        state = chain?.state
        if chain == nil, let record = founding.record, record.isComplete {
            state = try Chain(genesis: record.encoded).state
        }
    }

    var here: NodeID { configuration.here }

    public mutating func step(_ event: PlannerEvent) -> [PlannerEffect] {
        now = event.now
        startedAt = startedAt ?? now
        wallTime = event.wallTime
        effects = []
        if halted == nil { handle(event.kind) } else { refuse(event.kind) }
        defer { effects = [] }
        return effects
    }

    private mutating func handle(_ kind: PlannerEvent.Kind) {
        switch kind {
        case .started: begin()
        case .message(let message): receive(message)
        case .leadership(let leadership): follow(leadership)
        case .signed(let tag, let signature): signed(tag, signature)
        case .signingRefused(let tag, let reason):
            effects.append(.count("signing-refused"))
            effects.append(.log(.warning, "gossip does not sign \(tag): \(reason)"))
            // It may know less of recoveries than it has said.
            isRecoveryKnown = false
        case .drawn(let height, let proof): drawn(proof, for: height)
        case .timer(.resend): tick()
        case .timer(.nextHeight(let height)):
            if agreement?.height == height { drive { $0.start() } }
        case .timer(let timer): drive { $0.elapsed(timer) }
        case .order(let id, let order): take(id, order)
        case .leave(let id): leave(id)
        case .recover(let id, let recovery, let force): recover(id, recovery, force: force)
        case .receipt(let id, let receipt): take(id, receipt)
        }
    }

    private mutating func refuse(_ kind: PlannerEvent.Kind) {
        let id: RequestID
        switch kind {
        case .order(let request, _), .leave(let request), .recover(let request, _, _), .receipt(let request, _):
            id = request
        case .message(let message) where message.kind == .status && message.sender != here:
            guard let status = try? ChainStatus(encoded: message.payload.bytes) else { return }
            return tellRival(status, message.sender)
        default: return
        }
        effects.append(.answer(id, Problem(503, "halted", halted ?? "")))
    }

    private mutating func begin() {
        effects.append(.setTimer(.resend, afterMilliseconds: Self.resendInterval))
        if state != nil {
            if let stopped { stop(stopped) } else { join() }
        } else if founding.record != nil {
            found()
        }
    }

    /// Takes up the chain, after the start or the adoption of its genesis.
    mutating func join() {
        placementWaits = now + Self.placementPatience
        showRecoveries()
        openHeight()
        sendHead()
        announce()
        tellCommit()
    }

    mutating func sendHead() {
        guard let state else { return }
        let voters = state.members.map { Voter(id: $0.id, vrf: $0.vrf, since: state.nodes[$0.id]?.since ?? 0) }
        effects.append(
            .head(
                SiteHead(
                    genesis: state.genesis, site: state.site, height: state.height, membersSince: state.membersSince,
                    seed: state.seed, epochSeed: state.epochSeed, members: voters)))
    }

    /// After the placement of the same block, so that whoever reads this knows which placement it must have seen.
    mutating func tellCommit() {
        effects.append(.committed(Commit(height: height, placement: lastPlacement?.height, until: touch.until)))
    }

    private mutating func follow(_ leadership: Leadership) {
        self.leadership = leadership
        let leader = leader
        drive { $0.lead(by: leader) }
    }

    /// The elected leader, if it is a member.
    var leader: NodeID? {
        guard let leader = leadership?.leader, state?.nodes[leader] != nil else { return nil }
        return leader
    }

    mutating func count(_ reason: String) { effects.append(.count(reason)) }
    mutating func count(_ refusal: Refusal) { effects.append(.count(refusal.reason.rawValue)) }

    /// Ends all work: to go on would be to act on a chain that this node can't vouch for.
    mutating func halt(_ why: String) {
        halted = why
        count("halted")
        effects.append(.log(.error, why))
    }
}
