import Contracts

/// The four resources in one vector: processor, memory, disk, network. Of apps and loads each lane is in parts per million
/// of the site's average device, so that an app's need is the same number wherever it runs.
typealias Amounts = SIMD4<Int64>

/// A state in numbers, as ``BalanceStrategy`` weighs it: present nodes in ascending order of key, and the apps on them.
struct Census {
    /// An amount is bounded to this (64 average devices), so that products stay within 64 bits.
    static let amountLimit: Int64 = 1 << 26
    /// Moves in which a device takes part at once: one that arrives and one that leaves.
    static let movesPerNode = 2

    struct Node {
        let id: NodeID
        /// What it will carry once the moves under way have ended.
        var load: Amounts
        /// Memory that is taken until then: an app on its way counts at both ends.
        var heldMemory: Int64
        let capacity: Amounts
        /// 2^20 times a million over the capacity: multiplication in place of division.
        let inverse: Amounts
        /// Nodes of one kind can restore each other's checkpoints. Those without checkpoints are each of a kind of its own.
        let kind: Int
        /// Bytes a second at which moves come to it, as the last ones have shown; before the first, what its link has to spare.
        let bandwidth: Int64
        /// How far what it carries beside the apps may be from what is taken for it: half of how far its samples are, on average.
        let doubt: Amounts
        /// Moves that it can still take part in.
        var slots = Census.movesPerNode

        /// The share of each resource that `amounts` would take, ppm.
        func shares(of amounts: Amounts) -> Amounts { (amounts &* inverse) &>> 20 }

        /// The dominant share (Ghodsi et al., "Dominant Resource Fairness", NSDI 2011, section 4): the largest of the four, ppm.
        var share: Int64 { shares(of: load).max() }

        /// What this node would add to the site's potential under `load`: the sum over the resources of amount times share.
        /// Among equal devices the sum of the squares of the shares, ppm².
        func potential(_ load: Amounts) -> Int64 { (load &* shares(of: load)).wrappedSum() }

        /// Where it stands among others: the sum of the squares of its shares, ppm².
        var weight: Int64 {
            let shares = shares(of: load)
            return (shares &* shares).wrappedSum()
        }
    }

    struct App {
        let name: String
        let demand: Amounts
        /// Bytes to ship.
        let memory: Int64
        /// Its node when the plan begins; nil if it is queued.
        let origin: Int?
        /// Whether the plan may move it.
        let isFree: Bool
        /// Nodes that must not be asked because they have refused it.
        let barred: [Int]
        /// Where ``Census/rules`` says which nodes may run it; nil if all may.
        let rule: Int?
        /// Of a queued app, the only node that may be given it, as its volumes are there: nil if there is none, -1 if it isn't
        /// present.
        let home: Int?
        var node: Int
        /// Its largest demand, ppm of an average device.
        let size: Int64

        init(
            _ name: String, demand: Amounts, memory: Int64, origin: Int?, isFree: Bool, barred: [Int], rule: Int?,
            home: Int?
        ) {
            self.name = name
            self.demand = demand
            self.memory = memory
            self.origin = origin
            self.isFree = isFree
            self.barred = barred
            self.rule = rule
            self.home = home
            node = origin ?? -1
            size = demand.max()
        }
    }

    private(set) var nodes: [Node] = []
    /// How many kinds of nodes there are.
    private(set) var kinds = 0
    var apps: [App] = []
    /// By the rule's and the node's number, whether the node may run the apps of the rule. Apps with the same constraints and
    /// devices share one; there is none for those without.
    private var rules: [[Bool]] = []
    private var ruleNumbers: [[UInt8]: Int] = [:]
    private let index: [NodeID: Int]
    private let averages: Amounts

    /// - Parameter coolDown: milliseconds of block time for which an app is left alone after a move.
    init(_ state: SiteState, _ terms: PlanningTerms, coolDown: Int64) {
        let reports = state.members.compactMap { member -> (NodeID, LoadMatrix)? in
            guard let record = state.nodes[member.id], record.isPresent, let load = record.report?.load else {
                return nil
            }
            return (member.id, load)
        }
        index = Dictionary(uniqueKeysWithValues: reports.enumerated().map { ($1.0, $0) })
        averages = Self.average(reports.map { Amounts(Resources($0.1.capacity)) })
        var numbers: [Feasibility.Kind: Int] = [:]
        for (id, load) in reports {
            let kind = Feasibility.Kind(load.facts)
            let number = kind.flatMap { numbers[$0] } ?? kinds
            if number == kinds { kinds += 1 }
            if let kind { numbers[kind] = number }
            nodes.append(node(id, load, kind: number, state, terms.basis))
        }
        apps.reserveCapacity(state.apps.count)
        let records = state.apps.values
        for place in records.indices where records[place].phase.isPlaced {
            add(records[place], state, terms.basis, coolDown)
        }
    }

    private static func average(_ capacities: [Amounts]) -> Amounts {
        var sums: [Int128] = [0, 0, 0, 0]
        for capacity in capacities { for lane in 0..<4 { sums[lane] += Int128(capacity[lane]) } }
        let count = Int128(max(1, capacities.count))
        var average = Amounts()
        for lane in 0..<4 { average[lane] = max(1, Int64(sums[lane] / count)) }
        return average
    }

    /// Absolute amounts in ppm of the average device.
    private func normalised(_ resources: Resources) -> Amounts {
        var result = Amounts(resources)
        for lane in 0..<4 where result[lane] != 0 {
            let ppm = result[lane].multipliedFullWidth(by: 1_000_000)
            let isSmall = ppm.high < averages[lane] / 2 && ppm.high >= 0
            let quotient = isSmall ? averages[lane].dividingFullWidth(ppm).quotient : Self.amountLimit
            result[lane] = min(Self.amountLimit, max(0, quotient))
        }
        return result
    }

    private func node(
        _ id: NodeID, _ matrix: LoadMatrix, kind: Int, _ state: SiteState, _ basis: PlanningTerms.Basis
    ) -> Node {
        // A device is worth at least a 64th of the average, so that products stay within 64 bits.
        let capacity = normalised(Resources(matrix.capacity)).replacing(lessThan: 15_625)
        let shown = Resources(matrix.device, of: matrix.capacity)
        let rest = basis == .effective ? state.nodes[id]?.steadyBase?.mean ?? shown : shown
        let load = normalised(rest)
        let link = Int64(matrix.capacity.networkBytesPerSecond)
        return Node(
            id: id, load: load, heldMemory: load[1], capacity: capacity,
            inverse: Amounts(repeating: 1_000_000 << 20) / capacity, kind: kind,
            bandwidth: state.nodes[id]?.measuredBandwidth ?? max(1, max(link / 100, link - rest.network)),
            doubt: (state.nodes[id]?.steadyBase).map { normalised($0.deviation) / 2 } ?? Amounts())
    }

    private mutating func add(
        _ app: AppRecord, _ state: SiteState, _ basis: PlanningTerms.Basis, _ coolDown: Int64
    ) {
        guard let number = number(app, at: app.move?.to ?? app.node, state, coolDown) else {
            if let source = app.node.flatMap({ index[$0] }) { nodes[source].slots -= app.move == nil ? 0 : 1 }
            return
        }
        let demand = apps[number].demand
        let node = apps[number].node
        if basis == .effective {
            nodes[node].load &+= demand
            nodes[node].heldMemory += demand[1]
        }
        guard app.move != nil else { return }
        nodes[node].slots -= 1
        if let source = app.node.flatMap({ index[$0] }) {
            nodes[source].slots -= 1
            nodes[source].heldMemory += demand[1]
        }
    }

    /// Enters an app that is on `node`, or comes there, among ``apps``.
    private mutating func number(
        _ app: AppRecord, at node: NodeID?, _ state: SiteState, _ coolDown: Int64
    ) -> Int? {
        guard let node = node.flatMap({ index[$0] }) else { return nil }
        let isKnown = app.measured == app.incarnation || state.time - app.since >= PaperStrategy.patience
        let hasRested = app.movedAt == 0 || state.time - app.movedAt >= coolDown
        enter(
            app, state, origin: node,
            isFree: app.phase == .running && app.movesLive && isKnown && hasRested)
        return apps.count - 1
    }

    /// Enters a queued app, which is on no node yet.
    /// - Returns: its number.
    mutating func enter(queued app: AppRecord, _ state: SiteState) -> Int {
        enter(app, state, origin: nil, isFree: true)
        return apps.count - 1
    }

    private mutating func enter(_ app: AppRecord, _ state: SiteState, origin: Int?, isFree: Bool) {
        let demand = app.steadyDemand ?? app.demand ?? Resources(cpu: state.parameters.declaredDemand)
        let barred =
            app.exclusions.isEmpty ? [] : app.exclusions.filter { $0.until > state.time }.compactMap { index[$0.node] }
        let isBound = isFree && !app.mayRunAnywhere
        apps.append(
            App(
                app.name, demand: normalised(demand), memory: demand.ram, origin: origin, isFree: isFree,
                barred: barred,
                rule: isBound ? rule(for: app.specification, state) : nil,
                home: origin == nil ? app.home.map { index[$0] ?? -1 } : nil))
    }

    private mutating func rule(for app: AppSpecification, _ state: SiteState) -> Int {
        var writer = ByteWriter()
        writer.list(app.constraints)
        writer.list(app.devices)
        if let known = ruleNumbers[writer.bytes] { return known }
        ruleNumbers[writer.bytes] = rules.count
        rules.append(nodes.map { state.obstacle(to: app, on: $0.id) == nil })
        return rules.count - 1
    }

    /// Whether a node may get the app: it may run it, has not refused it lately, and can restore what runs elsewhere.
    func admits(_ node: Int, _ app: Int) -> Bool {
        if let home = apps[app].home, home != node { return false }
        if let rule = apps[app].rule, !rules[rule][node] { return false }
        if let origin = apps[app].origin, nodes[origin].kind != nodes[node].kind { return false }
        return !apps[app].barred.contains(node)
    }

    /// Whether any present node may run the app, now or when it is asked again.
    func isPlaceable(_ app: Int) -> Bool {
        if let home = apps[app].home { return home >= 0 && apps[app].rule.map { rules[$0][home] } ?? true }
        return apps[app].rule.map { rules[$0].contains(true) } ?? true
    }

    /// The number of a present node.
    func number(of node: NodeID) -> Int? { index[node] }

    /// Puts an app onto a node, off the one that it is on. The caller keeps account of slots.
    mutating func put(_ app: Int, on node: Int) {
        let demand = apps[app].demand
        let old = apps[app].node
        if old >= 0 {
            nodes[old].load &-= demand
            // The memory of an app that moves is free only once the move has ended.
            if old != apps[app].origin { nodes[old].heldMemory -= demand[1] }
        }
        nodes[node].load &+= demand
        if node != apps[app].origin { nodes[node].heldMemory += demand[1] }
        apps[app].node = node
    }

    mutating func take(slots: Int, of node: Int) { nodes[node].slots -= slots }
}

extension Amounts {
    fileprivate init(_ resources: Resources) {
        self.init(resources.cpu, resources.ram, resources.disk, resources.network)
    }

    fileprivate func replacing(lessThan least: Int64) -> Amounts {
        let floor = Amounts(repeating: least)
        return replacing(with: floor, where: self .< floor)
    }
}
