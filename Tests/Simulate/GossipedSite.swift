import Contracts
import GossipCore
import Identity
import PlannerCore

/// The site of ``PeacefulSite`` on gossip as it is: each planner has its gossip's core, which signs by its ledger, floods, asks
/// before it sends, and has one batch at a time under way to each peer. Only what goes from device to device takes time.
struct GossipedSite {
    private struct Node {
        var planner: PlannerMachine
        var gossip: GossipMachine
        var plannerTimers: [PlannerTimer: Int] = [:]
        var gossipTimers: [GossipTimer: Int] = [:]
        /// What a request to gossip was for.
        var errands: [UInt64: Errand] = [:]
    }

    private enum Errand {
        case signature(SigningTag)
        case draw(UInt64)
        case publication
        /// Of another device: a batch or a question.
        case batch(Ticket, from: Int)
        case question(Ticket, from: Int)
    }

    private enum Happening {
        case planner(PlannerEvent.Kind, node: Int)
        case gossip(GossipEvent.Kind, node: Int)
        case plannerTimer(PlannerTimer, node: Int, token: Int)
        case gossipTimer(GossipTimer, node: Int, token: Int)
        case batch(Batch, Ticket, from: Int, to: Int)
        case question(Question, Ticket, from: Int, to: Int)
        case sample(node: Int)
    }

    let cast: PeacefulCast
    let delay: Int64
    let start: Int64
    private var nodes: [Node] = []
    private var numbers: [String: Int] = [:]
    private var upcoming = Upcoming<Happening>()
    private var tokens = 0
    private var requests: UInt64 = 0
    private(set) var now: Int64 = 0
    var ledger: ChainLedger

    init(_ cast: PeacefulCast, delay: Int64, start: Int64) throws {
        self.cast = cast
        self.delay = delay
        self.start = start
        let keys = cast.seeds.compactMap { SigningKey(seed: $0) }
        ledger = ChainLedger(nodes: keys.count)
        let addresses = keys.indices.map { Self.address(of: $0) }
        for (index, key) in keys.enumerated() {
            numbers[addresses[index]] = index
            let (sequences, stored) = GossipMachine.initialRecords
            let gossip = try GossipMachine(
                key: key,
                configuration: GossipConfiguration(
                    name: PeacefulCast.name(index), site: PeacefulCast.site,
                    peers: addresses.enumerated().filter { $0.offset != index }.map(\.element)),
                sequences: sequences, ledger: stored, epoch: UInt64(index))
            let planner = try PlannerMachine(
                cast.configuration(of: index, snapshotInterval: 500), genesis: cast.founding.encoded, chain: nil,
                agreement: nil, seed: UInt64(index))
            nodes.append(Node(planner: planner, gossip: gossip))
            let phase = Int64(index * 97 % 500)
            let leadership = Leadership(engine: "raft", term: 1, leader: keys[0].nodeID)
            upcoming.add(.gossip(.advertise(gossip: addresses[index], migrator: "\(index):7701"), node: index), at: 0)
            upcoming.add(.gossip(.started, node: index), at: phase)
            upcoming.add(.sample(node: index), at: phase)
            // Once all know each other.
            upcoming.add(.planner(.started, node: index), at: 5_000)
            upcoming.add(.planner(.leadership(leadership), node: index), at: 5_000)
        }
    }

    private static func address(of node: Int) -> String { "\(PeacefulCast.name(node)):7700" }

    /// Runs until all nodes have this block.
    mutating func run(until height: UInt64) {
        while !ledger.isDone(height), let (time, happening) = upcoming.next() {
            now = time
            happen(happening)
        }
    }

    private mutating func happen(_ happening: Happening) {
        switch happening {
        case .planner(let kind, let node): step(planner: node, kind)
        case .gossip(let kind, let node): step(gossip: node, kind)
        case .plannerTimer(let timer, let node, let token):
            if nodes[node].plannerTimers[timer] == token { step(planner: node, .timer(timer)) }
        case .gossipTimer(let timer, let node, let token):
            if nodes[node].gossipTimers[timer] == token { step(gossip: node, .timer(timer)) }
        case .batch(let batch, let ticket, let from, let to):
            ask(to, .batch(ticket, from: from)) { .received($0, batch) }
        case .question(let question, let ticket, let from, let to):
            ask(to, .question(ticket, from: from)) { .asked($0, question) }
        case .sample(let node):
            step(gossip: node, .load(cast.load(of: [], at: start + now)))
            upcoming.add(.sample(node: node), at: now + 500)
        }
    }

    // MARK: planner

    private mutating func step(planner node: Int, _ kind: PlannerEvent.Kind) {
        let event = PlannerEvent(now: now + Int64(node) * 77_777, wallTime: start + now, kind)
        for effect in nodes[node].planner.step(event) { perform(effect, node) }
    }

    private mutating func perform(_ effect: PlannerEffect, _ node: Int) {
        switch effect {
        case .commit(let block): ledger.committed(block.height, by: node, at: now)
        case .sign(let tag, let request): ask(node, .signature(tag)) { .sign($0, request) }
        case .draw(let height, let request): ask(node, .draw(height)) { .draw($0, request) }
        case .publish(let publication):
            ledger.said(publication.kind, publication.payload.bytes, at: now)
            ask(node, .publication) { .publish($0, publication) }
        case .setTimer(let timer, let delay):
            tokens += 1
            nodes[node].plannerTimers[timer] = tokens
            upcoming.add(.plannerTimer(timer, node: node, token: tokens), at: now + delay)
        case .cancelTimer(let timer): nodes[node].plannerTimers[timer] = nil
        case .log(.error, let text), .log(.warning, let text): ledger.complaints.append(text)
        default: break
        }
    }

    // MARK: gossip

    private mutating func ask(_ node: Int, _ errand: Errand, _ kind: (RequestNumber) -> GossipEvent.Kind) {
        requests += 1
        nodes[node].errands[requests] = errand
        step(gossip: node, kind(RequestNumber(requests)))
    }

    private mutating func step(gossip node: Int, _ kind: GossipEvent.Kind) {
        let event = GossipEvent(now: now + Int64(node) * 77_777, kind)
        for effect in nodes[node].gossip.step(event) { perform(effect, node) }
    }

    private mutating func perform(_ effect: GossipEffect, _ node: Int) {
        switch effect {
        case .send(let ticket, let batch, let address):
            guard let target = numbers[address] else { return }
            ledger.sent(batch)
            upcoming.add(.batch(batch, ticket, from: node, to: target), at: now + delay)
        case .ask(let ticket, let question, let address):
            guard let target = numbers[address] else { return }
            ledger.sent(question)
            upcoming.add(.question(question, ticket, from: node, to: target), at: now + delay)
        case .identify(let address):
            guard let target = numbers[address] else { return }
            let found = GossipEvent.Kind.identified(
                address: address, nodes[target].gossip.info, roundTrip: 2_000 * delay)
            upcoming.add(.gossip(found, node: node), at: now + 2 * delay)
        case .askPeers(let peer, let address):
            guard let target = numbers[address] else { return }
            let hints = nodes[target].gossip.peerStates(now: now).map { PeerHint(id: $0.id, address: $0.address) }
            let learned = GossipEvent.Kind.peersLearned(from: peer, hints, roundTrip: 2_000 * delay)
            upcoming.add(.gossip(learned, node: node), at: now + 2 * delay)
        case .deliver(let line): upcoming.add(.planner(.message(line.message), node: node), at: now)
        case .answer(let number, let answer): take(answer, nodes[node].errands.removeValue(forKey: number.number), node)
        case .setTimer(let timer, let delay):
            tokens += 1
            nodes[node].gossipTimers[timer] = tokens
            upcoming.add(.gossipTimer(timer, node: node, token: tokens), at: now + delay)
        case .log(.error, let text), .log(.warning, let text): ledger.complaints.append(text)
        case .persistSequences, .persistLedger, .count, .connected, .pooled, .log: break
        }
    }

    private mutating func take(_ answer: GossipAnswer, _ errand: Errand?, _ node: Int) {
        switch (errand, answer) {
        case (.signature(let tag), .signed(let response)):
            upcoming.add(.planner(.signed(tag, response.signature), node: node), at: now)
        case (.draw(let height), .drawn(let response)):
            upcoming.add(.planner(.drawn(height: height, response.proof), node: node), at: now)
        case (.batch(let ticket, let from), .received):
            upcoming.add(.gossip(.sent(ticket), node: from), at: now + delay)
        case (.question(let ticket, let from), .needed(let needed)):
            let told = GossipEvent.Kind.answered(ticket, needed: needed, roundTrip: 2_000 * delay)
            upcoming.add(.gossip(told, node: from), at: now + delay)
        case (_, .problem(let problem)): ledger.complaints.append("\(problem)")
        default: break
        }
    }
}
