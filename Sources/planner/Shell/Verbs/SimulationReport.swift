import PlannerCore
import Runtime
import Transport

/// Prints what a simulation found.
struct SimulationReport {
    private let options: SimulateOptions
    private let results: [SimulationResult]
    private let out: SimulationFiles.Writer

    init(_ options: SimulateOptions, _ results: [SimulationResult]) throws {
        self.options = options
        self.results = results
        out = try SimulationFiles.Writer()
    }

    /// - Throws: also if not all could be written: a file that is cut short must not look like a result.
    func write() throws {
        switch options.json ? .json : options.format {
        case .csv: try csv()
        case .json: try out.line(JSON.pretty(results.map(Report.init)))
        case .table: try table()
        }
        try out.close()
    }

    private struct Report: Encodable {
        var nodes: Int
        var strategy: String
        var margin: Int64?
        var summary: SimulationSummary
        var events: [SimulatedEvent]
        var blocks: [SimulatedBlock]

        init(_ result: SimulationResult) {
            nodes = result.nodes
            strategy = result.strategy
            margin = result.margin
            summary = result.summary
            events = result.events
            blocks = result.rows
        }
    }

    /// Of one run the bare rows; of several with what tells them apart in front.
    private func csv() throws {
        let isOne = results.count == 1
        try out.line((isOne ? "" : "nodes,strategy,margin_ppm,") + SimulatedBlock.header)
        for result in results {
            let margin = result.margin.map { "\($0)" } ?? ""
            let prefix = isOne ? "" : "\(result.nodes),\(result.strategy),\(margin),"
            for row in result.rows { try out.line(prefix + row.line) }
        }
    }

    private func table() throws {
        if results.count == 1, options.seeds == 1, let result = results.first {
            let rows = result.rows.map { row in
                let apps = [row.arrived, row.completed, row.waiting, row.pending, row.running]
                let counts = [row.block] + apps + [row.moves, row.returns, row.overloaded]
                let loads = [row.minPpm, row.maxPpm, row.stdPpm]
                return counts.map { "\($0)" } + loads.map { Self.points(Double($0) / 10_000) }
            }
            let columns = [
                "BLOCK", "ARRIVED", "COMPLETED", "WAITING", "PENDING", "RUNNING", "MOVES", "RETURNS", "OVERLOADED",
                "MIN %", "MAX %", "STD-DEV %",
            ]
            try out.line(Table(columns, rows, rightAligned: Set(columns.indices)).text)
            try out.line("")
        }
        let rows = results.map { result in
            let summary = result.summary
            return [
                "\(result.nodes)", result.strategy, result.margin.map { Self.points(Double($0) / 10_000) } ?? "-",
                Self.points(summary.deviation), Self.points(summary.movesPerBlock), "\(summary.returns)",
                "\(summary.overloaded)", Self.points(summary.pending), Self.points(summary.running),
            ]
        }
        let columns = [
            "NODES", "STRATEGY", "MARGIN %", "STD-DEV %", "MOVES/BLOCK", "RETURNS", "OVERLOADED", "PENDING", "RUNNING",
        ]
        try out.line(Table(columns, rows, rightAligned: [0, 2, 3, 4, 5, 6, 7, 8]).text)
        let first = options.blocks > 40 ? 41 : 1
        try out.line(
            "Means over blocks \(first) to \(options.blocks)\(options.seeds > 1 ? " of \(options.seeds) seeds" : ""), "
                + "returns and overloaded nodes in all\(options.seeds > 1 ? "; events of the first seed" : "").")
        for result in results {
            for event in result.events {
                let settled = event.blocksUntilSettled.map { "\($0) block\($0 == 1 ? "" : "s") until settled" }
                try out.line("\(result.strategy), block \(event.block): \(event.what); \(settled ?? "not settled")")
            }
        }
    }

    /// With two digits, without a formatter: the shell has none.
    static func points(_ value: Double) -> String {
        let hundredths = Int((value * 100).rounded())
        let rest = abs(hundredths % 100)
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }
}
