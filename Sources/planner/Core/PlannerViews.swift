public import Contracts

/// An app as people see it.
public struct AppStatus: Codable, Hashable, Sendable {
    public var name: String
    public var image: String
    public var phase: AppPhase
    /// The node that holds it, the source while it moves, or for whose return it waits.
    public var node: String?
    /// Where it moves to.
    public var target: String?
    public var incarnation: UInt64
    /// What becomes of it on a device that is out of touch with the site.
    public var isolated: IsolationPolicy
    /// Thousandths of a core by its newest score.
    public var cpuMillicores: Int64?
    public var reason: String
}

/// A node as people see it.
public struct NodeStatus: Codable, Hashable, Sendable {
    public var id: NodeID
    public var name: String
    /// Whether apps can be placed there.
    public var present: Bool
    /// Whether it was silent for so long that its apps were placed elsewhere.
    public var absent: Bool
    /// Whether its apps move away because it is about to leave.
    public var leaving: Bool
    /// Whether its planner has been heard within the last five seconds; true of this node.
    public var heard: Bool
    /// Effective load and total in thousandths of a core, and the former in ppm of the latter; nil unless present.
    public var loadMillicores: Int64?
    public var capacityMillicores: Int64?
    public var score: Int64?
    /// Bytes a second at which moves have come there; nil before the first.
    public var bandwidth: Int64?
    /// Apps there, those on their way there and from there included.
    public var apps: [String]
}

/// Where agreement on the next height stands.
public struct AgreementStatus: Codable, Hashable, Sendable {
    public var height: UInt64
    public var round: UInt32
    /// `waiting`, `propose`, `prevote` or `precommit`.
    public var step: String
    /// The elected leader and its term.
    public var leader: NodeID?
    public var term: UInt64?
    /// Votes that decide.
    public var quorum: Int
    /// Members whose word is not older than five seconds, this node included.
    public var heard: [NodeID]
    /// What keeps the chain from growing, for people, should it stand still.
    public var standstill: String
}

/// A block as people see it.
public struct BlockSummary: Codable, Hashable, Sendable {
    public var height: UInt64
    public var id: Digest
    public var parent: Digest
    public var builder: NodeID
    public var engine: String
    public var term: UInt64
    /// Block time, milliseconds since 1970.
    public var time: Int64
    /// The proof of the builder's draw.
    public var draw: VRFProof
    public var stateRoot: Digest
    public var bytes: Int
    /// The round that decided it, and who signed.
    public var round: UInt32
    public var signers: [NodeID]
    /// `app → node` and `app: node → node`, by the nodes' keys.
    public var assignments: [String: NodeID]
    public var moves: [MoveSummary]
    /// Transactions in words.
    public var transactions: [String]
    /// Nodes whose reports it holds.
    public var reports: [NodeID]

    public struct MoveSummary: Codable, Hashable, Sendable {
        public var app: String
        public var from: NodeID
        public var to: NodeID
    }

    /// - Throws: ``ChainFault`` if the bytes are no block or certificate. Nothing else is checked.
    public init(_ committed: CommittedBlock) throws(ChainFault) {
        let block: Block
        let certificate: Certificate
        do {
            block = try Block.decode(committed.block)
            certificate = try Certificate(encoded: committed.certificate)
        } catch {
            throw ChainFault(height: committed.height, "\(error)")
        }
        height = block.header.height
        id = block.id
        parent = block.header.parent
        builder = block.header.builder
        engine = block.header.engine
        term = block.header.term
        time = block.header.time
        draw = block.header.draw
        stateRoot = block.header.stateRoot
        bytes = committed.block.count
        round = certificate.round
        signers = certificate.signatures.map(\.member)
        assignments = Dictionary(block.body.plan.assignments.map { ($0.app, $0.node) }) { first, _ in first }
        moves = block.body.plan.moves.map { MoveSummary(app: $0.app, from: $0.from, to: $0.to) }
        transactions = block.body.transactions.map { message in
            let words = (try? Transaction(encoded: message.payload.bytes))?.words ?? "unreadable"
            return "\(message.sender.short): \(words)"
        }
        reports = block.body.reports.map(\.sender)
    }
}

extension Transaction {
    /// This transaction for people.
    public var words: String {
        switch self {
        case .order(let signed): signed.order.act.words
        case .join(let join): "\(join.member.name) (\(join.member.id.short)) joins"
        case .leave: "leaves"
        case .evidence(let evidence): "evidence that \(evidence.culprit.short) has voted twice"
        case .receipt(let receipt):
            "\(receipt.app) \(receipt.outcome.rawValue) in incarnation \(receipt.incarnation)"
                + (receipt.reason.isEmpty ? "" : " (\(receipt.reason))")
        }
    }
}

extension Order.Act {
    /// This act for people.
    public var words: String {
        switch self {
        case .submit(let apps): "submit \(apps.map(\.specification.name).joined(separator: ", "))"
        case .remove(let app): "remove \(app)"
        case .dismiss(let node): "dismiss \(node.short)"
        case .configure(_, let height): "other parameters from block \(height) on"
        }
    }
}

extension SiteState {
    /// Why an app stands as it does: what the chain remembers, and of a pending one that it has nowhere to go.
    fileprivate func reason(of app: AppRecord) -> String {
        guard app.phase == .pending, let why = whyNowhere(app) else { return app.reason }
        return app.reason.isEmpty ? why : "\(app.reason); \(why)"
    }
}

/// What a shell may ask. None of it changes anything.
extension PlannerMachine {
    public var foundingStatus: FoundingStatus { founding.status }

    /// The adopted genesis.
    public var genesis: Genesis? { founding.adopted }

    /// The last committed height; 0 before the first block.
    public var height: UInt64 { state?.height ?? 0 }

    /// The last committed block's ID; zero before the first.
    public var head: Digest { state?.head ?? .zero }

    public var members: [Member] { state?.members ?? [] }

    /// Transactions that no block holds yet.
    public var pooled: Int { pool.entries.count }

    /// The placement as it was told last.
    public var placement: Placement? { lastPlacement }

    public var agreementStatus: AgreementStatus? {
        guard let state, let agreement else { return nil }
        return AgreementStatus(
            height: agreement.height, round: agreement.round, step: "\(agreement.step)", leader: leadership?.leader,
            term: leadership?.term, quorum: state.quorum.votes,
            heard: ([here] + peers.fresh(at: now).keys).sorted(), standstill: standstill)
    }

    /// In ascending order of name.
    public var appStatuses: [AppStatus] {
        guard let state else { return [] }
        let names = Dictionary(uniqueKeysWithValues: state.members.map { ($0.id, $0.name) })
        return state.apps.ascending.map { app in
            AppStatus(
                name: app.specification.name, image: app.specification.image, phase: app.phase,
                node: app.node.flatMap { names[$0] }, target: app.move.flatMap { names[$0.to] },
                incarnation: app.incarnation, isolated: app.specification.isolated, cpuMillicores: app.demand?.cpu,
                reason: state.reason(of: app))
        }
    }

    /// In ascending order of key.
    public var nodeStatuses: [NodeStatus] {
        guard let state else { return [] }
        let load = EffectiveLoad(state)
        let heard = Set([here] + peers.fresh(at: now).keys)
        var apps: [NodeID: [String]] = [:]
        for app in state.apps.values where app.phase.isPlaced {
            for node in [app.node, app.move?.to] {
                if let node { apps[node, default: []].append(app.name) }
            }
        }
        return state.members.map { member in
            let row = load[member.id]
            return NodeStatus(
                id: member.id, name: member.name, present: row != nil,
                absent: state.nodes[member.id]?.absent ?? false,
                leaving: state.nodes[member.id]?.drainsUntil != nil, heard: heard.contains(member.id),
                loadMillicores: row?.load,
                capacityMillicores: row?.capacity, score: row?.score,
                bandwidth: state.nodes[member.id]?.measuredBandwidth, apps: (apps[member.id] ?? []).sorted())
        }
    }
}
