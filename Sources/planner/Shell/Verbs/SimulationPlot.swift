import PlannerCore

/// Draws simulations as the paper's figure 2 does: for each size of site a panel with the standard deviation of the nodes'
/// loads and one with the number of running apps, block by block. Several margins are drawn as a trade-off instead.
struct SimulationPlot {
    private static let colours = ["#0b6e4f", "#c8553d", "#3d5a98", "#8a6d1f", "#6b6b6b"]
    private static let size = (width: 420.0, height: 230.0)
    private static let legendHeight = 24

    private let results: [SimulationResult]
    private let blocks: Int

    init(_ results: [SimulationResult], blocks: Int) {
        self.results = results
        self.blocks = blocks
    }

    private struct Series {
        var name: String
        var points: [(x: Double, y: Double)]
        var isMarked = false
    }

    private struct Panel {
        var title: String
        var xTitle: String
        var series: [Series]
    }

    private var sizes: [Int] { results.map(\.nodes).reduce(into: []) { if !$0.contains($1) { $0.append($1) } } }

    private var panels: [[Panel]] {
        if results.contains(where: { $0.margin != nil }) { return [[tradeOff]] }
        return sizes.map { nodes in
            let here = results.filter { $0.nodes == nodes }
            func series(_ figure: (SimulatedBlock) -> Double) -> [Series] {
                here.map { result in
                    Series(name: result.strategy, points: result.rows.map { (Double($0.block), figure($0)) })
                }
            }
            return [
                Panel(
                    title: "\(nodes) nodes: standard deviation of load, % of a node", xTitle: "block",
                    series: series { Double($0.stdPpm) / 10_000 }),
                Panel(title: "\(nodes) nodes: running apps", xTitle: "block", series: series { Double($0.running) }),
            ]
        }
    }

    private var tradeOff: Panel {
        Panel(
            title: "Standard deviation of load, % of a node, against moves a block", xTitle: "moves a block",
            series: sizes.map { nodes in
                let here = results.filter { $0.nodes == nodes && $0.margin != nil }
                return Series(
                    name: "\(nodes) nodes",
                    points: here.map { ($0.summary.movesPerBlock, $0.summary.deviation) }.sorted { $0.x < $1.x },
                    isMarked: true)
            })
    }

    var svg: String {
        let rows = panels
        let columns = rows.map(\.count).max() ?? 1
        let panelWidth = columns == 1 ? Self.size.width * 3 / 2 : Self.size.width
        let (width, height) = (Int(panelWidth) * columns, Int(Self.size.height) * rows.count + Self.legendHeight)
        var text = """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(width) \(height)" width="\(width)" height="\(height)" \
            font-family="sans-serif" font-size="11">
            <rect width="100%" height="100%" fill="white"/>

            """
        text += legend(rows.first?.first?.series.map(\.name) ?? [])
        for (row, panels) in rows.enumerated() {
            for (column, panel) in panels.enumerated() {
                let top = Self.legendHeight + Int(Self.size.height) * row
                text += "<g transform=\"translate(\(Int(panelWidth) * column),\(top))\">\n"
                text += draw(panel, width: panelWidth) + "</g>\n"
            }
        }
        return text + "</svg>"
    }

    /// One for all panels, above them.
    private func legend(_ names: [String]) -> String {
        var left = 44
        var text = ""
        for (index, name) in names.enumerated() {
            let colour = Self.colours[index % Self.colours.count]
            text += "<rect x=\"\(left)\" y=\"11\" width=\"14\" height=\"3\" fill=\"\(colour)\"/>"
            text += "<text x=\"\(left + 19)\" y=\"16\">\(name)</text>\n"
            left += 42 + name.count * 6
        }
        return text
    }

    private func draw(_ panel: Panel, width: Double) -> String {
        let (left, top, right, bottom) = (44.0, 28.0, width - 14, Self.size.height - 36)
        let points = panel.series.flatMap(\.points)
        let xMost = Self.ceiling(points.map(\.x).max() ?? 1)
        let yMost = Self.ceiling(points.map(\.y).max() ?? 1)
        func x(_ value: Double) -> String { Self.number(left + (right - left) * value / xMost) }
        func y(_ value: Double) -> String { Self.number(bottom - (bottom - top) * value / yMost) }
        var text = "<text x=\"\(left)\" y=\"16\" font-weight=\"bold\">\(panel.title)</text>\n"
        for tick in 0...4 {
            let (xValue, yValue) = (xMost * Double(tick) / 4, yMost * Double(tick) / 4)
            text += "<line x1=\"\(left)\" x2=\"\(right)\" y1=\"\(y(yValue))\" y2=\"\(y(yValue))\" stroke=\"#ddd\"/>\n"
            text +=
                "<text x=\"\(left - 5)\" y=\"\(y(yValue))\" dy=\"4\" text-anchor=\"end\">\(Self.label(yValue))</text>\n"
            text +=
                "<text x=\"\(x(xValue))\" y=\"\(bottom + 14)\" text-anchor=\"middle\">\(Self.label(xValue))</text>\n"
        }
        text += "<text x=\"\((left + right) / 2)\" y=\"\(bottom + 28)\" text-anchor=\"middle\">\(panel.xTitle)</text>\n"
        for (index, series) in panel.series.enumerated() {
            let colour = Self.colours[index % Self.colours.count]
            let path = series.points.map { "\(x($0.x)),\(y($0.y))" }.joined(separator: " ")
            text += "<polyline fill=\"none\" stroke=\"\(colour)\" stroke-width=\"1.5\" points=\"\(path)\"/>\n"
            for point in series.isMarked ? series.points : [] {
                text += "<circle cx=\"\(x(point.x))\" cy=\"\(y(point.y))\" r=\"2.5\" fill=\"\(colour)\"/>\n"
            }
        }
        return text
    }

    /// The next round number, so that a quarter of it is one too.
    private static func ceiling(_ value: Double) -> Double {
        var unit = 0.001
        while unit * 10 < value { unit *= 10 }
        return [1.0, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10].map { $0 * unit }.first { $0 >= value } ?? 1
    }

    private static func number(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }

    private static func label(_ value: Double) -> String {
        value == value.rounded() ? "\(Int(value))" : "\((value * 1_000).rounded() / 1_000)"
    }
}
