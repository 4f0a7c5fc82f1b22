import Contracts
import Machine
import Testing

@testable import PlannerCore

/// What ``BalanceStrategy`` promises, over many random sites of unequal devices.
@Suite struct BalanceStrategyTests {
    /// A site at rest: all apps run and are measured.
    private func site(_ random: inout SplitMix64) throws -> (chain: TestChain, state: SiteState) {
        let nodes = random.next(in: 1...10)
        var chain = TestChain(nodes: nodes)
        var reports: [SignedMessage] = []
        for index in 0..<nodes {
            chain.base[index] = random.next(in: 0...300_000)
            let pages = random.next(in: 0...4) == 0 ? 16_384 : 4_096
            if random.next(in: 0...9) == 0 {
                chain.facts[index] = .test
                chain.facts[index]?.checkpoints = false
            }
            reports.append(
                chain.report(
                    by: index, cores: random.next(in: 1...8), ramBytes: random.next(in: 1...8) << 30, pageSize: pages))
        }
        try chain.grow(reports: reports)
        var state = chain.state
        for number in 0..<random.next(in: 0...40) {
            var app = AppRecord(specification: .test("app\(number)"), on: nil, since: 0)
            app.phase = .running
            app.node = chain.id(random.next(in: 0...nodes - 1))
            app.incarnation = 1
            app.measured = 1
            app.demand = Resources(
                cpu: Int64(random.next(in: 0...1_500)), ram: Int64(random.next(in: 0...600)) << 20,
                disk: Int64(random.next(in: 0...1 << 28)), network: Int64(random.next(in: 0...1 << 28)))
            if random.next(in: 0...9) == 0 { app.exclude(chain.id(random.next(in: 0...nodes - 1)), until: .max) }
            state.apps["app\(number)"] = app
        }
        return (chain, state)
    }

    /// The potential as docs define it, in floating point and absolute units, apart from the strategy's own arithmetic.
    private func potential(_ state: SiteState) -> Double {
        let present = state.members.compactMap { state.nodes[$0.id]?.report?.load }
        func vector(_ resources: Resources) -> [Double] {
            [resources.cpu, resources.ram, resources.disk, resources.network].map(Double.init)
        }
        let capacities = present.map { vector(Resources($0.capacity)) }
        let averages = (0..<4).map { lane in capacities.map { $0[lane] }.reduce(0, +) / Double(present.count) }
        return zip(state.members, zip(present, capacities)).map { member, node in
            var load = vector(Resources(node.0.device, of: node.0.capacity))
            for app in state.apps.values where app.node == member.id {
                for (lane, amount) in vector(app.demand ?? Resources()).enumerated() { load[lane] += amount }
            }
            return (0..<4).map { lane in
                let amount = load[lane] * 1e6 / averages[lane]
                return amount * amount / (node.1[lane] / averages[lane])
            }.reduce(0, +)
        }.reduce(0, +)
    }

    /// Each plan's moves lower the potential by at least their price, nothing goes where it must not or doesn't fit, no app
    /// moves within its cool-down, and steady load comes to rest.
    @Test func movesPayAndEnd() throws {
        for seed in 0..<3_000 as Range<UInt64> {
            var random = SplitMix64(seed: seed)
            var (_, state) = try site(&random)
            let strategy = BalanceStrategy(
                SiteParameters(margin: Int64(random.next(in: 1...100_000)), coolDown: 5_000))
            let price = Double(strategy.price(nodes: state.members.count))
            var total = potential(state)
            var rest = 0
            var blocks = 0
            while rest < 6, blocks < 400 {
                blocks += 1
                let plan = strategy.plan(for: state)
                rest = plan.moves.isEmpty ? rest + 1 : 0
                try check(plan, state, seed)
                for move in plan.moves {
                    #expect(state.time - (state.apps[move.app]?.movedAt ?? 0) >= 5_000, "seed \(seed)")
                    state.apps[move.app]?.node = move.to
                    state.apps[move.app]?.movedAt = state.time
                }
                let after = potential(state)
                // The strategy counts in whole ppm: what rounding may take is a millionth of the total.
                let paid = plan.moves.reduce(0) { $0 + price * priceFactor($1.app, state) }
                #expect(after <= total - paid + total * 1e-4 + 1, "seed \(seed)")
                total = after
                state.time += 1_000
            }
            #expect(rest == 6, "seed \(seed) does not come to rest")
            if rest < 6 { return }
        }
    }

    /// What an app's size makes of a move's price.
    private func priceFactor(_ name: String, _ state: SiteState) -> Double {
        let demand = state.apps[name]?.demand ?? Resources()
        let present = state.members.compactMap { state.nodes[$0.id]?.report?.load.capacity }.map { Resources($0) }
        func share(_ amount: (Resources) -> Int64) -> Double {
            Double(amount(demand)) * Double(present.count) / present.reduce(0) { $0 + Double(amount($1)) }
        }
        let size = [share(\.cpu), share(\.ram), share(\.disk), share(\.network)].max() ?? 0
        return min(1, max(0.02, size / 0.05)) * 0.999
    }

    private func check(_ plan: Plan, _ state: SiteState, _ seed: UInt64) throws {
        #expect(Set(plan.moves.map(\.app)).count == plan.moves.count, "seed \(seed)")
        var after = state
        for move in plan.moves {
            let app = try #require(state.apps[move.app])
            #expect(app.node == move.from && move.from != move.to, "seed \(seed)")
            #expect(!app.excludes(move.to, at: state.time), "seed \(seed)")
            let ends = [move.from, move.to].map { state.nodes[$0]?.report?.load.facts ?? .test }
            #expect(Feasibility.canRestore(ends[0], ends[1]), "seed \(seed)")
            after.apps[move.app]?.node = move.to
        }
        let takers = Dictionary(grouping: plan.moves.flatMap { [$0.from, $0.to] }) { $0 }
        #expect(takers.values.allSatisfy { $0.count <= Census.movesPerNode }, "seed \(seed)")
        let (old, new) = (Census(state, PlanningTerms(), coolDown: 0), Census(after, PlanningTerms(), coolDown: 0))
        for (before, node) in zip(old.nodes, new.nodes) where node.share > 1_000_000 {
            #expect(node.share <= before.share, "seed \(seed): a node is filled above its capacity")
        }
    }

    @Test func thePlanDoesNotDependOnTheOrderInWhichAppsAreKept() throws {
        for seed in 0..<500 as Range<UInt64> {
            var random = SplitMix64(seed: seed)
            var (_, state) = try site(&random)
            for number in 0..<random.next(in: 0...6) {
                state.apps["new\(number)"] = AppRecord(specification: .test("new\(number)"), on: nil, since: 0)
                state.queue.append("new\(number)")
            }
            var other = state
            other.apps = [:]
            for app in state.apps.ascending.reversed() { other.apps[app.name] = app }
            #expect(other == state && (other.apps.count < 2 || other.apps.values != state.apps.values))
            #expect(BalanceStrategy().plan(for: state) == BalanceStrategy().plan(for: other), "seed \(seed)")
        }
    }

    @Test func queuedAppsAreOnlyPlacedWhereTheyFit() throws {
        var chain = TestChain(nodes: 3)
        chain.base = [0: 950_000, 1: 400_000, 2: 970_000]
        try chain.grow(reports: chain.reports())
        try chain.grow([.submit(["a", "b", "c"].map { SubmittedApp(specification: .test($0), on: nil) })])
        for name in ["a", "b", "c"] { chain.state.apps[name]?.demand = Resources(cpu: name == "a" ? 1_000 : 600) }
        let plan = BalanceStrategy().plan(for: chain.state)
        // The largest takes the only room; the others wait, with the processor of two cores at 95, 90 and 97 percent.
        #expect(plan.assignments == [Assignment(app: "a", node: chain.id(1))])
        #expect(plan.moves == [])
    }

    @Test func theLargestThreeOfFourAppsMoveDespiteNoise() throws {
        for seed in 0..<AgreementSimulationTests.seeds {
            var world = try PaperStrategyTests.World(nodes: 4, seed: seed, parameters: SiteParameters())
            world.noise = 50
            world.baseLoad = 10_000...30_000
            try world.start([("d", 250, 0), ("a", 400, 0), ("c", 300, 0), ("b", 350, 0)])
            for _ in 0..<60 { try world.next() }
            #expect(world.moves.count == 3, "seed \(seed): \(world.moves.map(\.app))")
            #expect(Set(world.moves.map(\.to)).count == 3, "seed \(seed)")
            if world.moves.count != 3 { return }
        }
    }

    /// What else runs on a device jumps about on single samples; that must not send an app round the site.
    @Test func noiseBesideTheAppsMovesNothing() throws {
        for seed in 0..<AgreementSimulationTests.seeds {
            var world = try PaperStrategyTests.World(
                nodes: 4, seed: seed,
                parameters: SiteParameters(strategy: BalanceStrategy.name, coolDown: 5_000))
            world.noise = 50
            world.baseLoad = 0...100_000
            for _ in 0..<20 { try world.next() }
            try world.start([("a", 300, 0), ("b", 200, 1)])
            for _ in 0..<200 { try world.next() }
            // An app that moved once a cool-down would have done so forty times.
            #expect(world.moves.count <= 1, "seed \(seed): \(world.moves.count) moves")
        }
    }

    /// Plans until nothing moves; what each node's processor then carries, in hundredths.
    private func settle(_ state: inout SiteState) -> [NodeID: Int64] {
        let strategy = BalanceStrategy(SiteParameters(coolDown: 0))
        for _ in 0..<40 {
            let plan = strategy.plan(for: state)
            if plan.moves.isEmpty { break }
            for move in plan.moves { state.apps[move.app]?.node = move.to }
            state.time += 1_000
        }
        return state.nodes.reduce(into: [:]) { loads, node in
            let base = node.value.steadyBase?.mean.cpu ?? 0
            let apps = state.apps.values.filter { $0.node == node.key }.reduce(base) { $0 + ($1.demand?.cpu ?? 0) }
            loads[node.key] = apps * 100 / Int64(node.value.report?.load.capacity.cpuMillicores ?? 1)
        }
    }

    private func add(
        _ name: String, to state: inout SiteState, on node: NodeID, _ demand: Resources, label: String? = nil
    ) {
        var specification = AppSpecification.test(name)
        if let label { specification.constraints = [PlacementConstraint(.label(label), "1")] }
        var app = AppRecord(specification: specification, on: nil, since: 0)
        (app.phase, app.node, app.incarnation, app.measured, app.demand) = (.running, node, 1, 1, demand)
        state.apps[name] = app
    }

    /// A device is short of memory sooner than of processor; that must not hide how unevenly the processors are loaded.
    @Test(arguments: [0, 300_000, 600_000, 800_000]) func aFullMemoryHidesNoProcessor(ram: Int) throws {
        var chain = TestChain(nodes: 4)
        try chain.grow(reports: (0..<4).map { chain.report(by: $0, ram: ram) })
        for number in 0..<8 {
            add("a\(number)", to: &chain.state, on: chain.id(0), Resources(cpu: 200, ram: 1 << 20))
        }
        #expect(settle(&chain.state).values.allSatisfy { (10...30).contains($0) })
    }

    /// However many idle nodes may not run them.
    @Test func nodesThatMayNotRunAnAppHideNoneThatMay() throws {
        var chain = TestChain(nodes: 30)
        for index in [3, 17] {
            chain.facts[index] = .test
            chain.facts[index]?.labels = ["gpu": "1"]
        }
        try chain.grow(reports: (0..<30).map { chain.report(by: $0) })
        for number in 0..<8 {
            add("a\(number)", to: &chain.state, on: chain.id(3), Resources(cpu: 200), label: "gpu")
        }
        let loads = settle(&chain.state)
        for index in [3, 17] { #expect((30...50).contains(loads[chain.id(index)] ?? 0), "\(loads)") }
    }

    /// The same app is worth moving over a quick network and not over a slow one.
    @Test func aSlowNetworkMakesMovesDearer() throws {
        var chain = TestChain(nodes: 2)
        try chain.grow(reports: [chain.report(by: 0), chain.report(by: 1)])
        for name in ["a", "b"] {
            add(name, to: &chain.state, on: chain.id(0), Resources(cpu: 200, ram: 100 << 20))
        }
        func moves(bytesPerSecond: Int64) -> Int {
            var state = chain.state
            for node in chain.keys.map(\.nodeID) {
                state.nodes[node]?.take(Shipment(bytes: bytesPerSecond, milliseconds: 1_000))
            }
            return BalanceStrategy().plan(for: state).moves.count
        }
        #expect(moves(bytesPerSecond: 100_000_000) == 1)
        #expect(moves(bytesPerSecond: 100_000) == 0)
    }

    @Test func memoryCountsAtBothEndsOfAMove() throws {
        var chain = TestChain(nodes: 2)
        try chain.grow(reports: [chain.report(by: 0, ramBytes: 1 << 30), chain.report(by: 1, ramBytes: 1 << 30)])
        for (name, node, megabytes) in [("here", 0, 700), ("there", 1, 600)] {
            try chain.run(name, on: node)
            chain.state.apps[name]?.demand = Resources(cpu: name == "here" ? 1_800 : 200, ram: Int64(megabytes) << 20)
            let incarnation = chain.state.apps[name]?.incarnation ?? 0
            chain.state.apps[name]?.measured = incarnation
        }
        // An exchange would level nothing and fit nowhere while both copies exist.
        #expect(BalanceStrategy(SiteParameters(margin: 1)).plan(for: chain.state).moves == [])
    }
}
