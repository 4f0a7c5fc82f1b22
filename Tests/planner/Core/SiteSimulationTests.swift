import Contracts
import Machine
import Testing

@testable import PlannerCore

@Suite struct SiteSimulationTests {
    /// Algorithm 1 and the evaluation's rules once more, on plain arrays.
    private struct Model {
        var loads: [Int]
        var apps: [(app: Int, node: Int, end: Int)] = []
        var head = 0
        var committed = 0

        mutating func next(_ block: Int, _ workload: Workload) -> (places: [(Int, Int)], moves: Int) {
            for gone in apps where gone.end == block {
                loads[gone.node] -= Int(workload.arrivals[gone.app].demand)
                committed -= Int(workload.arrivals[gone.app].demand)
            }
            apps.removeAll { $0.end == block }
            var queue: [Int] = []
            while head < workload.arrivals.count, workload.arrivals[head].block <= UInt32(block),
                committed + Int(workload.arrivals[head].demand) <= 900_000 * loads.count
            {
                committed += Int(workload.arrivals[head].demand)
                queue.append(head)
                head += 1
            }
            for app in queue {
                let least = loads.firstIndex(of: loads.min()!)!
                loads[least] += Int(workload.arrivals[app].demand)
                apps.append((app, least, block + Int(workload.arrivals[app].duration)))
            }
            var moves = 0
            let (most, least) = (loads.firstIndex(of: loads.max()!)!, loads.firstIndex(of: loads.min()!)!)
            let size = apps.filter { $0.node == most }.map { Int(workload.arrivals[$0.app].demand) }.max()
            if queue.isEmpty, most != least, let size {
                let (high, low) = (loads[most], loads[least])
                if high - low > abs((high - size) - (low + size)) {
                    let moved = apps.indices.filter {
                        apps[$0].node == most && workload.arrivals[apps[$0].app].demand == UInt32(size)
                    }.min { apps[$0].app < apps[$1].app }!
                    apps[moved].node = least
                    loads[most] -= size
                    loads[least] += size
                    moves = 1
                }
            }
            return (apps.map { ($0.app, $0.node) }.sorted { $0.0 < $1.0 }, moves)
        }
    }

    @Test func paperDoesWhatTheRulesSay() {
        for seed in 0..<200 as Range<UInt64> {
            let nodes = 1 + Int(seed % 13)
            let workload = Workload.random(nodes: nodes, blocks: 120, seed: seed)
            var model = Model(loads: Array(repeating: 0, count: nodes))
            var simulation = SiteSimulation(SimulationTerms(nodes: nodes, strategy: PaperStrategy()), workload)
            for block in 1...120 {
                let (row, _) = simulation.next()
                let (places, moves) = model.next(block, workload)
                var hash = FNV64()
                for (app, node) in places {
                    hash.add(UInt32(app))
                    hash.add(UInt32(node))
                }
                #expect(row.assignFnv64 == hash.text, "seed \(seed), block \(block)")
                #expect(row.moves == moves && row.sumPpm == model.loads.reduce(0, +), "seed \(seed), block \(block)")
                if row.assignFnv64 != hash.text { return }
            }
        }
    }

    /// Rows and steps tell the same story, nothing is lost, and `balance` neither fills a node above its capacity nor moves
    /// an app within its cool-down.
    @Test func balanceKeepsItsPromisesOnEveryRow() throws {
        for seed in 0..<30 as Range<UInt64> {
            let nodes = 2 + Int(seed)
            let workload = Workload.random(nodes: nodes, blocks: 100, seed: seed)
            var terms = SimulationTerms(nodes: nodes, strategy: BalanceStrategy(SiteParameters(coolDown: 10_000)))
            terms.failures = [(50, 1)]
            terms.joins = [(60, 2)]
            var simulation = SiteSimulation(terms, workload)
            var movedIn: [Int: Int] = [:]
            var (arrived, completed) = (0, 0)
            for block in 1...100 {
                let (row, steps) = simulation.next()
                arrived += row.arrived
                completed += row.completed
                #expect(row.overloaded == 0, "seed \(seed), block \(block)")
                #expect(arrived == completed + row.waiting + row.pending + row.running, "seed \(seed), block \(block)")
                let moves = steps.filter { $0.kind != .place }
                #expect(moves.count == row.moves && moves.count { $0.kind == .return } == row.returns)
                for step in moves {
                    if let last = movedIn.updateValue(block, forKey: step.app) {
                        #expect(block - last >= 10, "seed \(seed), block \(block), app \(step.app)")
                    }
                }
            }
            #expect(simulation.events.map(\.block) == [50, 60])
            // What a handful of nodes has been through in twenty blocks says little about what is usual there. And where one
            // of ten is gone, its apps wait for others to end.
            #expect(nodes < 10 || simulation.events.allSatisfy { ($0.blocksUntilSettled ?? 99) <= 30 }, "seed \(seed)")
        }
    }

    /// A tenth of a site's nodes come empty while nothing else happens: the most loaded nodes' apps fit the difference no
    /// better than others', so the plan must look behind them.
    @Test func newNodesAreFilledEvenWhereTheMostLoadedHaveNothingThatFits() {
        var random = SplitMix64(seed: 3)
        var arrivals: [Workload.Arrival] = []
        while arrivals.reduce(0, { $0 + Int($1.demand) }) < 200 * 700_000 {
            arrivals.append(
                Workload.Arrival(block: 1, demand: UInt32(random.next(in: 50_000...400_000)), duration: 1_000))
        }
        var terms = SimulationTerms(nodes: 200, strategy: BalanceStrategy(SiteParameters(coolDown: 10_000)))
        terms.joins = [(5, 20)]
        var simulation = SiteSimulation(terms, Workload(arrivals: arrivals))
        let rows = (1...20).map { _ in simulation.next().row }
        // 20 empty nodes beside 200 at 70 % deviate by 20 points; two nodes that are less than two margins apart are left alone.
        #expect(rows[14].stdPpm < 50_000)
        #expect(rows[14].minPpm > rows[14].maxPpm - 2 * Int(SiteParameters().margin) - 20_000)
        #expect(rows[14...].allSatisfy { $0.moves == 0 })
    }

    @Test func sumsOfSquaresBeyond64Bits() {
        var row = SimulatedBlock(block: 1)
        row.measure([9_000_000_000, 0])
        #expect(row.sumsqPpm2 == 81_000_000_000_000_000_000 && row.stdPpm == 4_500_000_000)
        #expect(row.line.contains(",9000000000,81000000000000000000,0,9000000000,4500000000,"))
    }

    @Test func aLagMakesAppsHerd() {
        func deviation(lag: Int) -> Int {
            var terms = SimulationTerms(nodes: 20, strategy: PaperStrategy())
            terms.lag = lag
            var simulation = SiteSimulation(terms, .random(nodes: 20, blocks: 100, seed: 1))
            return (1...100).map { _ in simulation.next().row.stdPpm }.dropFirst(40).reduce(0, +)
        }
        #expect(deviation(lag: 2) > deviation(lag: 0) * 3 / 2)
    }

    @Test func figuresOfARow() {
        var row = SimulatedBlock(block: 1)
        row.measure([1_000_001, 0, 500_000])
        #expect(row.overloaded == 1 && row.maxPpm == 1_000_001 && row.minPpm == 0 && row.sumPpm == 1_500_001)
        #expect(row.stdPpm == 408_248)
        // Test vectors of FNV-1a 64 for "" and for four zero bytes.
        var hash = FNV64()
        #expect(hash.text == "cbf29ce484222325")
        hash.add(0)
        #expect(hash.text == "4d25767f9dce13f5")
        var random = SplitMix64(seed: 7)
        for _ in 0..<10_000 {
            let value = (UInt128(random.next()) << UInt128(random.next(in: 0...63))) >> UInt128(random.next(in: 0...63))
            let root = SimulatedBlock.squareRoot(value)
            #expect(root * root <= value && (root + 1) * (root + 1) > value)
        }
    }

    /// Byte by byte, as it may come.
    private func read(_ bytes: [UInt8]) throws(TraceFault) -> Workload {
        var reader = TraceReader()
        for byte in bytes { try reader.take([byte]) }
        return try reader.finish()
    }

    /// However small the apps, one full node beside empty ones doesn't stay so.
    @Test(arguments: [2_000, 20_000]) func smallAppsMoveToo(demand: UInt32) {
        let arrivals = Array(
            repeating: Workload.Arrival(block: 1, demand: demand, duration: 100_000), count: Int(900_000 / demand))
        var terms = SimulationTerms(nodes: 1, strategy: BalanceStrategy(SiteParameters(coolDown: 10_000)))
        terms.joins = [(2, 3)]
        var simulation = SiteSimulation(terms, Workload(arrivals: arrivals))
        let rows = (1...500).map { _ in simulation.next().row }
        #expect(rows[499].stdPpm < 80_000 && rows[499].moves == 0, "\(rows[499].stdPpm)")
    }

    @Test(arguments: [
        ("", 1, "empty"), ("block,demand\n", 1, "header"), ("1,2,3\n", 1, "header"),
        ("H\n1,100000,20\n1,-5,20\n", 3, "demand_ppm"), ("H\n1,0,20\n", 2, "demand_ppm"),
        ("H\n1,1000001,20\n", 2, "demand_ppm"), ("H\n1,1e5,20\n", 2, "demand_ppm"), ("H\n1,1,0\n", 2, "duration"),
        ("H\n0,1,1\n", 2, "block"), ("H\n2,1,1\n1,1,1\n", 3, "after block 2"), ("H\n1,1\n", 2, "2 fields"),
        ("H\n1,1,1,1\n", 2, "4 fields"), ("H\n1,,1\n", 2, "demand_ppm"), ("H\n\n1,1,1\n", 2, "empty"),
        ("H\n1,99999999999999999999999999,1\n", 2, "demand_ppm"),
        ("H\n" + String(repeating: "1", count: 300), 2, "200"),
    ])
    func wrongTraces(text: String, line: Int, words: String) {
        let bytes = Array(text.replacing("H\n", with: TraceReader.header + "\n").utf8)
        do {
            _ = try read(bytes)
            Issue.record("taken")
        } catch {
            #expect(error.line == line && error.problem.contains(words), "\(error)")
        }
    }

    @Test(arguments: [
        "H\n1,50000,20\n3,1000000,1\n", "H\r\n1,50000,20\r\n3,1000000,1", "H\n1,50000,20\n3,1000000,1\n\n",
    ])
    func rightTraces(text: String) throws {
        let bytes = Array(text.replacing("H", with: TraceReader.header).utf8)
        let workload = try read(bytes)
        #expect(
            workload.arrivals == [
                Workload.Arrival(block: 1, demand: 50_000, duration: 20),
                Workload.Arrival(block: 3, demand: 1_000_000, duration: 1),
            ])
        #expect(try read(Array((TraceReader.header + "\n").utf8)).arrivals == [])
    }
}
