package import Contracts
import Identity

/// A site of real planners on which nothing goes wrong: whatever one says reaches every other in one message after the same
/// time, and what a device does itself takes none. Its chain is as good as any: keys, votes, draws and plans are real.
///
/// For figures, and for chains that are to be checked. What goes wrong elsewhere is tried in `Tests/Simulation`.
package struct PeacefulSite {
    package enum Notice: Sendable {
        /// A planner had its gossip sign this and send it: to all others, or to one.
        case said(SignedMessage, by: Int, to: NodeID?)
        case committed(CommittedBlock, by: Int)
        case snapshot(StoredSnapshot, by: Int)
        /// A planner has stopped, or has found something wrong.
        case complaint(String, by: Int)
    }

    private struct Node {
        var machine: PlannerMachine
        var timers: [PlannerTimer: Int] = [:]
        var sequences: [MessageKind: UInt64] = [:]
        var placement: Placement?
        /// Placements that its migrator has told of.
        var receipts: Set<UInt64> = []
    }

    private enum Happening {
        case event(PlannerEvent.Kind, node: Int)
        case timer(PlannerTimer, node: Int, token: Int)
        case report(node: Int)
    }

    /// Milliseconds that an engine takes to start or to move an app.
    private static let engineTime: Int64 = 700

    package let cast: PeacefulCast
    private let leader: Int
    /// Milliseconds that a message takes.
    package let delay: Int64
    /// Milliseconds since 1970 at the beginning.
    private let start: Int64
    private var nodes: [Node] = []
    private var upcoming = Upcoming<Happening>()
    private var tokens = 0
    private var requests: UInt64 = 0
    private var notices: [Notice] = []
    /// Milliseconds since the beginning.
    package private(set) var now: Int64 = 0

    /// - Parameters:
    ///   - leader: who leads throughout.
    ///   - snapshotInterval: blocks between two snapshots at least.
    /// - Throws: ``ChainFault``: never, for what a planner begins with is made here.
    package init(
        _ cast: PeacefulCast, leader: Int = 0, delay: Int64, start: Int64,
        snapshotInterval: UInt64 = SnapshotSchedule.interval
    ) throws(ChainFault) {
        self.cast = cast
        self.leader = leader
        self.delay = delay
        self.start = start
        for index in cast.keys.indices {
            let machine = try PlannerMachine(
                cast.configuration(of: index, snapshotInterval: snapshotInterval), genesis: cast.founding.encoded,
                chain: nil, agreement: nil, seed: UInt64(index))
            nodes.append(Node(machine: machine))
            upcoming.add(.event(.started, node: index), at: 0)
            upcoming.add(
                .event(.leadership(Leadership(engine: "raft", term: 1, leader: cast.keys[leader].nodeID)), node: index),
                at: 0)
            upcoming.add(.report(node: index), at: Int64(index * 997 % 1_000))
        }
        if !cast.apps.isEmpty {
            requests += 1
            upcoming.add(.event(.order(RequestID(requests), cast.order), node: 0), at: 2_000)
        }
    }

    /// The state at one node.
    package func state(of node: Int) -> SiteState? { nodes[node].machine.state }

    /// Lets one thing happen, and tells what came of it.
    package mutating func next() -> [Notice] {
        guard let (time, happening) = upcoming.next() else { return [] }
        now = time
        switch happening {
        case .event(let kind, let node): step(node, kind)
        case .timer(let timer, let node, let token):
            guard nodes[node].timers[timer] == token else { break }
            nodes[node].timers[timer] = nil
            step(node, .timer(timer))
        case .report(let node): report(node)
        }
        defer { notices = [] }
        return notices
    }

    private mutating func step(_ node: Int, _ kind: PlannerEvent.Kind) {
        // Each clock is its own.
        let monotonic = now + Int64(node) * 77_777
        for effect in nodes[node].machine.step(PlannerEvent(now: monotonic, wallTime: start + now, kind)) {
            perform(effect, node)
        }
    }

    private mutating func perform(_ effect: PlannerEffect, _ node: Int) {
        switch effect {
        case .commit(let block): notices.append(.committed(block, by: node))
        case .persistSnapshot(let snapshot): notices.append(.snapshot(snapshot, by: node))
        case .sign(let tag, let request):
            let signature = cast.keys[node].sign(request.bytes.bytes)
            upcoming.add(.event(.signed(tag, signature), node: node), at: now)
        case .draw(let height, let request):
            // The others' would do no more than cost time: they build nothing.
            guard node == leader else { break }
            let proof = cast.keys[node].vrf.prove(request.alpha.bytes)
            upcoming.add(.event(.drawn(height: height, proof), node: node), at: now)
        case .publish(let publication): say(publication, node)
        case .setTimer(let timer, let delay):
            tokens += 1
            nodes[node].timers[timer] = tokens
            upcoming.add(.timer(timer, node: node, token: tokens), at: now + delay)
        case .cancelTimer(let timer): nodes[node].timers[timer] = nil
        case .placement(let placement): migrate(placement, node)
        case .log(.error, let text), .log(.warning, let text): notices.append(.complaint(text, by: node))
        case .persistGenesis, .persistStop, .persistAgreement, .adoptSnapshot, .sendCommitted, .sendSnapshot, .head,
            .blame,
            .committed, .answer, .count, .log:
            break
        }
    }

    // MARK: Gossip

    private mutating func say(_ publication: Publication, _ node: Int) {
        let key = cast.keys[node]
        let sequence = (nodes[node].sequences[publication.kind] ?? 0) + 1
        nodes[node].sequences[publication.kind] = sequence
        let payload = publication.payload.bytes
        let signature = key.sign(
            SignedMessage.signedBytes(
                site: .site(named: PeacefulCast.site), kind: publication.kind, sequence: sequence, payload: payload))
        let message = SignedMessage(
            kind: publication.kind, sender: key.nodeID, sequence: sequence, payload: payload, signature: signature)
        notices.append(.said(message, by: node, to: publication.to))
        for other in nodes.indices {
            if let to = publication.to, to != cast.keys[other].nodeID { continue }
            upcoming.add(.event(.message(message), node: other), at: other == node ? now : now + delay)
        }
    }

    private mutating func report(_ node: Int) {
        let here = cast.keys[node].nodeID
        let running = (nodes[node].placement?.apps ?? []).filter { $0.node == here && $0.running }
        let load = cast.load(of: running.map { ($0.specification.name, $0.incarnation) }, at: start + now)
        say(Publication(kind: .report, payload: cast.report(of: node, load).encoded), node)
        upcoming.add(.report(node: node), at: now + 1_000)
    }

    // MARK: Engines

    /// Starts and moves what it is told, and says so.
    private mutating func migrate(_ placement: Placement, _ node: Int) {
        nodes[node].placement = placement
        let here = cast.keys[node].nodeID
        for app in placement.apps {
            let started = app.node == here && !app.running && app.move == nil ? app.incarnation : nil
            let moved = app.move.flatMap { $0.to == here ? $0.incarnation : nil }
            guard let incarnation = moved ?? started, nodes[node].receipts.insert(incarnation).inserted else {
                continue
            }
            let shipment = moved.map { _ in Shipment(bytes: 30 << 20, milliseconds: Self.engineTime) }
            let receipt = Receipt(
                app: app.specification.name, incarnation: incarnation, outcome: .running, shipment: shipment)
            requests += 1
            upcoming.add(.event(.receipt(RequestID(requests), receipt), node: node), at: now + Self.engineTime)
        }
    }
}
