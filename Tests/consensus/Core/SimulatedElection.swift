import ConsensusCore
import Contracts
import Machine

@testable import struct ConsensusCore.RaftElection
@testable import enum ConsensusCore.RaftMessage

/// What goes wrong in a simulated election, as chances out of 1000.
struct Faults {
    var loss = 0
    var duplication = 0
    /// Milliseconds that a message takes.
    var delay: ClosedRange<Int> = 1...20
    /// Each, at each quarter of a second.
    var crash = 0
    var partition = 0
    var pause = 0
    var blame = 0
    /// How far a node's clock may run fast or slow, in parts per million.
    var skew = 0

    static let none = Faults()
    static let all = Faults(
        loss: 80, duplication: 50, delay: 1...400, crash: 60, partition: 60, pause: 30, blame: 20, skew: 100_000)
}

/// How a node is broken on purpose, to show that the judge sees it.
enum Mutant {
    /// The disk acknowledges writes and forgets them all at a crash.
    case forgetsRecord
    /// Says yes to every vote request, however it voted before.
    case grantsEveryVote
}

/// A site of nodes on a simulated network, with simulated disks and clocks. One seed gives one history.
struct SimulatedElection {
    struct Node {
        var id: NodeID
        var machine: ConsensusMachine?
        var disk: [UInt8]?
        var timers: [ElectionTimer: UInt64] = [:]
        /// Local time = offset + global time × (1,000,000 + skew) / 1,000,000.
        var offset: Int64
        var skew: Int64
        /// Until when the process gets no processor time; what comes meanwhile waits.
        var pausedUntil: Int64 = 0
        var height: UInt64 = 1
    }

    enum Happening {
        case deliver(to: Int, SignedMessage)
        case timer(node: Int, ElectionTimer, UInt64)
        case restart(node: Int)
        case faults
    }

    static let genesis = Digest(unchecked: [UInt8](repeating: 7, count: 32))

    var nodes: [Node]
    var faults: Faults
    var mutant: Mutant?
    var generator: SplitMix64
    var now: Int64 = 0
    var group: [Int]
    /// Who won which term, in anybody's eyes.
    var winners: [UInt64: NodeID] = [:]
    var violation: String?
    var elections = 0
    var transcript: [String]?
    private var queue = Agenda<Happening>()
    private var timerCount: UInt64 = 0
    private let heartbeat: Int64 = 250
    private let timeout: Int64 = 1_000

    init(seed: UInt64, count: Int, faults: Faults, mutant: Mutant? = nil, transcribed: Bool = false) throws {
        generator = SplitMix64(seed: seed)
        self.faults = faults
        self.mutant = mutant
        group = [Int](repeating: 0, count: count)
        transcript = transcribed ? [] : nil
        nodes = []
        for index in 0..<count {
            let id = NodeID(unchecked: [UInt8](repeating: UInt8(index + 1), count: 32))
            let skew = Int64(generator.next(in: -faults.skew...faults.skew))
            nodes.append(Node(id: id, offset: Int64(generator.next(in: 0...1_000_000)), skew: skew))
        }
        for index in nodes.indices { try boot(index) }
        queue.add(.faults, at: 250)
    }

    var head: SiteHead {
        SiteHead(
            genesis: Self.genesis, site: .zero, height: 1, term: 0, seed: .zero, epochSeed: .zero,
            members: nodes.map { Voter(id: $0.id, vrf: .zero) })
    }

    /// Whom every node acknowledges; nil if they differ, one is down or none leads.
    var agreedLeadership: Leadership? {
        let all = nodes.map { $0.machine?.leadership }
        guard let first = all.first ?? nil, first.leader != nil, all.allSatisfy({ $0 == first }) else { return nil }
        return first
    }

    /// Whom a quorum acknowledges, and nobody another: who has disowned a leader acknowledges none.
    var quorumLeadership: Leadership? {
        let led = nodes.compactMap { $0.machine?.leadership }.filter { $0.leader != nil }
        guard let first = led.first, led.count >= head.quorum, led.allSatisfy({ $0 == first }) else { return nil }
        return first
    }

    /// Lets `milliseconds` pass, or less if something must not be.
    mutating func run(for milliseconds: Int64, until done: (Self) -> Bool = { _ in false }) throws {
        let end = now + milliseconds
        while violation == nil, !done(self), let (time, happening) = queue.next(before: end) {
            now = max(now, time)
            try perform(happening)
        }
        if violation == nil, !done(self) { now = end }
    }

    /// No more faults: everybody up, connected, and no message lost.
    mutating func heal() throws {
        faults = Faults(delay: 1...20, skew: faults.skew)
        group = group.map { _ in 0 }
        for index in nodes.indices {
            nodes[index].pausedUntil = 0
            if nodes[index].machine == nil { try boot(index) }
        }
    }

    // MARK: - What happens

    private mutating func perform(_ happening: Happening) throws {
        switch happening {
        case .deliver(let index, let message):
            if postpone(happening, for: index) { return }
            step(index, .message(message))
        case .timer(let index, let timer, let number):
            guard nodes[index].timers[timer] == number else { return }
            if postpone(happening, for: index) { return }
            step(index, .timer(timer))
        case .restart(let index): if nodes[index].machine == nil { try boot(index) }
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

    private mutating func makeFaults() {
        if chance(faults.partition) {
            let count = generator.next(in: 1...2)
            group = group.map { _ in generator.next(in: 0...count) }
        } else if chance(faults.partition * 2) {
            group = group.map { _ in 0 }
        }
        for index in nodes.indices {
            if chance(faults.crash) { crash(index) }
            if chance(faults.pause) { nodes[index].pausedUntil = now + Int64(generator.next(in: 100...4_000)) }
            if chance(faults.blame), let machine = nodes[index].machine, let leader = machine.leadership.leader {
                for _ in 0..<2 {
                    nodes[index].height += 1
                    step(
                        index,
                        .blame(Blame(leader: leader, term: machine.leadership.term, height: nodes[index].height)))
                }
            }
        }
    }

    mutating func crash(_ index: Int) {
        guard nodes[index].machine != nil else { return }
        note { "\($0.name(index)) crashes" }
        nodes[index].machine = nil
        nodes[index].timers = [:]
        if mutant == .forgetsRecord { nodes[index].disk = nil }
        queue.add(.restart(node: index), at: now + Int64(generator.next(in: 1...3_000)))
    }

    private mutating func boot(_ index: Int) throws {
        let configuration = ElectionConfiguration(
            own: nodes[index].id, seed: generator.next(), heartbeat: heartbeat, timeout: timeout)
        let election = try RaftElection(configuration, stored: nodes[index].disk)
        nodes[index].machine = ConsensusMachine(own: nodes[index].id, election: election)
        note { "\($0.name(index)) starts in term \(election.leadership.term)" }
        let first = head
        step(index, .head(first))
    }

    func localTime(_ index: Int) -> Int64 {
        nodes[index].offset + now * (1_000_000 + nodes[index].skew) / 1_000_000
    }

    mutating func step(_ index: Int, _ kind: ConsensusEvent.Kind) {
        let event = ConsensusEvent(now: localTime(index), kind)
        guard let effects = nodes[index].machine?.step(event) else { return }
        for effect in effects {
            // Between any two effects the power may fail.
            if faults.crash > 0, generator.next(below: 2_000) == 0 { crash(index) }
            guard nodes[index].machine != nil else { return }
            perform(effect, of: index)
        }
    }

    private mutating func perform(_ effect: ConsensusEffect, of index: Int) {
        switch effect {
        case .persist(let bytes): nodes[index].disk = bytes
        case .publish(let publication): publish(publication, from: index)
        case .setTimer(let timer, let delay):
            timerCount += 1
            nodes[index].timers[timer] = timerCount
            // Rounded up: a timer never comes early.
            let global = delay * 1_000_000 / (1_000_000 + nodes[index].skew) + 1
            queue.add(.timer(node: index, timer, timerCount), at: now + global)
        case .cancelTimer(let timer): nodes[index].timers[timer] = nil
        case .leadership(let leadership):
            judge(leadership)
            note { "\($0.name(index)) acknowledges \($0.name(leadership.leader)) in term \(leadership.term)" }
        case .count(.stood): elections += 1
        case .count, .log: break
        }
    }

    /// At most one leader a term.
    private mutating func judge(_ leadership: Leadership) {
        guard let leader = leadership.leader else { return }
        if let winner = winners[leadership.term], winner != leader {
            violation = "term \(leadership.term) was won by both \(winner.short) and \(leader.short)"
        }
        winners[leadership.term] = leader
    }

    private mutating func publish(_ publication: Publication, from index: Int) {
        var payload = publication.payload.bytes
        if mutant == .grantsEveryVote { payload = Self.granting(payload) }
        let message = SignedMessage(
            kind: .election, sender: nodes[index].id, sequence: 0, payload: payload, signature: .zero)
        note { "\($0.name(index)) → \(publication.to.map($0.name) ?? "all"): \(Self.text(payload))" }
        for target in nodes.indices where publication.to == nil || nodes[target].id == publication.to {
            let copies = target == index ? 1 : chance(faults.loss) ? 0 : chance(faults.duplication) ? 2 : 1
            guard group[target] == group[index] else { continue }
            for _ in 0..<copies {
                queue.add(.deliver(to: target, message), at: now + Int64(generator.next(in: faults.delay)))
            }
        }
    }

    static func granting(_ payload: [UInt8]) -> [UInt8] {
        guard var envelope = try? ElectionEnvelope(encoded: payload),
            case .voteReply(let term, false) = try? RaftMessage(encoded: envelope.body)
        else { return payload }
        envelope.body = RaftMessage.voteReply(term: term, granted: true).encoded
        return envelope.encoded
    }

    // MARK: - Words

    private static func text(_ payload: [UInt8]) -> String {
        guard let envelope = try? ElectionEnvelope(encoded: payload),
            let message = try? RaftMessage(encoded: envelope.body)
        else { return "\(payload.count) bytes" }
        return switch message {
        case .preVoteRequest(let term, let height): "would you vote for me in term \(term)? my chain is at \(height)"
        case .preVoteReply(let term, true, _): "I would, in term \(term)"
        case .preVoteReply(let term, false, let current): "I would not, in term \(term); mine is \(current)"
        case .voteRequest(let term, let height): "vote for me in term \(term)! my chain is at \(height)"
        case .voteReply(let term, true): "my vote of term \(term)"
        case .voteReply(let term, false): "not my vote; my term is \(term)"
        case .heartbeat(let term): "I lead in term \(term)"
        case .heartbeatReply(let term): "my term is \(term)"
        }
    }

    func name(_ index: Int) -> String { "pi\(index + 1)" }

    func name(_ id: NodeID?) -> String { nodes.firstIndex { $0.id == id }.map(name) ?? "nobody" }

    mutating func note(_ text: (Self) -> String) {
        guard transcript != nil else { return }
        let time = String(now)
        let line = String(repeating: " ", count: max(0, 5 - time.count)) + time + "  " + text(self)
        transcript?.append(line)
    }

    private mutating func chance(_ perMille: Int) -> Bool { perMille > 0 && generator.next(below: 1_000) < perMille }
}

/// Things to come, in order of time and, within a millisecond, of having been added: a binary heap.
struct Agenda<Entry> {
    private var heap: [(time: Int64, number: UInt64, entry: Entry)] = []
    private var count: UInt64 = 0

    mutating func add(_ entry: Entry, at time: Int64) {
        count += 1
        heap.append((time, count, entry))
        var child = heap.count - 1
        while child > 0, isBefore(child, (child - 1) / 2) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    /// Takes the first entry if it is due before `end`.
    mutating func next(before end: Int64) -> (Int64, Entry)? {
        guard let first = heap.first, first.time < end else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && isBefore(child, least) {
                least = child
            }
            guard least != parent else { return (first.time, first.entry) }
            heap.swapAt(parent, least)
            parent = least
        }
    }

    private func isBefore(_ a: Int, _ b: Int) -> Bool {
        heap[a].time != heap[b].time ? heap[a].time < heap[b].time : heap[a].number < heap[b].number
    }
}
