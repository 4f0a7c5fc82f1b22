import Contracts
import Identity
import Machine

@testable import PlannerCore

/// What a simulated network and its devices do to planners.
struct Faults {
    /// Per mille of messages that are lost, and that arrive twice.
    var loss = 0
    var duplication = 0
    /// Milliseconds on the way at most; the least is 1.
    var delay = 20
    /// Per mille of steps in which the node crashes before one of the step's effects.
    var crashes = 0
    /// Per mille of requests for a draw that gossip loses, and milliseconds it takes for the others at most.
    var lostDraws = 0
    var drawDelay = 5
    /// Per mille of leadership changes after which a node believes in a leader of its own.
    var splitElections = 0
}

/// Planners with simulated clocks, disks, gossip, elections and migrators. A crash loses all but what effects made durable.
struct SimulatedSite {
    struct Disk {
        var genesis: [UInt8]?
        var blocks: [CommittedBlock] = []
        var snapshot: StoredSnapshot?
        var agreement: StoredAgreement?
        var stopped: String?

        var height: UInt64 { max(blocks.last?.height ?? 0, snapshot?.height ?? 0) }
    }

    struct Node {
        let key: SigningKey
        let name: String
        var disk = Disk()
        var machine: PlannerMachine?
        /// Counts the node's starts: what an earlier life set in motion is void.
        var life = 0
        var timers: [PlannerTimer: Int] = [:]
        var sequence: UInt64 = 0
        /// What gossip signed, which outlives the planner: the judge of double votes.
        var signedVotes: [VoteSlot: [UInt8]] = [:]
        var leadership: Leadership?
        /// The migrator: incarnations that receipts were sent for.
        var handled: Set<String> = []
        var answers: [RequestID: Problem?] = [:]
        var placements: [Placement] = []
    }

    struct VoteSlot: Hashable {
        var chain: Digest
        var purpose: SigningRequest.Purpose
        var height: UInt64
        var round: UInt32
        var step: UInt8
    }

    enum Happening {
        case event(PlannerEvent.Kind, node: Int, life: Int)
        case timer(PlannerTimer, node: Int, life: Int, token: Int)
        case report(Int)
        case election
        case restart(Int, life: Int)
    }

    var random: SplitMix64
    var faults: Faults
    var parameters: SiteParameters
    var nodes: [Node] = []
    var queue = HappeningQueue<Happening>()
    var now: Int64 = 0
    var tokens = 0
    var requests: UInt64 = 0
    var term: UInt64 = 1
    /// The one block that may be committed at each height.
    var chain: [UInt64: Digest] = [:]
    var violations: [String] = []
    var counts: [String: Int] = [:]
    /// Millicores that each app uses.
    var demand: [String: Int] = [:]
    /// Per mille of receipts that refuse or fail.
    var refusals = 0
    var expect: Int
    /// Nodes cut off from all others.
    var cut: Set<Int> = []
    /// Blocks between two snapshots.
    var snapshotInterval: UInt64
    /// Nodes that give up each block that a snapshot stands for.
    var forgetful: Set<Int> = []
    /// Nodes that answer a wish for blocks or a snapshot falsely, or not at all.
    var liars: [Int: Lie] = [:]
    /// Snapshots that nodes have taken from others.
    var adoptions = 0
    var invitations: [Int: InvitationToken] = [:]

    enum Lie { case silence, rubbish, otherBytes, forgedState, endlessRestart }

    static let start: Int64 = 1_700_000_000_000

    init(
        nodes count: Int, seed: UInt64, faults: Faults = Faults(), parameters: SiteParameters = .lively,
        snapshotInterval: UInt64 = SnapshotSchedule.interval
    ) {
        self.snapshotInterval = snapshotInterval
        random = SplitMix64(seed: seed)
        self.faults = faults
        self.parameters = parameters
        expect = count
        for index in 0..<count {
            var bytes = [UInt8](repeating: UInt8(index + 1), count: 32)
            withUnsafeBytes(of: seed.bigEndian) { bytes.replaceSubrange(0..<8, with: $0) }
            nodes.append(Node(key: SigningKey(seed: bytes)!, name: "pi\(index + 1)"))
        }
        for index in nodes.indices {
            boot(index)
            queue.add(.report(index), at: Int64(random.next(in: 0...900)))
        }
        queue.add(.election, at: 500)
    }

    // MARK: Time

    mutating func run(until end: Int64) {
        while violations.isEmpty, let next = queue.next(before: end) {
            now = max(now, next.at)
            happen(next.item)
        }
        now = max(now, end)
    }

    /// Runs until `done` or `end`; returns whether it was done.
    mutating func run(until end: Int64, _ done: (SimulatedSite) -> Bool) -> Bool {
        while violations.isEmpty {
            if done(self) { return true }
            guard let next = queue.next(before: end) else { return false }
            now = max(now, next.at)
            happen(next.item)
        }
        return false
    }

    private mutating func happen(_ happening: Happening) {
        switch happening {
        case .event(let kind, let node, let life):
            if nodes[node].life == life { step(node, kind) }
        case .timer(let timer, let node, let life, let token):
            guard nodes[node].life == life, nodes[node].timers[timer] == token else { return }
            nodes[node].timers[timer] = nil
            step(node, .timer(timer))
        case .report(let node):
            report(node)
            queue.add(.report(node), at: now + 1_500)
        case .election: elect()
        case .restart(let node, let life): if nodes[node].life == life { boot(node) }
        }
    }

    // MARK: Devices

    mutating func boot(_ index: Int) {
        guard nodes[index].machine == nil else { return }
        let node = nodes[index]
        let configuration = PlannerConfiguration(
            here: node.key.nodeID, name: node.name, vrf: node.key.vrf.publicKey, site: "lab",
            operatorKey: SigningKey.testOperator.publicKey, parameters: parameters, expect: expect,
            snapshotInterval: snapshotInterval, invitation: invitations[index])
        do {
            let chain = try Self.chain(node.disk)
            nodes[index].machine = try PlannerMachine(
                configuration, genesis: node.disk.genesis, chain: chain, agreement: node.disk.agreement,
                stopped: node.disk.stopped, seed: random.next())
        } catch {
            violations.append("\(node.name) can't start from its disk: \(error)")
            return
        }
        nodes[index].timers = [:]
        step(index, .started)
        if let leadership = nodes[index].leadership { step(index, .leadership(leadership)) }
        guard let placement = nodes[index].placements.last else { return }
        nodes[index].handled = []
        migrate(index, placement)
    }

    private static func chain(_ disk: Disk) throws -> Chain? {
        guard let genesis = disk.genesis, case let founding = try FoundingRecord(encoded: genesis), founding.isComplete
        else { return nil }
        var chain =
            if let snapshot = disk.snapshot {
                try Chain(snapshot: snapshot.bytes, founding: founding)
            } else {
                try Chain(genesis: genesis)
            }
        for block in disk.blocks where block.height > chain.state.height { try chain.append(block, trusting: true) }
        return chain
    }

    mutating func crash(_ index: Int, for downtime: Int64?) {
        // For good, it also ends the restart after a crash that a fault brought.
        guard nodes[index].machine != nil || downtime == nil else { return }
        nodes[index].machine = nil
        nodes[index].life += 1
        if let downtime { queue.add(.restart(index, life: nodes[index].life), at: now + downtime) }
    }

    mutating func step(_ index: Int, _ kind: PlannerEvent.Kind) {
        guard nodes[index].machine != nil else { return }
        let event = PlannerEvent(now: now + Int64(index) * 77_777, wallTime: Self.start + now, kind)
        let effects = nodes[index].machine!.step(event)
        let life = nodes[index].life
        let isCrash = faults.crashes > 0 && random.next(in: 1...1_000) <= faults.crashes
        let survivors = isCrash ? random.next(in: 0...effects.count) : effects.count
        for effect in effects.prefix(survivors) {
            guard nodes[index].life == life else { return }
            perform(effect, index)
        }
        if isCrash { crash(index, for: Int64(random.next(in: 100...4_000))) }
    }

    private mutating func perform(_ effect: PlannerEffect, _ index: Int) {
        switch effect {
        case .persistGenesis(let bytes): nodes[index].disk.genesis = bytes
        case .persistStop(let why): nodes[index].disk.stopped = why
        case .persistAgreement(let agreement):
            nodes[index].disk.agreement = agreement.replacing(nodes[index].disk.agreement)
        case .persistSnapshot(let snapshot):
            nodes[index].disk.snapshot = snapshot
            if forgetful.contains(index) { nodes[index].disk.blocks.removeAll { $0.height <= snapshot.height } }
        case .adoptSnapshot(let snapshot): adopt(snapshot, index)
        case .commit(let block): commit(block, index)
        case .sign(let tag, let request): sign(tag, request, index)
        case .draw(let height, let request):
            draw(height, request, index)
        case .publish(let publication): publish(publication, index)
        case .sendCommitted(let from, let to):
            if let publication = answer(from: from, to: to, index) { publish(publication, index) }
        case .sendSnapshot(let digest, let piece, let to):
            if let publication = answer(piece, of: digest, to: to, index) { publish(publication, index) }
        case .setTimer(let timer, let delay):
            tokens += 1
            nodes[index].timers[timer] = tokens
            queue.add(.timer(timer, node: index, life: nodes[index].life, token: tokens), at: now + delay)
        case .cancelTimer(let timer): nodes[index].timers[timer] = nil
        case .placement(let placement):
            nodes[index].placements.append(placement)
            migrate(index, placement)
        case .answer(let id, let problem): nodes[index].answers[id] = .some(problem)
        case .count(let reason): counts[reason, default: 0] += 1
        case .log(.error, let text): violations.append("\(nodes[index].name): \(text)")
        case .head, .blame, .log, .committed: break
        }
    }

    private mutating func commit(_ block: CommittedBlock, _ index: Int) {
        nodes[index].disk.agreement = nil
        let expected = nodes[index].disk.height + 1
        if block.height != expected {
            violations.append("\(nodes[index].name) committed \(block.height), not \(expected)")
        }
        nodes[index].disk.blocks.append(block)
        if let other = chain[block.height], other != block.id {
            violations.append("two blocks at height \(block.height)")
        }
        chain[block.height] = block.id
    }

    // MARK: Reports

    private mutating func report(_ index: Int) {
        guard nodes[index].machine != nil else { return }
        let here = nodes[index].key.nodeID
        var apps: [AppScore] = []
        for app in nodes[index].placements.last?.apps ?? [] where app.node == here && app.running && app.move == nil {
            let cpu = (demand[app.specification.name] ?? 100) * 1_000_000 / 2_000
            apps.append(
                AppScore(app: app.specification.name, incarnation: app.incarnation, score: Score(cpu: cpu)))
        }
        let base = 20_000
        let load = LoadMatrix(
            timestamp: now, device: Score(cpu: apps.reduce(base) { $0 + ($1.score.cpu ?? 0) }), apps: apps,
            services: [], capacity: .test, facts: .test)
        let report = Report(
            name: nodes[index].name, gossipAddress: "10.0.0.\(index):7700", migratorAddress: "10.0.0.\(index):7701",
            vrf: nodes[index].key.vrf.publicKey, load: load)
        publish(Publication(kind: .report, payload: report.encoded), index)
    }

    // MARK: Election and migrators

    private mutating func elect() {
        term += 1
        let alive = nodes.indices.filter { nodes[$0].machine != nil }
        let elected = alive.isEmpty ? nil : alive[Int(random.next(below: UInt64(alive.count)))]
        for index in nodes.indices {
            var leader = elected
            if faults.splitElections > 0, random.next(in: 1...1_000) <= faults.splitElections {
                leader = random.next(in: 0...1) == 0 ? index : nil
            }
            let leadership = Leadership(engine: "raft", term: term, leader: leader.map { nodes[$0].key.nodeID })
            nodes[index].leadership = leadership
            let event = Happening.event(.leadership(leadership), node: index, life: nodes[index].life)
            queue.add(event, at: now + Int64(random.next(in: 1...200)))
        }
        queue.add(.election, at: now + 7_000)
    }

    /// Answers what a placement asks of this node, once an incarnation.
    private mutating func migrate(_ index: Int, _ placement: Placement) {
        let here = nodes[index].key.nodeID
        for app in placement.apps {
            var asked: UInt64?
            if app.node == here, !app.running { asked = app.incarnation }
            if let move = app.move, move.to == here { asked = move.incarnation }
            guard let incarnation = asked else { continue }
            let name = app.specification.name
            guard nodes[index].handled.insert("\(name) \(incarnation)").inserted else { continue }
            let isRefused = refusals > 0 && random.next(in: 1...1_000) <= refusals
            let bad: Receipt.Outcome = app.move == nil ? .failed : .refused
            let receipt = Receipt(app: name, incarnation: incarnation, outcome: isRefused ? bad : .running)
            requests += 1
            let event = Happening.event(
                .receipt(RequestID(requests), receipt), node: index, life: nodes[index].life)
            queue.add(event, at: now + Int64(random.next(in: 100...3_000)))
        }
    }

    // MARK: Judgement

    var heights: [UInt64] { nodes.map(\.disk.height) }

    /// Checks every stored chain offline.
    func verifyChains() -> String? {
        for node in nodes {
            guard let genesis = node.disk.genesis else { return "\(node.name) has no genesis" }
            do {
                var chain = try Chain(genesis: genesis)
                if let snapshot = node.disk.snapshot, node.disk.blocks.first?.height != 1 {
                    chain = try Chain(snapshot: snapshot.bytes, founding: chain.founding)
                }
                for block in node.disk.blocks where block.height > chain.state.height { try chain.append(block) }
                let state = chain.state
                if let machine = node.machine?.state, machine.height == state.height, machine != state {
                    return "\(node.name)'s state is not the fold of its chain"
                }
            } catch {
                return "\(node.name): \(error)"
            }
        }
        return nil
    }
}

extension SiteParameters {
    /// A block a second, whether there is something to decide or not.
    static let lively = SiteParameters(idleInterval: 1_000, absentAfter: 15_000)
}
