import Contracts
import Machine
import Testing

@testable import PlannerCore

/// Both strategies over random sites whose apps ask something of their nodes.
@Suite struct ConstrainedSiteTests {
    private struct World {
        var random: SplitMix64
        var chain: TestChain
        var state: SiteState

        init(seed: UInt64, strategy: String) throws {
            random = SplitMix64(seed: seed)
            let nodes = random.next(in: 1...9)
            chain = TestChain(nodes: nodes, parameters: SiteParameters(strategy: strategy, absentAfter: 15_000))
            var reports: [SignedMessage] = []
            for index in 0..<nodes {
                chain.base[index] = random.next(in: 0...400_000)
                chain.facts[index] = Self.facts(&random)
                reports.append(chain.report(by: index, cores: random.next(in: 1...4)))
            }
            try chain.grow(reports: reports)
            state = chain.state
            for number in 0..<random.next(in: 0...30) { add(number) }
        }

        static func facts(_ random: inout SplitMix64) -> Facts {
            var facts = Facts.test
            if random.next(in: 0...4) == 0 { facts.architecture = "x86_64" }
            if random.next(in: 0...5) == 0 { facts.checkpoints = false }
            if random.next(in: 0...7) == 0 { facts.storageDriver = "btrfs" }
            if random.next(in: 0...2) > 0 { facts.labels["floor"] = "\(random.next(in: 1...3))" }
            if random.next(in: 0...1) == 0 { facts.labels["camera"] = "" }
            if random.next(in: 0...1) == 0 { facts.devices = ["/dev/i2c-1"] }
            return facts
        }

        /// An app that is queued, or runs anywhere, even where it would not be placed.
        private mutating func add(_ number: Int) {
            var specification = AppSpecification.test("app\(number)")
            let most = random.next(in: 0...2)
            for _ in 0..<most {
                let isEqual = random.next(in: 0...2) > 0
                let (subject, value): (PlacementConstraint.Subject, String) =
                    switch random.next(in: 0...3) {
                    case 0: (.hostname, "pi\(random.next(in: 1...9))")
                    case 1: (.architecture, "aarch64")
                    case 2: (.label("camera"), "")
                    default: (.label("floor"), "\(random.next(in: 1...4))")
                    }
                specification.constraints.append(PlacementConstraint(subject, isEqual: isEqual, value))
            }
            if random.next(in: 0...5) == 0 { specification.devices = [DeviceMapping(source: "/dev/i2c-1")] }
            let anywhere = chain.id(random.next(in: 0...chain.keys.count - 1))
            let isQueued = random.next(in: 0...1) == 0
            var app = AppRecord(
                specification: specification, on: isQueued && random.next(in: 0...3) == 0 ? anywhere : nil, since: 0)
            app.demand = Resources(cpu: Int64(random.next(in: 0...900)))
            if random.next(in: 0...9) == 0 { app.exclude(anywhere, until: .max) }
            if isQueued {
                state.queue.append(specification.name)
            } else {
                (app.phase, app.node, app.incarnation, app.measured) = (.running, anywhere, 1, 1)
            }
            state.apps[specification.name] = app
        }

        /// Whether the app fits a node that may run it, apart from the strategy's own search.
        func hasRoom(_ app: AppRecord) -> Bool {
            var census = Census(state, PlanningTerms(), coolDown: 0)
            let number = census.enter(queued: app, state)
            return census.nodes.contains { node in
                state.obstacle(to: app.specification, on: node.id) == nil && !app.excludes(node.id, at: state.time)
                    && node.shares(of: node.load &+ census.apps[number].demand).max() <= 1_000_000
            }
        }
    }

    private func facts(_ state: SiteState, _ node: NodeID) -> Facts { state.nodes[node]?.report?.load.facts ?? .test }

    /// Applies a plan as if all it orders were done at once, after looking at it.
    private func take(_ plan: Plan, _ state: inout SiteState, _ seed: UInt64) throws {
        for assignment in plan.assignments {
            let app = try #require(state.apps[assignment.app])
            let name = state.name(of: assignment.node)
            let obstacle = Feasibility.obstacle(to: app.specification, on: name, facts(state, assignment.node))
            #expect(obstacle == nil, "seed \(seed): \(assignment.app) on \(name)")
            state.apps[assignment.app]?.node = assignment.node
            state.apps[assignment.app]?.phase = .running
            state.apps[assignment.app]?.measured = 0
        }
        state.queue.removeAll { name in plan.assignments.contains { $0.app == name } }
        for move in plan.moves {
            let app = try #require(state.apps[move.app])
            let (source, target) = (facts(state, move.from), facts(state, move.to))
            let obstacle = Feasibility.obstacle(to: app.specification, on: state.name(of: move.to), target)
            #expect(obstacle == nil, "seed \(seed): \(move.app) to \(state.name(of: move.to))")
            #expect(Feasibility.canRestore(source, target), "seed \(seed): \(move.app)")
            #expect(app.node == move.from)
            state.apps[move.app]?.node = move.to
        }
        state.time += 1_000
    }

    @Test(arguments: [BalanceStrategy.name, PaperStrategy.name])
    func nothingGoesWhereItMayNotRun(_ strategy: String) throws {
        var (placed, moved, left) = (0, 0, 0)
        for seed in 0..<500 as Range<UInt64> {
            var world = try World(seed: seed, strategy: strategy)
            let planner = try #require(Strategies.of(SiteParameters(strategy: strategy, absentAfter: 15_000)))
            var rest = 0
            for _ in 0..<300 where rest < 3 {
                let plan = planner.plan(for: world.state)
                rest = plan.isEmpty ? rest + 1 : 0
                placed += plan.assignments.count
                moved += plan.moves.count
                try take(plan, &world.state, seed)
            }
            #expect(rest == 3, "seed \(seed) does not come to rest")
            for name in world.state.queue {
                let app = try #require(world.state.apps[name])
                left += 1
                if strategy == BalanceStrategy.name {
                    #expect(!world.hasRoom(app), "seed \(seed): \(name) waits though there is room")
                } else {
                    // It places whatever a node can carry, so only those that may run nowhere wait.
                    let nodes = world.state.candidates(for: app)
                    #expect(nodes.allSatisfy { app.excludes($0, at: world.state.time) }, "seed \(seed): \(name)")
                }
            }
        }
        // None of this was vacuous.
        #expect(placed > 1_000 && moved > 50 && left > 100, "\(strategy): \(placed) \(moved) \(left)")
    }

    /// Apps that nobody may run hold up neither those behind them nor, under `paper`, moves.
    @Test(arguments: [BalanceStrategy.name, PaperStrategy.name])
    func appsWithoutAPlaceHoldUpNobody(_ strategy: String) throws {
        var chain = TestChain(nodes: 2, parameters: SiteParameters(strategy: strategy, absentAfter: 15_000))
        try chain.grow(reports: chain.reports())
        for name in ["a", "b"] { try chain.run(name, on: 0) }
        for number in 0..<Plan.limit * 5 {
            var app = AppSpecification.test("lost\(number)")
            app.constraints = [PlacementConstraint(.label("roof"), "\(number % 3)")]
            chain.state.apps[app.name] = AppRecord(specification: app, on: nil, since: 0)
            chain.state.queue.append(app.name)
        }
        chain.state.apps["late"] = AppRecord(specification: .test("late"), on: nil, since: 0)
        chain.state.queue.append("late")
        let planner = try #require(Strategies.of(SiteParameters(strategy: strategy, absentAfter: 15_000)))
        #expect(planner.plan(for: chain.state).assignments.map(\.app) == ["late"])
        chain.state.queue.removeLast()
        chain.state.apps["late"] = nil
        for name in ["a", "b"] {
            chain.state.apps[name]?.demand = Resources(cpu: 800)
            chain.state.apps[name]?.steadyDemand = nil
            let incarnation = chain.state.apps[name]?.incarnation ?? 0
            chain.state.apps[name]?.measured = incarnation
        }
        #expect(planner.plan(for: chain.state).moves.count == 1)
    }

    /// Pins, labels and devices on many nodes.
    @Test func aLargeConstrainedSiteIsPlanned() throws {
        var chain = TestChain(nodes: 200)
        for index in 0..<200 { chain.facts[index] = chain.facts(floor: index % 4) }
        try chain.grow(reports: chain.reports())
        var state = chain.state
        for number in 0..<8_000 {
            var specification = AppSpecification.test("app\(number)")
            switch number % 4 {
            case 0: specification.constraints = [PlacementConstraint(.hostname, "pi\(number % 200 + 1)")]
            case 1: specification.constraints = [PlacementConstraint(.label("floor"), "\(number % 3)")]
            default: break
            }
            var app = AppRecord(specification: specification, on: nil, since: 0)
            app.demand = Resources(cpu: Int64(number % 7))
            if number < 6_000 {
                (app.phase, app.node, app.incarnation, app.measured) = (.running, chain.id(number % 200), 1, 1)
            } else {
                state.queue.append(app.specification.name)
            }
            state.apps[app.specification.name] = app
        }
        for strategy in [BalanceStrategy() as any PlannerCore.Strategy, PaperStrategy()] {
            #expect(strategy.plan(for: state).assignments.count > 100)
        }
    }
}

extension TestChain {
    fileprivate func facts(floor: Int) -> Facts {
        var facts = Facts.test
        facts.labels = ["floor": "\(floor)"]
        return facts
    }
}
