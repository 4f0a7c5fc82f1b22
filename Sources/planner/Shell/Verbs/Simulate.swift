import ArgumentParser
import Contracts
import PlannerCore
import Runtime
import Transport

struct Simulate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Try strategies on a simulated site, without any device.",
        discussion: """
            A site of equal nodes under a stream of apps, block by block, planned by the code that real sites plan with. \
            Nine tenths of the nodes are filled at most; the rest waits. Without --trace the apps are drawn from --seed.

            A trace is a CSV file: the header block,demand_ppm,duration_blocks, then a line for each app, sorted by block. \
            What is reported and drawn, and how to read it, is in docs/evaluation.md.
            """)

    @OptionGroup var options: SimulateOptions

    func validate() throws { try options.check() }

    func run() async throws {
        let plot = try options.plot.map { try SimulationFiles.Writer($0, "--plot") }
        let results = try SimulationRun(options).results()
        try plot?.line(SimulationPlot(results, blocks: options.blocks).svg)
        try plot?.close()
        try SimulationReport(options, results).write()
    }
}

enum SimulationFormat: String, ExpressibleByArgument, CaseIterable { case table, csv, json }

struct SimulateOptions: ParsableArguments {
    @Option(help: "How many nodes, 1 to 10000; several sizes with commas.") var nodes = "10"
    @Option(help: "How many blocks, 1 to 1000000.") var blocks = 100
    @Option(help: "Where the random workload begins.") var seed: UInt64 = 1
    @Option(
        help: "How many seeds to average over, from --seed on, 1 to 10000. Rows, events and plots are the first one's.")
    var seeds = 1
    @Option(help: "balance, paper, spread, least-allocated or random.") var strategy = BalanceStrategy.name
    @Option(help: "Several strategies with commas, in place of --strategy.") var compare: String?
    @Option(help: "What balance wants of a move, 0 to 1000000 ppm of a device; several with commas draw its trade-off.")
    var margin: String?
    @Option(
        help: "Milliseconds for which balance leaves an app alone after a move; a block is 1000. A site waits 60000.")
    var coolDownMs: Int64 = 10_000
    @Option(help: "Plan on scores that are so many blocks old, 0 to 100; 0: on effective load.") var lag = 0
    @Option(help: "A CSV file of apps.") var trace: String?
    @Option(help: "A node fails: block:node. May be repeated.") var fail: [String] = []
    @Option(help: "Nodes join: block:count. May be repeated.") var join: [String] = []
    @Option(help: "Write each placement and move to this CSV file.") var plan: String?
    @Option(help: "Draw standard deviation and number of apps to this SVG file.") var plot: String?
    @Option(help: "table, csv or json.") var format = SimulationFormat.table
    @Flag(help: "The same as --format json.") var json = false

    static let known = Strategies.names + Strategies.comparisons

    var sizes: [Int] { Self.list(nodes).map { Int($0) ?? 0 } }
    var strategies: [String] { compare.map(Self.list) ?? [strategy] }
    var margins: [Int64] { margin.map { Self.list($0).map { Int64($0) ?? -1 } } ?? [SiteParameters().margin] }

    static func list(_ text: String) -> [String] {
        text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }

    /// - Throws: `ValidationError` that names the option.
    func check() throws {
        func hold(_ condition: Bool, _ problem: String) throws {
            guard condition else { throw ValidationError(problem) }
        }
        try hold(sizes.allSatisfy { (1...10_000).contains($0) }, "--nodes \(nodes): allowed are 1 to 10000.")
        try hold((1...1_000_000).contains(blocks), "--blocks \(blocks): allowed are 1 to 1000000.")
        try hold((1...10_000).contains(seeds), "--seeds \(seeds): allowed are 1 to 10000.")
        try hold((0...100).contains(lag), "--lag \(lag): allowed are 0 to 100.")
        try hold((0...3_600_000).contains(coolDownMs), "--cool-down-ms \(coolDownMs): allowed are 0 to 3600000.")
        for size in sizes where trace == nil {
            try hold(
                size * blocks <= Self.drawLimit,
                "--nodes \(size) with --blocks \(blocks): nodes times blocks may be \(Self.drawLimit) without --trace.")
        }
        for name in strategies + [strategy] {
            try hold(
                Self.known.contains(name),
                "there is no strategy \"\(name)\"; known are \(Self.known.joined(separator: ", ")).")
        }
        try hold(
            margins.allSatisfy { (0...1_000_000).contains($0) },
            "--margin \(margin ?? ""): allowed are 0 to 1000000 ppm.")
        try hold(trace == nil || seeds == 1, "--trace and --seeds exclude each other: a trace has no seed.")
        let runs = sizes.count * strategies.count * margins.count
        try hold(
            plan == nil || (runs == 1 && seeds == 1), "--plan is for one run: one size, strategy, margin and seed.")
        try checkEvents()
        try checkFiles()
    }

    /// What a random workload may draw: its apps are drawn before the first block.
    private static let drawLimit = 50_000_000

    private func checkEvents() throws {
        let joins = try pairs(join, "--join", "block:count", 1...10_000)
        let joining = joins.reduce(0) { $0 + $1.1 }
        guard joining <= 10_000 else {
            throw ValidationError("--join: \(joining) nodes join in all; allowed are 10000.")
        }
        var failed: Set<Int> = []
        for (block, node) in try pairs(fail, "--fail", "block:node", 0...20_000) {
            let there = (sizes.min() ?? 0) + joins.filter { $0.0 < block }.reduce(0) { $0 + $1.1 }
            guard node < there else {
                throw ValidationError(
                    "--fail \(block):\(node): at the start of block \(block) there are nodes 0 to \(there - 1).")
            }
            guard failed.insert(node).inserted else {
                throw ValidationError("--fail \(block):\(node): node \(node) fails twice.")
            }
        }
    }

    private func checkFiles() throws {
        let files = [("--trace", trace), ("--plan", plan), ("--plot", plot)]
            .compactMap { option, path in path.map { (option, $0) } }
        for (index, (option, path)) in files.enumerated() {
            if path.isEmpty { throw ValidationError("\(option) is empty: name a file.") }
            for (other, its) in files[..<index] where SimulationFiles.isSame(path, its) {
                throw ValidationError("\(option) \(path) is the file of \(other): name another one.")
            }
        }
    }

    func pairs(_ texts: [String], _ option: String, _ form: String, _ range: ClosedRange<Int>) throws -> [(Int, Int)] {
        try texts.map { text in
            let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
            guard parts.count == 2, let block = parts[0], let other = parts[1] else {
                throw ValidationError("\(option) \(text): it is \(form), two whole numbers.")
            }
            guard (1...blocks).contains(block) else {
                throw ValidationError("\(option) \(text): there are blocks 1 to \(blocks).")
            }
            guard range.contains(other) else {
                throw ValidationError(
                    "\(option) \(text): after the colon allowed are \(range.lowerBound) to \(range.upperBound).")
            }
            return (block, other)
        }
    }
}

/// What one strategy made of one site.
struct SimulationResult {
    var nodes: Int
    var strategy: String
    /// nil unless several were tried.
    var margin: Int64?
    /// Of the first seed.
    var rows: [SimulatedBlock] = []
    var events: [SimulatedEvent] = []
    /// Over all seeds.
    var summary = SimulationSummary()
}

/// Means over the blocks after the fortieth, before which a site still fills; of a shorter run, over all.
struct SimulationSummary: Codable {
    var blocks = 0
    /// Points: hundredths of a node.
    var deviation = 0.0
    var movesPerBlock = 0.0
    var returns = 0
    /// Nodes above a whole, summed over blocks.
    var overloaded = 0
    var pending = 0.0
    var running = 0.0

    mutating func add(_ row: SimulatedBlock, of total: Int) {
        guard row.block > 40 || total <= 40 else { return }
        blocks += 1
        deviation += (Double(row.stdPpm) / 10_000 - deviation) / Double(blocks)
        movesPerBlock += (Double(row.moves) - movesPerBlock) / Double(blocks)
        pending += (Double(row.pending) - pending) / Double(blocks)
        running += (Double(row.running) - running) / Double(blocks)
        returns += row.returns
        overloaded += row.overloaded
    }
}

struct SimulationRun {
    private let options: SimulateOptions

    init(_ options: SimulateOptions) { self.options = options }

    func results() throws -> [SimulationResult] {
        let trace = try options.trace.map(workload)
        var results: [SimulationResult] = []
        for nodes in options.sizes {
            for strategy in options.strategies {
                let margins = strategy == BalanceStrategy.name ? options.margins : [SiteParameters().margin]
                for margin in margins { results.append(try result(nodes, strategy, margin, margins.count > 1, trace)) }
            }
        }
        return results
    }

    private func workload(_ path: String) throws -> Workload {
        var reader = TraceReader()
        do {
            try SimulationFiles.read(path) { try reader.take($0) }
            return try reader.finish()
        } catch {
            throw ValidationError("--trace \(path)\(error is TraceFault ? "," : ":") \(error)")
        }
    }

    private func result(_ nodes: Int, _ name: String, _ margin: Int64, _ shown: Bool, _ trace: Workload?) throws
        -> SimulationResult
    {
        var result = SimulationResult(nodes: nodes, strategy: name, margin: shown ? margin : nil)
        let steps = try options.plan.map { try SimulationFiles.Writer($0, "--plan", header: SimulatedStep.header) }
        for seed in 0..<UInt64(options.seeds) {
            let workload =
                trace ?? .random(nodes: nodes, blocks: options.blocks, seed: options.seed &+ seed)
            var simulation = SiteSimulation(try terms(nodes, name, margin), workload)
            for _ in 0..<options.blocks {
                let (row, plan) = simulation.next()
                result.summary.add(row, of: options.blocks)
                if seed == 0 { result.rows.append(row) }
                for step in plan { try steps?.line(step.line) }
            }
            if seed == 0 { result.events = simulation.events }
        }
        try steps?.close()
        return result
    }

    private func terms(_ nodes: Int, _ name: String, _ margin: Int64) throws -> SimulationTerms {
        var terms = SimulationTerms(nodes: nodes, strategy: strategy(name, margin))
        terms.lag = options.lag
        terms.failures = try options.pairs(options.fail, "--fail", "block:node", 0...20_000).map { ($0.0, $0.1) }
        terms.joins = try options.pairs(options.join, "--join", "block:count", 1...10_000).map { ($0.0, $0.1) }
        return terms
    }

    private func strategy(_ name: String, _ margin: Int64) -> any Strategy {
        switch name {
        case PaperStrategy.name: PaperStrategy()
        case SpreadStrategy.name: SpreadStrategy()
        case LeastAllocatedStrategy.name: LeastAllocatedStrategy()
        case RandomStrategy.name: RandomStrategy()
        default: BalanceStrategy(SiteParameters(margin: margin, coolDown: options.coolDownMs))
        }
    }
}
