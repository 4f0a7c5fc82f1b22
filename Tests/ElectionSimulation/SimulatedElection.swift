public import ConsensusCore
public import Contracts
import Machine

/// A site of nodes that elect, on a simulated network, with simulated disks and clocks. One seed gives one history.
public struct SimulatedElection: Sendable {
    struct Node: Sendable {
        let keys: SimulatedKeys
        var id: NodeID { keys.id }
        var machine: ConsensusMachine?
        var disk: [UInt8]?
        var timers: [ConsensusTimer: UInt64] = [:]
        /// Of the chain's heads, the newest that this node's planner has told.
        var height = 0
        /// Local time = offset + global time × (1,000,000 + skew) / 1,000,000.
        var offset: Int64
        var skew: Int64
        /// Until when the process gets no processor time; what comes meanwhile waits.
        var pausedUntil: Int64 = 0
        var sequence: UInt64 = 0
        /// What its gossip still holds, and hands to a process that starts anew.
        var feed: [SignedMessage] = []
        var isDead = false
        /// When it began to take itself for leader, local time.
        var reignsSince: Int64?
        /// Itself before it last gave its word: what ``Mutant/votesTwice`` also answers as.
        var forgetful: ConsensusMachine?
    }

    enum Happening: Sendable {
        case deliver(to: Int, SignedMessage)
        case timer(node: Int, ConsensusTimer, UInt64)
        case head(node: Int)
        case ask(node: Int, life: UInt64, ElectionQuestion)
        case answer(node: Int, life: UInt64, ElectionQuestion, ElectionAnswer?)
        case restart(node: Int)
        case block
        case faults
    }

    public let engine: any Election.Type
    public let heartbeat: Int64
    public let timeout: Int64
    public internal(set) var now: Int64 = 0
    public internal(set) var faults: Faults
    public internal(set) var messages = 0
    public internal(set) var bytes = 0
    public internal(set) var transcript: [String]?
    /// Bodies that begin with this byte take so many milliseconds.
    var held: (type: UInt8, milliseconds: Int64)?
    /// When a node last stood for election.
    public var lastStood: Int64?
    private static let feedLength = 200
    let mutant: Mutant?
    let checks: ElectionChecks
    var nodes: [Node]
    var chain: SimulatedChain
    var judge: Judge
    var store = SimulatedStore()
    var storeUpAt: Int64 = 0
    var generator: SplitMix64
    var group: [Int]
    /// Whether messages pass from a node of group 1 to those of others, but not back.
    var isOneWay = false
    var queue = Agenda<Happening>()
    var timerCount: UInt64 = 0
    var lives: [UInt64]

    /// - Parameter spares: nodes that are no members at first and may join.
    public init(
        _ engine: any Election.Type, seed: UInt64, count: Int, spares: Int = 0, faults: Faults, mutant: Mutant? = nil,
        heartbeat: Int64 = 250, timeout: Int64 = 1_000, realKeys: Bool = false, transcribed: Bool = false
    ) {
        self.engine = engine
        self.heartbeat = heartbeat
        self.timeout = timeout
        self.faults = faults
        self.mutant = mutant
        generator = SplitMix64(seed: seed)
        group = [Int](repeating: 0, count: count + spares)
        lives = [UInt64](repeating: 0, count: count + spares)
        transcript = transcribed ? [] : nil
        checks = realKeys ? .real : SimulatedKeys.cheapChecks
        judge = Judge(engine: engine, checks: checks)
        nodes = []
        for index in 0..<count + spares {
            let skew = Int64(generator.next(in: -faults.skew...faults.skew))
            nodes.append(
                Node(
                    keys: realKeys ? .real(index) : .cheap(index), offset: Int64(generator.next(in: 0...1_000_000)),
                    skew: skew))
        }
        chain = SimulatedChain(members: nodes.prefix(count).map { Voter(id: $0.id, vrf: $0.keys.vrf) })
        for index in nodes.indices { boot(index) }
        queue.add(.faults, at: 250)
        queue.add(.block, at: SimulatedChain.interval)
    }

    public var violation: String? { judge.violation }

    /// Whom a quorum of the newest members acknowledges, and no other of them anybody else.
    public var quorumLeadership: Leadership? {
        let head = chain.newest
        let led = nodes.filter { head.has($0.id) }.compactMap { $0.machine?.leadership }.filter { $0.leader != nil }
        guard let first = led.first, led.count >= head.quorum,
            led.allSatisfy({ $0.leader == first.leader && $0.term == first.term })
        else { return nil }
        return first
    }

    /// Whom a quorum of the newest members acknowledges, whatever the others do.
    public var majorityLeadership: Leadership? {
        let head = chain.newest
        var counts: [Leadership: Int] = [:]
        for node in nodes where head.has(node.id) {
            guard var leadership = node.machine?.leadership, leadership.leader != nil else { continue }
            leadership.certificate = nil
            counts[leadership, default: 0] += 1
        }
        return counts.first { $0.value >= head.quorum }?.key
    }

    /// Whom every node acknowledges; nil if they differ, one is down or none leads.
    public var agreedLeadership: Leadership? {
        nodes.allSatisfy { $0.machine?.leadership.leader != nil } ? quorumLeadership : nil
    }

    /// What each node acknowledges; nil for one that is down.
    public var leaderships: [Leadership?] { nodes.map { $0.machine?.leadership } }

    public func index(of node: NodeID?) -> Int? { nodes.firstIndex { $0.id == node } }

    public var canSpareOne: Bool {
        let head = chain.newest
        return nodes.count { head.has($0.id) && $0.machine != nil } > head.quorum
    }

    /// Lets `milliseconds` pass, or less if something must not be.
    public mutating func run(for milliseconds: Int64, until done: (Self) -> Bool = { _ in false }) {
        let end = now + milliseconds
        while violation == nil, !done(self), let (time, happening) = queue.next(before: end) {
            now = max(now, time)
            perform(happening)
        }
        if violation == nil, !done(self) { now = end }
    }

    public mutating func accuse(_ what: String) { judge.accuse(what) }

    // MARK: - What happens

    private mutating func perform(_ happening: Happening) {
        switch happening {
        case .deliver(let index, let message):
            if postpone(happening, for: index) { return }
            nodes[index].feed.append(message)
            if nodes[index].feed.count > 2 * Self.feedLength { nodes[index].feed.removeFirst(Self.feedLength) }
            step(index, .message(message))
        case .timer(let index, let timer, let number):
            guard nodes[index].timers[timer] == number else { return }
            if !postpone(happening, for: index) { step(index, .timer(timer)) }
        case .head(let index):
            if !postpone(happening, for: index) { step(index, .head(chain.heads[nodes[index].height])) }
        case .ask(let index, let life, let question): answer(question, of: index, life: life)
        case .answer(let index, let life, let question, let answer):
            guard lives[index] == life else { return }
            if !postpone(happening, for: index) { step(index, .answer(question, answer)) }
        case .restart(let index): if nodes[index].machine == nil, !nodes[index].isDead { boot(index) }
        case .block:
            build()
            queue.add(.block, at: now + SimulatedChain.interval)
        case .faults:
            makeFaults()
            queue.add(.faults, at: now + 250)
        }
    }

    private mutating func postpone(_ happening: Happening, for index: Int) -> Bool {
        guard nodes[index].pausedUntil > now else { return false }
        queue.add(happening, at: nodes[index].pausedUntil)
        return true
    }

    mutating func boot(_ index: Int) {
        lives[index] += 1
        let checks = mutant == .certificateUnchecked ? SimulatedKeys.blindChecks : checks
        let configuration = ElectionConfiguration(
            own: nodes[index].id, seed: generator.next(), heartbeat: heartbeat, timeout: timeout, checks: checks)
        do {
            let election = try engine.init(configuration, stored: nodes[index].disk)
            nodes[index].machine = ConsensusMachine(own: nodes[index].id, election: election)
            note { "\($0.name(index)) starts in term \(election.leadership.term)" }
        } catch {
            return judge.accuse("\(name(index)) can't read what it stored: \(error)")
        }
        // Of a device that lost its power, gossip has lost that too.
        let feed = chance(500) ? nodes[index].feed : []
        step(index, .head(chain.heads[nodes[index].height]))
        for message in feed { queue.add(.deliver(to: index, message), at: now + 1) }
    }

    func localTime(_ index: Int) -> Int64 {
        nodes[index].offset + now * (1_000_000 + nodes[index].skew) / 1_000_000
    }

    /// Answers also as if it had not given its word yet, in private.
    private mutating func voteAgain(
        _ index: Int, _ kind: ConsensusEvent.Kind, _ before: ConsensusMachine, _ effects: [ConsensusEffect], now: Int64
    ) {
        func promises(_ effects: [ConsensusEffect]) -> Bool {
            effects.contains { if case .persist = $0 { true } else { false } }
        }
        if promises(effects) {
            nodes[index].forgetful = before
        } else if var other = nodes[index].forgetful {
            let answers = other.step(ConsensusEvent(now: now, kind))
            guard promises(answers) else { return }
            for case .publish(let publication) in answers where publication.to != nil {
                perform(.publish(publication), of: index)
            }
        }
    }

    mutating func step(_ index: Int, _ kind: ConsensusEvent.Kind) {
        var moment = localTime(index)
        if mutant == .expiredLeaseHonoured { moment = nodes[index].reignsSince ?? moment }
        guard let before = nodes[index].machine,
            let effects = nodes[index].machine?.step(ConsensusEvent(now: moment, kind))
        else { return }
        if mutant == .votesTwice, case .message = kind { voteAgain(index, kind, before, effects, now: moment) }
        for effect in effects {
            // Between any two effects the power may fail, and with a write under way it may be there or not.
            if faults.crash > 0, generator.next(below: 2_000) == 0 {
                if case .persist(let bytes) = effect, chance(500) { nodes[index].disk = bytes }
                crash(index)
            }
            guard nodes[index].machine != nil else { return }
            perform(effect, of: index)
        }
    }
}
