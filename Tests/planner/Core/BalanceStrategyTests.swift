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
            }.max() ?? 0
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
                #expect(after <= total - price * Double(plan.moves.count) + total * 1e-4 + 1, "seed \(seed)")
                total = after
                state.time += 1_000
            }
            #expect(rest == 6, "seed \(seed) does not come to rest")
            if rest < 6 { return }
        }
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
            var world = try PaperStrategyTests.World(nodes: 4, seed: seed, strategy: BalanceStrategy.name)
            world.noise = 50
            world.baseLoad = 10_000...30_000
            try world.start([("d", 250, 0), ("a", 400, 0), ("c", 300, 0), ("b", 350, 0)])
            for _ in 0..<60 { try world.next() }
            #expect(world.moves.count == 3, "seed \(seed): \(world.moves.map(\.app))")
            #expect(Set(world.moves.map(\.to)).count == 3, "seed \(seed)")
            if world.moves.count != 3 { return }
        }
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
