public import Contracts
public import Identity
public import Machine

/// What gossip knows from its settings.
public struct GossipConfiguration: Sendable {
    public var name: String
    public var site: String
    /// Milliseconds between two reports: ΔST.
    public var reportInterval: Int64
    /// `host:port` of nodes to begin with. This node's own may be among them.
    public var peers: [String]
    public var version: String
    /// By whose word alone this key votes in a chain that was recovered; nil where that is not known.
    public var operatorKey: PublicKey?

    public init(
        name: String, site: String, reportInterval: Int64 = 1_000, peers: [String] = [], version: String = poiseVersion,
        operatorKey: PublicKey? = nil
    ) {
        self.name = name
        self.site = site
        self.reportInterval = reportInterval
        self.peers = peers
        self.version = version
        self.operatorKey = operatorKey
    }
}

/// The device's voice: signs, floods, checks what comes, and keeps the score pool and the peers.
///
/// Flooding follows section 5 of the paper. What it decides itself: ``receive(_:from:now:)`` for what is taken,
/// ``flood(_:except:)`` for what is asked first, ``Outbox`` for what is dropped when a peer is slow.
public struct GossipMachine: StateMachine {
    let key: SigningKey
    let configuration: GossipConfiguration
    /// What every signature of this site covers.
    let site: Digest
    var gossipAddress = ""
    var migratorAddress = ""
    var sequences: SequenceReserve
    var ledger: SigningLedger
    var reports = ReportBuilder()
    var senders = Senders()
    var seen = SeenSignatures()
    public internal(set) var feed: Feed
    var peers: [NodeID: Peer] = [:]
    var addresses: [String: Address] = [:]
    /// Set once this node has left by its own word: it says nothing more of itself until it is started again.
    var left = false
    /// Set if a message of this key came that this process never signed.
    var cloned = false
    var nextTicket: UInt64 = 1
    /// Peers to whom something may be sent at the end of this step.
    var stirred: Set<NodeID> = []
    var effects: [GossipEffect] = []

    /// - Parameters:
    ///   - sequences: what ``GossipEffect/persistSequences(_:)`` stored last; nil for a new key.
    ///   - ledger: what ``GossipEffect/persistLedger(_:)`` stored last; nil for a new key.
    ///   - epoch: any number that no earlier run of this node used, for the feed's cursors.
    /// - Throws: ``ByteCodingError`` if what was stored can't be read. To go on without it would not be safe.
    public init(
        key: SigningKey, configuration: GossipConfiguration, sequences: [UInt8]?, ledger: [UInt8]?, epoch: UInt64
    ) throws {
        self.key = key
        self.configuration = configuration
        site = Self.siteDigest(configuration.site)
        self.sequences = try sequences.map { try SequenceReserve(stored: $0) } ?? SequenceReserve()
        self.ledger = try ledger.map { try SigningLedger(stored: $0) } ?? SigningLedger()
        feed = Feed(epoch: epoch)
    }

    /// What to store for a new key before anything is signed with it.
    public static var initialRecords: (sequences: [UInt8], ledger: [UInt8]) {
        (SequenceReserve().stored, SigningLedger().stored)
    }

    /// How envelopes name a site.
    public static func siteDigest(_ name: String) -> Digest { Digest(of: Array(name.utf8), domain: "poise/site/1") }

    public mutating func step(_ event: GossipEvent) -> [GossipEffect] {
        let now = event.now
        switch event.kind {
        case .started: start(now: now)
        case .timer(let timer): fire(timer, now: now)
        case .advertise(let gossip, let migrator):
            gossipAddress = gossip
            migratorAddress = migrator
        case .load(let sample): take(sample, now: now)
        case .publish(let request, let publication): publish(publication, request, now: now)
        case .sign(let request, let what): sign(what, request)
        case .draw(let request, let what): draw(what, request)
        case .received(let request, let batch): take(batch, request, now: now)
        case .asked(let request, let question): answer(question, request)
        case .shared(let request, let change): take(change, request, now: now)
        case .sent, .answered, .failed, .refused: settle(event.kind, now: now)
        case .identified(let address, let info, let roundTrip):
            identified(address, info, roundTrip: roundTrip, now: now)
        case .unidentified(let address, let reason): unidentified(address, reason, now: now)
        case .peersLearned(let peer, let hints, let roundTrip):
            learned(hints, from: peer, roundTrip: roundTrip, now: now)
        case .peersNotLearned(let peer, let reason): notLearned(from: peer, reason, now: now)
        case .hinted(let address): learn(address, now: now)
        }
        for peer in stirred.sorted() { pump(peer) }
        stirred = []
        defer { effects = [] }
        return effects
    }

    private mutating func start(now: Int64) {
        for address in configuration.peers.prefix(GossipLimits.peers) {
            addresses[address] = Address(configured: true, nextTry: now)
        }
        effects.append(.setTimer(.report, afterMilliseconds: configuration.reportInterval))
        discover(now: now)
    }

    private mutating func fire(_ timer: GossipTimer, now: Int64) {
        switch timer {
        case .report:
            effects.append(.setTimer(.report, afterMilliseconds: configuration.reportInterval))
            report(now: now)
        case .discovery: discover(now: now)
        case .retry(let peer):
            peers[peer]?.waiting = false
            stirred.insert(peer)
        }
    }
}
