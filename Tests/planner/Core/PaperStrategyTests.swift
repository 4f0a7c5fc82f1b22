import Contracts
import Machine
import Testing

@testable import PlannerCore

/// Algorithm 1 and its repairs, over many random sites.
@Suite struct PaperStrategyTests {
    /// Runs a site on the strategy alone: apps with steady demand, moves that take some blocks, reports each block.
    struct World {
        var chain: TestChain
        var random: SplitMix64
        var demand: [String: Int] = [:]
        /// Noise of scores in per mille, and the range of base loads in ppm.
        var noise = 0
        var baseLoad: ClosedRange<Int> = 0...0
        var moves: [Move] = []

        init(
            nodes: Int, seed: UInt64,
            parameters: SiteParameters = SiteParameters(strategy: PaperStrategy.name, absentAfter: 15_000)
        ) throws {
            chain = TestChain(nodes: nodes, parameters: parameters)
            random = SplitMix64(seed: seed)
            try chain.grow(reports: chain.reports())
        }

        /// Submits and starts apps, all at once.
        mutating func start(_ apps: [(name: String, millicores: Int, node: Int?)]) throws {
            let submission = apps.map { SubmittedApp(specification: .test($0.name), on: $0.node.map(chain.id)) }
            for app in apps { demand[app.name] = app.millicores }
            try chain.grow([.submit(submission)])
            for _ in 0..<3 { try next() }
        }

        /// One block: reports with noise, and receipts for what was asked, at random up to some blocks later.
        mutating func next() throws {
            var reports: [SignedMessage] = []
            for index in chain.keys.indices {
                chain.base[index] = random.next(in: baseLoad)
                let here = chain.state.apps.values.filter { $0.node == chain.id(index) && $0.phase == .running }
                var apps: [String: Int] = [:]
                for name in here.map(\.specification.name).sorted() {
                    apps[name] = (demand[name] ?? 0) * (1_000 + random.next(in: -noise...noise)) / 1_000
                }
                reports.append(chain.report(by: index, apps: apps))
            }
            var receipts: [SignedMessage] = []
            for app in chain.state.apps.values.sorted(by: { $0.specification.name < $1.specification.name }) {
                guard app.phase == .placed || app.phase == .moving, random.next(in: 0...2) > 0 else { continue }
                let node = app.move?.to ?? app.node
                guard let index = chain.keys.firstIndex(where: { $0.nodeID == node }) else { continue }
                let receipt = Receipt(
                    app: app.specification.name, incarnation: app.move?.incarnation ?? app.incarnation,
                    outcome: .running)
                receipts.append(chain.transaction(.receipt(receipt), by: index))
            }
            let block = chain.block(transactions: receipts, reports: reports)
            moves += block.body.plan.moves
            chain.state = try Validity.check(block, after: chain.state, trusting: true)
        }
    }

    /// Each move strictly lowers the difference of its pair, and steady load comes to rest.
    @Test func eachMoveLowersTheDifferenceAndItEnds() throws {
        for seed in 0..<1_000 as Range<UInt64> {
            var random = SplitMix64(seed: seed)
            let nodes = random.next(in: 1...8)
            var chain = TestChain(nodes: nodes)
            var reports: [SignedMessage] = []
            for index in 0..<nodes {
                chain.base[index] = random.next(in: 0...300_000)
                reports.append(chain.report(by: index, cores: random.next(in: 1...8)))
            }
            try chain.grow(reports: reports)
            var state = chain.state
            for number in 0..<random.next(in: 0...24) {
                var app = AppRecord(specification: .test("app\(number)"), on: nil, since: 0)
                app.phase = .running
                app.node = chain.id(random.next(in: 0...nodes - 1))
                app.incarnation = 1
                app.measured = 1
                app.demand = Resources(cpu: Int64(random.next(in: 0...1_500)))
                state.apps["app\(number)"] = app
            }
            let strategy = PaperStrategy()
            var moves = 0
            while let move = strategy.plan(for: state).moves.first {
                moves += 1
                let before = difference(move, state)
                state.apps[move.app]?.node = move.to
                let after = difference(move, state)
                #expect(before > after, "seed \(seed)")
                #expect(before >= 0, "seed \(seed): not from the more loaded to the less loaded")
                if moves > 500 { break }
            }
            #expect(moves <= 500, "seed \(seed) does not come to rest")
        }
    }

    private func difference(_ move: Move, _ state: SiteState) -> Int64 {
        let load = EffectiveLoad(state)
        return abs((load[move.from]?.score ?? 0) - (load[move.to]?.score ?? 0))
    }

    /// As printed, the algorithm would send a single app back and forth for ever.
    @Test func aSingleAppStays() throws {
        var world = try World(nodes: 3, seed: 1)
        try world.start([("only", 1_500, 0)])
        for _ in 0..<20 { try world.next() }
        #expect(world.moves == [])
    }

    @Test func queuedAppsSpreadWithoutReports() throws {
        var world = try World(nodes: 4, seed: 1)
        try world.start((0..<8).map { ("app\($0)", 100, nil) })
        let perNode = Dictionary(grouping: world.chain.state.apps.values) { $0.node }.mapValues(\.count)
        #expect(perNode.count == 4 && perNode.values.allSatisfy { $0 == 2 })
    }

    @Test func thereIsOneMoveAtATimeAndNoneWhileAppsAreQueued() throws {
        for seed in 0..<AgreementSimulationTests.seeds / 2 {
            var world = try World(nodes: 4, seed: seed)
            try world.start((0..<10).map { ("app\($0)", 100 + 30 * $0, 0) })
            for _ in 0..<40 {
                let before = world.chain.state
                let count = world.moves.count
                try world.next()
                guard world.moves.count > count else { continue }
                #expect(world.moves.count == count + 1, "seed \(seed)")
                #expect(before.queue.isEmpty, "seed \(seed)")
                #expect(before.apps.values.allSatisfy { $0.move == nil }, "seed \(seed)")
            }
            #expect(world.moves.count >= 4, "seed \(seed)")
        }
    }

    @Test func whatMustNotMoveStays() throws {
        var chain = TestChain(nodes: 2, parameters: SiteParameters(strategy: PaperStrategy.name, absentAfter: 15_000))
        try chain.grow(reports: chain.reports())
        var pinned = AppSpecification.test("pinned")
        pinned.move = .never
        try chain.grow([.submit([SubmittedApp(specification: pinned, on: chain.id(0))])])
        try chain.run("free", on: 0)
        try chain.grow([.receipt(Receipt(app: "pinned", incarnation: 1, outcome: .running))], by: 0)
        var moved: [String] = []
        for _ in 0..<10 {
            let block = try chain.grow(reports: chain.reports(demand: ["pinned": 900, "free": 400]))
            moved += block.body.plan.moves.map(\.app)
        }
        #expect(moved == ["free"])
    }

    @Test func aPlanOfALargeSiteIsBounded() throws {
        var chain = TestChain(nodes: 100)
        try chain.grow(reports: chain.reports())
        var state = chain.state
        for number in 0..<5_000 {
            var app = AppRecord(specification: .test("app\(number)"), on: nil, since: 0)
            (app.phase, app.node, app.incarnation, app.measured) = (.running, chain.id(number % 100), 1, 1)
            app.demand = Resources(cpu: Int64(number % 7))
            state.apps["app\(number)"] = app
        }
        for number in 0..<500 {
            state.apps["new\(number)"] = AppRecord(specification: .test("new\(number)"), on: nil, since: 0)
            state.queue.append("new\(number)")
        }
        #expect(PaperStrategy().plan(for: state).assignments.count == Plan.limit)
    }
}
