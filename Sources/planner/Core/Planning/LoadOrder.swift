/// Nodes in ascending order of a figure, equals in ascending order of number. A change costs a binary search and a shift of
/// small integers, which even for thousands of nodes is quicker than a tree.
struct LoadOrder {
    private(set) var ascending: [Int]
    private var figures: [Int64]

    init(_ figures: [Int64]) { self.init(figures, of: figures.indices) }

    /// Only the nodes that `nodes` names.
    init(_ figures: [Int64], of nodes: some Sequence<Int>) {
        self.figures = figures
        ascending = nodes.sorted { (figures[$0], $0) < (figures[$1], $1) }
    }

    mutating func update(_ node: Int, _ figure: Int64) {
        guard figures[node] != figure else { return }
        ascending.remove(at: position(of: node))
        figures[node] = figure
        ascending.insert(node, at: position(of: node))
    }

    /// Takes a node out, which must be in.
    mutating func remove(_ node: Int) { ascending.remove(at: position(of: node)) }

    /// The first place whose node is not before `node`.
    private func position(of node: Int) -> Int {
        var (low, high) = (0, ascending.count)
        while low < high {
            let middle = (low + high) / 2
            let other = ascending[middle]
            if (figures[other], other) < (figures[node], node) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
