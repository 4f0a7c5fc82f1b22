import Contracts
import ElectionSimulation
import Machine

@testable import ConsensusCore

/// Nodes that elect through one simulated etcd, with clocks of their own, answers that take time or get lost, and a
/// judge that looks after every event.
struct EtcdTrial {
    struct Faults {
        /// Milliseconds for each way, to etcd and back.
        var delay: ClosedRange<Int> = 1...5
        /// Calls and answers that get lost, and of both those that are held up for long, in a thousand.
        var loss = 0
        var held = 0
        /// How fast clocks run, in thousandths of true.
        var rates: ClosedRange<Int> = 910...1_090
    }

    struct Node {
        var id: NodeID
        var election: EtcdElection?
        var life = 0
        var rate: Int64
        var offset: Int64
        var reachesStore = true
        var timers: [ElectionTimer: Int64] = [:]
        var calls: [StoreCall] = []
        var logs: [String] = []

        /// Its clock goes on from where it stands, at another rate.
        mutating func slow(to newRate: Int64, now: Int64) {
            offset += now * (rate - newRate) / 1_000
            rate = newRate
        }
    }

    private enum Parcel {
        case call(StoreCall)
        case answer(StoreCall, StoreReply)
    }

    private struct Travelling {
        var due: Int64
        var node: Int
        var life: Int
        var parcel: Parcel
    }

    static let heartbeat: Int64 = 250
    static let timeout: Int64 = 1_000

    let seed: UInt64
    var faults: Faults
    var nodes: [Node] = []
    var store = SimulatedStore()
    var storeIsUp = true
    var now: Int64 = 0
    private(set) var head: SiteHead
    private var generator: SplitMix64
    private var travelling: [Travelling] = []
    /// Who was acknowledged in a term, by anybody.
    private var leaders: [UInt64: NodeID] = [:]
    private(set) var violation: String?
    /// Terms in which somebody took itself for leader.
    private var led: Set<UInt64> = []
    var termsLed: Int { led.count }

    init(seed: UInt64, count: Int, faults: Faults = Faults()) throws {
        self.seed = seed
        self.faults = faults
        generator = SplitMix64(seed: seed)
        let ids = (1...count).map { NodeID(unchecked: [UInt8](repeating: UInt8($0), count: 32)) }
        head = Self.head(of: ids, height: 1)
        for id in ids {
            let rate = Int64(generator.next(in: faults.rates))
            nodes.append(Node(id: id, rate: rate, offset: Int64(generator.next(in: 0...1_000_000))))
        }
        for index in nodes.indices { try start(index) }
    }

    static func head(of members: [NodeID], height: UInt64, genesis: Digest = .zero) -> SiteHead {
        SiteHead(
            genesis: genesis, site: genesis, height: height, seed: .zero, epochSeed: .zero,
            members: members.sorted().map { Voter(id: $0, vrf: .zero) })
    }

    static func key(_ genesis: Digest = .zero) -> String { "poise/\(genesis)/leader" }

    // MARK: - What a test does

    mutating func start(_ index: Int) throws {
        let configuration = ElectionConfiguration(
            own: nodes[index].id, seed: generator.next(), heartbeat: Self.heartbeat, timeout: Self.timeout)
        nodes[index].election = try EtcdElection(configuration, stored: nil)
        nodes[index].life += 1
        nodes[index].timers = [:]
        take(.head(head), index)
    }

    mutating func kill(_ index: Int) { nodes[index].election = nil }

    mutating func change(_ newHead: SiteHead) {
        head = newHead
        for index in nodes.indices { take(.head(head), index) }
    }

    mutating func blame(_ leader: NodeID, heights: [UInt64]) {
        for index in nodes.indices {
            guard let leadership = nodes[index].election?.leadership, leadership.leader == leader else { continue }
            for height in heights {
                take(.blame(Blame(leader: leader, term: leadership.term, height: height)), index)
            }
        }
    }

    var leadership: [Leadership?] { nodes.map { $0.election?.leadership } }

    /// What all that live acknowledge, if it is one leader.
    var agreed: Leadership? {
        let living = nodes.compactMap { $0.election?.leadership }
        guard let first = living.first, first.leader != nil, living.allSatisfy({ $0 == first }) else { return nil }
        return first
    }

    func index(of id: NodeID?) -> Int? { nodes.firstIndex { $0.id == id } }

    mutating func run(for milliseconds: Int64, until isDone: (Self) -> Bool = { _ in false }) {
        let end = now + milliseconds
        while violation == nil, !isDone(self) {
            let parcel = travelling.indices.min { travelling[$0].due < travelling[$1].due }
            let timer = nextTimer()
            let moments = [parcel.map { travelling[$0].due }, timer?.due].compactMap { $0 }
            guard let next = moments.min(), next <= end else { break }
            now = max(now, next)
            if let timer, timer.due == next {
                nodes[timer.node].timers[timer.timer] = nil
                take(.timer(timer.timer), timer.node)
            } else if let parcel {
                deliver(travelling.remove(at: parcel))
            }
        }
        if !isDone(self) { now = max(now, end) }
    }

    mutating func chance(_ thousandths: Int) -> Bool { generator.next(in: 1...1_000) <= thousandths }

    mutating func drawn(_ range: ClosedRange<Int>) -> Int { generator.next(in: range) }

    // MARK: - The world

    private func local(_ index: Int) -> Int64 { nodes[index].offset + now * nodes[index].rate / 1_000 }

    private func nextTimer() -> (due: Int64, node: Int, timer: ElectionTimer)? {
        var first: (due: Int64, node: Int, timer: ElectionTimer)?
        for index in nodes.indices where nodes[index].election != nil {
            for (timer, due) in nodes[index].timers.sorted(by: { $0.key.name < $1.key.name })
            where due < first?.due ?? .max {
                first = (due, index, timer)
            }
        }
        return first
    }

    private mutating func take(_ kind: ElectionEvent.Kind, _ index: Int) {
        let event = ElectionEvent(now: local(index), kind)
        guard let effects = nodes[index].election?.step(event) else { return }
        for effect in effects {
            switch effect {
            case .setTimer(let timer, let delay):
                let rate = nodes[index].rate
                nodes[index].timers[timer] = now + (delay * 1_000 + rate - 1) / rate
            case .cancelTimer(let timer): nodes[index].timers[timer] = nil
            case .ask(.store(let call)):
                nodes[index].calls.append(call)
                send(.call(call), of: index)
            case .log(_, let text): nodes[index].logs.append(text)
            case .leadershipChanged, .count: break
            case .ask, .persist, .send: violation = "\(nodes[index].id.short) wants \(effect)"
            }
        }
        judge()
    }

    private mutating func send(_ parcel: Parcel, of index: Int) {
        if chance(faults.loss) { return }
        let delay = chance(faults.held) ? 200...6_000 : faults.delay
        travelling.append(
            Travelling(due: now + Int64(drawn(delay)), node: index, life: nodes[index].life, parcel: parcel))
    }

    private mutating func deliver(_ item: Travelling) {
        switch item.parcel {
        case .call(let call):
            // What is under way when its sender dies arrives all the same.
            guard storeIsUp, nodes[item.node].reachesStore else { return }
            let reply = store.perform(call, now: now)
            if item.life == nodes[item.node].life { send(.answer(call, reply), of: item.node) }
        case .answer(let call, let reply):
            // One to an earlier life must do no harm either.
            take(.answer(.store(call), .store(reply)), item.node)
        }
    }

    private mutating func judge() {
        var inOffice: [NodeID] = []
        for index in nodes.indices {
            guard let leadership = nodes[index].election?.leadership, let leader = leadership.leader else { continue }
            if leader == nodes[index].id {
                inOffice.append(leader)
                led.insert(leadership.term)
            }
            if let other = leaders[leadership.term], other != leader {
                violation = "term \(leadership.term) has the leaders \(other.short) and \(leader.short)"
            }
            leaders[leadership.term] = leader
        }
        if inOffice.count > 1 { violation = "at \(now) both \(inOffice.map(\.short)) take themselves for leader" }
    }
}
