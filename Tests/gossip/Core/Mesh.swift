import Contracts
import GossipCore
import Identity
import Machine

/// A site of gossip machines on a simulated network: messages are delayed and thereby reordered, lost and
/// doubled, nodes crash between two effects and come back with what they had made durable.
struct Mesh {
    struct Faults {
        /// Requests and, apart from them, answers lost; in thousandths.
        var loss = 0
        var duplication = 0
        var delay = 1...5

        static let none = Faults()
    }

    struct Node {
        var machine: GossipMachine
        var sequences: [UInt8]
        var ledger: [UInt8]
        var up = true
        /// Events for an earlier life are dropped.
        var life = 0
        var timers: [GossipTimer: Int] = [:]
        /// What was handed to local readers in this life.
        var delivered: [SignedMessage] = []
        var ownNewest: SignedMessage?
        var drops: [DropReason: Int] = [:]
    }

    /// Who waits for the answer to a request.
    private struct Caller {
        var node: Int
        var life: Int
        var answered: @Sendable (GossipAnswer) -> GossipEvent.Kind
        var failed: GossipEvent.Kind
    }

    private struct Due {
        var node: Int
        var life: Int
        var timer: (GossipTimer, Int)?
        var event: GossipEvent.Kind
        var caller: Caller?
    }

    static let site = "attic"
    private(set) var nodes: [Node] = []
    private(set) var now: Int64 = 0
    var faults = Faults()
    var random: SplitMix64
    /// Links that carry nothing, by the two nodes' indices in ascending order.
    var cut: Set<[Int]> = []
    /// Messages put under a signature by a node of this mesh.
    private(set) var published: Set<Signature> = []
    /// How often the body of each message went from one node to another.
    private(set) var bodies: [Signature: Int] = [:]
    /// Answers to local requests, by request.
    private(set) var answers: [RequestNumber: GossipAnswer] = [:]
    private var due = Agenda<Due>()
    private var order = 0

    init(seed: UInt64, count: Int, knows: (Int) -> [Int]) throws {
        random = SplitMix64(seed: seed)
        for index in 0..<count {
            let records = GossipMachine.initialRecords
            let machine = try Self.machine(index, knows(index), records.sequences, records.ledger, epoch: random.next())
            nodes.append(Node(machine: machine, sequences: records.sequences, ledger: records.ledger))
            start(index)
        }
    }

    static func key(_ index: Int) -> SigningKey { SigningKey(seed: [UInt8](repeating: UInt8(index + 1), count: 32))! }
    static func address(_ index: Int) -> String { "10.0.0.\(index):7700" }

    private static func machine(
        _ index: Int, _ knows: [Int], _ sequences: [UInt8], _ ledger: [UInt8], epoch: UInt64
    ) throws -> GossipMachine {
        try GossipMachine(
            key: key(index),
            configuration: GossipConfiguration(name: "pi\(index)", site: site, peers: knows.map(address)),
            sequences: sequences, ledger: ledger, epoch: epoch)
    }

    private mutating func start(_ index: Int) {
        schedule(index, .started, after: 0)
        schedule(index, .advertise(gossip: Self.address(index), migrator: "10.0.0.\(index):7701"), after: 0)
    }

    mutating func crash(_ index: Int) {
        nodes[index].up = false
        nodes[index].life += 1
    }

    mutating func restart(_ index: Int, knows: [Int]) throws {
        nodes[index].machine = try Self.machine(
            index, knows, nodes[index].sequences, nodes[index].ledger, epoch: random.next())
        nodes[index].up = true
        nodes[index].delivered = []
        nodes[index].timers = [:]
        start(index)
    }

    // MARK: running

    mutating func schedule(_ node: Int, _ event: GossipEvent.Kind, after milliseconds: Int64) {
        due.add(Due(node: node, life: nodes[node].life, event: event), at: now + milliseconds)
    }

    /// Hands `node` a local request at once; its answer is found in ``answers``.
    mutating func request(_ node: Int, _ make: (RequestNumber) -> GossipEvent.Kind) -> RequestNumber {
        order += 1
        let request = RequestNumber(UInt64(order))
        step(node, make(request), nil)
        return request
    }

    mutating func run(for milliseconds: Int64) {
        let end = now + milliseconds
        while let (at, next) = due.next(until: end) {
            now = at
            guard nodes[next.node].up, nodes[next.node].life == next.life else {
                if let caller = next.caller { fail(caller) }
                continue
            }
            if let (timer, armed) = next.timer, nodes[next.node].timers[timer] != armed { continue }
            step(next.node, next.event, next.caller)
        }
        now = end
    }

    private mutating func step(_ index: Int, _ kind: GossipEvent.Kind, _ caller: Caller?) {
        for effect in nodes[index].machine.step(GossipEvent(now: now, kind)) { perform(effect, index, caller) }
    }

    private mutating func perform(_ effect: GossipEffect, _ index: Int, _ caller: Caller?) {
        switch effect {
        case .persistSequences(let bytes): nodes[index].sequences = bytes
        case .persistLedger(let bytes): nodes[index].ledger = bytes
        case .send(let ticket, let batch, let address):
            for delivery in batch.deliveries { bodies[delivery.message.signature, default: 0] += 1 }
            call(index, address, .failed(ticket, reason: "timed out"), { .received($0, batch) }) { answer in
                if case .received = answer { .sent(ticket) } else { .refused(ticket, reason: "\(answer)") }
            }
        case .ask(let ticket, let question, let address):
            call(index, address, .failed(ticket, reason: "timed out"), { .asked($0, question) }) { answer in
                if case .needed(let needed) = answer {
                    .answered(ticket, needed: needed, roundTrip: 900)
                } else {
                    .refused(ticket, reason: "\(answer)")
                }
            }
        case .identify(let address): identify(index, address)
        case .askPeers(let id, let address): askPeers(index, id, address)
        case .deliver(let line):
            nodes[index].delivered.append(line.message)
            if line.message.sender == Self.key(index).nodeID {
                published.insert(line.message.signature)
                if line.message.kind == .report { nodes[index].ownNewest = line.message }
            }
        case .answer(let request, let answer):
            if let caller { back(index, caller, answer) } else { answers[request] = answer }
        case .setTimer(let timer, let milliseconds):
            order += 1
            nodes[index].timers[timer] = order
            due.add(
                Due(node: index, life: nodes[index].life, timer: (timer, order), event: .timer(timer)),
                at: now + milliseconds)
        case .count(.dropped(let reason), let count): nodes[index].drops[reason, default: 0] += count
        case .count, .connected, .pooled, .log: break
        }
    }

    // MARK: the network

    private func target(_ address: String) -> Int? { nodes.indices.first { Self.address($0) == address } }

    private func reachable(_ a: Int, _ b: Int) -> Bool { nodes[b].up && !cut.contains([min(a, b), max(a, b)]) }

    private mutating func hits(_ thousandths: Int) -> Bool { random.next(in: 0...999) < thousandths }

    private mutating func latency() -> Int64 { Int64(random.next(in: faults.delay)) }

    private mutating func call(
        _ from: Int, _ address: String, _ failed: GossipEvent.Kind, _ make: (RequestNumber) -> GossipEvent.Kind,
        _ answered: @escaping @Sendable (GossipAnswer) -> GossipEvent.Kind
    ) {
        let caller = Caller(node: from, life: nodes[from].life, answered: answered, failed: failed)
        guard let to = target(address), reachable(from, to), !hits(faults.loss) else {
            fail(caller)
            return
        }
        for copy in 0...(hits(faults.duplication) ? 1 : 0) {
            order += 1
            let event = make(RequestNumber(UInt64(order)))
            due.add(
                Due(node: to, life: nodes[to].life, event: event, caller: copy == 0 ? caller : nil),
                at: now + latency())
        }
    }

    private mutating func back(_ from: Int, _ caller: Caller, _ answer: GossipAnswer) {
        guard reachable(from, caller.node), !hits(faults.loss) else {
            fail(caller)
            return
        }
        due.add(
            Due(node: caller.node, life: caller.life, event: caller.answered(answer)), at: now + latency())
    }

    private mutating func fail(_ caller: Caller) {
        due.add(Due(node: caller.node, life: caller.life, event: caller.failed), at: now + 2_000)
    }

    private mutating func identify(_ from: Int, _ address: String) {
        guard let to = target(address), reachable(from, to), !hits(faults.loss) else {
            schedule(from, .unidentified(address: address, reason: "no answer"), after: 2_000)
            return
        }
        let info = nodes[to].machine.info
        schedule(from, .identified(address: address, info, roundTrip: 700), after: latency() * 2)
        schedule(to, .hinted(address: Self.address(from)), after: latency())
    }

    private mutating func askPeers(_ from: Int, _ id: NodeID, _ address: String) {
        guard let to = target(address), reachable(from, to), !hits(faults.loss) else {
            schedule(from, .peersNotLearned(from: id, reason: "no answer"), after: 2_000)
            return
        }
        let hints = nodes[to].machine.peerStates(now: now).map { PeerHint(id: $0.id, address: $0.address) }
        schedule(from, .peersLearned(from: id, hints, roundTrip: 800), after: latency() * 2)
    }

    // MARK: samples

    static func sample(_ at: Int64, apps: Int = 0, cpu: Int = 100_000) -> LoadMatrix {
        LoadMatrix(
            timestamp: at, device: Score(cpu: cpu, ram: 200_000),
            apps: (0..<apps).map { AppScore(app: "app\(10 + $0)", incarnation: 1, score: Score(cpu: cpu / 10)) },
            services: [],
            capacity: Capacity(
                cpuMillicores: 4_000, ramBytes: 4 << 30, diskBytesPerSecond: 40 << 20,
                networkBytesPerSecond: 125_000_000),
            facts: Facts(
                architecture: "aarch64", kernel: "6.12", engineVersion: "28.0", storageDriver: "overlay2",
                checkpoints: true, pageSize: 4_096))
    }
}

/// What is due, soonest first and in the order it was added: a binary heap.
struct Agenda<Element> {
    private var heap: [(at: Int64, order: Int, element: Element)] = []
    private var order = 0

    mutating func add(_ element: Element, at: Int64) {
        order += 1
        heap.append((at, order, element))
        var child = heap.count - 1
        while child > 0, isBefore(child, (child - 1) / 2) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func next(until end: Int64) -> (at: Int64, element: Element)? {
        guard let first = heap.first, first.at <= end else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && isBefore(child, least) {
                least = child
            }
            if least == parent { break }
            heap.swapAt(parent, least)
            parent = least
        }
        return (first.at, first.element)
    }

    private func isBefore(_ a: Int, _ b: Int) -> Bool { (heap[a].at, heap[a].order) < (heap[b].at, heap[b].order) }
}
