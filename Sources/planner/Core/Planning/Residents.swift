/// Which apps are on which node. Most nodes of a large site are never looked into, so their apps are only linked together,
/// and put in order when somebody asks.
struct Residents {
    private static let end: Int32 = -1

    /// The first app of each node that isn't in order yet, and the one after each app.
    private var heads: [Int32]
    private var links: [Int32]
    private var lists: [[Int]]
    private var isListed: [Bool]

    init(nodes: Int, apps: Int) {
        heads = Array(repeating: Self.end, count: nodes)
        links = Array(repeating: Self.end, count: apps)
        lists = Array(repeating: [], count: nodes)
        isListed = Array(repeating: false, count: nodes)
    }

    mutating func insert(_ app: Int, on node: Int, _ apps: [Census.App]) {
        if isListed[node] {
            let place = lists[node].firstIndex { Self.precedes(apps[app], apps[$0]) } ?? lists[node].endIndex
            lists[node].insert(app, at: place)
        } else {
            while links.count <= app { links.append(Self.end) }
            links[app] = heads[node]
            heads[node] = Int32(app)
        }
    }

    /// - Precondition: the node is in order.
    mutating func remove(_ app: Int, from node: Int) { lists[node].removeAll { $0 == app } }

    mutating func order(_ node: Int, _ apps: [Census.App]) {
        guard !isListed[node] else { return }
        isListed[node] = true
        var app = heads[node]
        while app != Self.end {
            lists[node].append(Int(app))
            app = links[Int(app)]
        }
        lists[node].sort { Self.precedes(apps[$0], apps[$1]) }
    }

    /// Largest first, equals by name; empty unless in order.
    subscript(node: Int) -> [Int] { lists[node] }

    private static func precedes(_ a: Census.App, _ b: Census.App) -> Bool {
        a.size != b.size ? a.size > b.size : a.name < b.name
    }
}
