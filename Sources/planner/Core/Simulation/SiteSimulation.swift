import Contracts

/// What a simulated site is put through.
public struct SimulationTerms: Sendable {
    /// Nodes at the start, all of one size.
    public var nodes: Int
    public var strategy: any Strategy
    /// Plans see loads of so many blocks ago; with 0 they see what the chain does (``EffectiveLoad``).
    public var lag = 0
    /// Nodes that fail at the start of a block.
    public var failures: [(block: Int, node: Int)] = []
    /// So many nodes join at the start of a block.
    public var joins: [(block: Int, count: Int)] = []

    public init(nodes: Int, strategy: any Strategy) {
        self.nodes = nodes
        self.strategy = strategy
    }
}

/// The evaluation of the paper's section 6.2: a site of equal nodes under a workload, block by block, planned by the strategy
/// that real sites plan with, on the same ``SiteState``.
///
/// A block, in this order: failures and joins; completions (an app placed in block b with duration d ends at the start of block
/// b+d, moved or not); arrivals join a waiting line; while what runs or is queued and the head of the line need no more than nine tenths
/// of all nodes, the head is admitted to the queue; the plan; the row.
public struct SiteSimulation: Sendable {
    /// Milliseconds of block time from one block to the next.
    private static let interval: Int64 = 1_000
    /// A simulated node has this many thousandths of a core: so a ppm of a node is the unit in which a chain counts.
    private static let capacity: Int64 = 1_000_000

    private let terms: SimulationTerms
    private let workload: Workload
    private(set) var state: SiteState
    private var numbers: [NodeID: Int] = [:]
    private var loads: [Int64] = []
    /// Loads after earlier blocks, for plans that lag behind.
    private var past: [[Int64]] = []
    private var present: [Bool] = []
    /// Where apps run, and their numbers in ascending order.
    private var places: [Int: Int] = [:]
    private var running: [Int] = []
    private var ends: [Int: [Int]] = [:]
    /// The end that an app's first placement fixed.
    private var endOf: [Int: Int] = [:]
    /// The node that an app last moved away from.
    private var left: [Int: Int] = [:]
    private var head = 0
    private var tail = 0
    private var committed: Int64 = 0
    public private(set) var block = 0
    public private(set) var events: [SimulatedEvent] = []
    private var deviations: [Int] = []

    public init(_ terms: SimulationTerms, _ workload: Workload) {
        self.terms = terms
        self.workload = workload
        state = SiteState(
            genesis: Genesis(
                site: "simulated", operatorKey: .zero, parameters: SiteParameters(strategy: "paper"), members: []))
        for _ in 0..<terms.nodes { addNode() }
    }

    /// What the next block's plan is made of.
    public func stateBeforeNextPlan() -> SiteState {
        var copy = self
        _ = copy.prepare()
        return copy.state
    }

    /// Makes the next block.
    public mutating func next() -> (row: SimulatedBlock, steps: [SimulatedStep]) {
        var row = prepare()
        let basis: PlanningTerms.Basis = terms.lag > 0 ? .reports : .effective
        let plan = terms.strategy.plan(for: state, PlanningTerms(basis: basis, limit: .max / 8))
        let steps = carryOut(plan, &row)
        finish(&row)
        return (row, steps)
    }

    /// All of a block that comes before its plan.
    private mutating func prepare() -> SimulatedBlock {
        block += 1
        state.height = UInt64(block)
        state.time = Int64(block) * Self.interval
        var row = SimulatedBlock(block: block)
        disturb()
        complete(&row)
        arrive(&row)
        if terms.lag > 0 { report() }
        return row
    }

    // MARK: Nodes

    private mutating func addNode() {
        let number = loads.count
        // Keys ascend with numbers, so that the lowest key is the lowest number.
        var key = [UInt8](repeating: 0, count: NodeID.count)
        for place in 0..<4 { key[place] = UInt8(truncatingIfNeeded: (number + 1) >> (24 - 8 * place)) }
        let id = NodeID(unchecked: key)
        numbers[id] = number
        state.members.append(Member(id: id, name: "node-\(number)", vrf: .zero))
        state.nodes[id] = NodeRecord()
        loads.append(0)
        present.append(true)
        report(id, load: 0)
    }

    private mutating func report(_ id: NodeID, load: Int64) {
        let matrix = LoadMatrix(
            timestamp: 0, device: Score(cpu: Int(load)), apps: [], services: [],
            capacity: Capacity(
                cpuMillicores: Int(Self.capacity), ramBytes: 1 << 30, diskBytesPerSecond: 1 << 30,
                networkBytesPerSecond: 1 << 30),
            facts: Facts(
                architecture: "aarch64", kernel: "", engineVersion: "", storageDriver: "", checkpoints: true,
                pageSize: 4_096))
        let report = Report(name: "", gossipAddress: "", migratorAddress: "", vrf: .zero, load: matrix)
        let time = state.time
        state.nodes[id]?.take(report, base: Resources(), sequence: UInt64(block), at: time)
    }

    /// Lets every node report the load it had `lag` blocks ago.
    private mutating func report() {
        let old = past.count == terms.lag ? past.removeFirst() : []
        for (number, member) in state.members.enumerated() where present[number] {
            report(member.id, load: number < old.count ? old[number] : 0)
        }
    }

    private mutating func disturb() {
        for failure in terms.failures
        where failure.block == block && failure.node < loads.count && present[failure.node] {
            begin("node \(failure.node) fails")
            present[failure.node] = false
            loads[failure.node] = 0
            state.nodes[state.members[failure.node].id]?.absent = true
            for app in running where places[app] == failure.node {
                let name = Self.name(app)
                let time = state.time
                state.apps[name]?.requeue("its node failed", at: time)
                state.queue.append(name)
                places[app] = nil
            }
            running.removeAll { places[$0] == nil }
        }
        for join in terms.joins where join.block == block && join.count > 0 {
            begin(join.count == 1 ? "a node joins" : "\(join.count) nodes join")
            for _ in 0..<join.count { addNode() }
        }
    }

    private mutating func begin(_ what: String) {
        events.append(SimulatedEvent(block: block, what: what, calm: deviations.suffix(20).max() ?? 0))
    }

    // MARK: Apps

    /// Names ascend with numbers, so that the lowest name is the lowest number.
    private static func name(_ app: Int) -> String {
        let digits = String(app)
        return "app" + String(repeating: "0", count: 10 - digits.count) + digits
    }

    private static func number(_ name: String) -> Int { Int(name.dropFirst(3)) ?? 0 }

    private func demand(_ app: Int) -> Int64 { Int64(workload.arrivals[app].demand) }

    private mutating func complete(_ row: inout SimulatedBlock) {
        guard let ended = ends.removeValue(forKey: block) else { return }
        for app in ended {
            if let node = places.removeValue(forKey: app) { loads[node] -= demand(app) }
            let name = Self.name(app)
            if state.apps[name]?.phase == .pending { state.queue.removeAll { $0 == name } }
            state.apps[name] = nil
            endOf[app] = nil
            left[app] = nil
            committed -= demand(app)
        }
        row.completed = ended.count
        running.removeAll { places[$0] == nil }
    }

    private mutating func arrive(_ row: inout SimulatedBlock) {
        let before = tail
        while tail < workload.arrivals.count, workload.arrivals[tail].block == UInt32(block) { tail += 1 }
        row.arrived = tail - before
        let room = 900_000 * Int64(present.count { $0 })
        while head < tail, committed + demand(head) <= room {
            let specification = AppSpecification(name: Self.name(head), image: "simulated")
            var app = AppRecord(specification: specification, on: nil, since: state.time)
            app.demand = Resources(cpu: demand(head))
            state.apps[specification.name] = app
            state.queue.append(specification.name)
            committed += demand(head)
            head += 1
            row.admitted += 1
        }
    }

    /// Moves take no time here: what the plan says is so before the block ends.
    private mutating func carryOut(_ plan: Plan, _ row: inout SimulatedBlock) -> [SimulatedStep] {
        state.apply(plan)
        var steps: [SimulatedStep] = []
        for assignment in plan.assignments {
            let (app, to) = (Self.number(assignment.app), numbers[assignment.node] ?? 0)
            start(assignment.app)
            places[app] = to
            loads[to] += demand(app)
            let end = endOf[app] ?? block + Int(workload.arrivals[app].duration)
            if endOf.updateValue(end, forKey: app) == nil { ends[end, default: []].append(app) }
            steps.append(SimulatedStep(block: block, kind: .place, app: app, from: nil, to: to))
        }
        if !plan.assignments.isEmpty {
            running += plan.assignments.map { Self.number($0.app) }
            running.sort()
        }
        for move in plan.moves {
            let (app, from, to) = (Self.number(move.app), numbers[move.from] ?? 0, numbers[move.to] ?? 0)
            let time = state.time
            state.apps[move.app]?.arrive(at: time)
            start(move.app)
            places[app] = to
            loads[from] -= demand(app)
            loads[to] += demand(app)
            let isReturn = left.updateValue(from, forKey: app) == to
            row.moves += 1
            row.returns += isReturn ? 1 : 0
            row.movedPpm += Int(demand(app))
            steps.append(SimulatedStep(block: block, kind: isReturn ? .return : .move, app: app, from: from, to: to))
        }
        return steps
    }

    private mutating func start(_ name: String) {
        guard var app = state.apps[name] else { return }
        app.run(at: state.time)
        app.measured = app.incarnation
        state.apps[name] = app
    }

    private mutating func finish(_ row: inout SimulatedBlock) {
        row.waiting = tail - head
        row.pending = state.queue.count
        row.running = running.count
        row.measure(loads.indices.compactMap { present[$0] ? loads[$0] : nil })
        var hash = FNV64()
        for app in running {
            hash.add(UInt32(truncatingIfNeeded: app))
            hash.add(UInt32(truncatingIfNeeded: places[app] ?? 0))
        }
        row.assignFnv64 = hash.text
        if terms.lag > 0 { past.append(loads) }
        deviations.append(row.stdPpm)
        let homeless = state.queue.contains { endOf[Self.number($0)] != nil }
        for event in events.indices { events[event].see(row, homeless: homeless) }
    }
}

/// A failure or a join, and how long the site took to settle: until the standard deviation is not above its highest of the
/// twenty blocks before, and every app that lost its node has another one.
public struct SimulatedEvent: Codable, Sendable, Equatable {
    public var block: Int
    public var what: String
    /// The highest standard deviation of the twenty blocks before, ppm.
    public var calm: Int
    /// Blocks until settled, that of the event included; nil while it isn't.
    public var blocksUntilSettled: Int?

    mutating func see(_ row: SimulatedBlock, homeless: Bool) {
        guard blocksUntilSettled == nil, row.block >= block, row.stdPpm <= calm, !homeless else { return }
        blocksUntilSettled = row.block - block + 1
    }
}
