/// One app from the more loaded of two nodes to the other, and maybe another one the other way.
struct Change {
    /// By how much it lowers potential and prices together.
    var profit: Int64
    var app: Int
    /// nil for a plain move.
    var other: Int?
    var from: Int
    var to: Int
}

/// The best changes of the pairs of nodes that were searched last. One holds until either of the two nodes changes.
struct PairSearches {
    private struct Search {
        var from = -1
        var to = -1
        var ages = (0, 0)
        var best: Change?
    }

    /// Each pair has one place, which it may lose to another pair.
    private var places = Array(repeating: Search(), count: 1 << 10)
    /// How often each node has changed.
    private var ages: [Int]

    init(nodes: Int) { ages = Array(repeating: 0, count: nodes) }

    private func place(_ from: Int, _ to: Int) -> Int { (from &* 37 &+ to) & (places.count - 1) }

    /// - Returns: nil if the pair must be searched.
    func last(_ from: Int, _ to: Int) -> Change?? {
        let search = places[place(from, to)]
        guard search.from == from, search.to == to, search.ages == (ages[from], ages[to]) else { return nil }
        return .some(search.best)
    }

    mutating func keep(_ best: Change?, _ from: Int, _ to: Int) {
        places[place(from, to)] = Search(from: from, to: to, ages: (ages[from], ages[to]), best: best)
    }

    mutating func forget(_ node: Int) { ages[node] += 1 }
}

extension Balancer {
    /// Makes the best change until none pays. No app leaves its kind of node, so each kind is levelled by itself.
    mutating func level(limit: Int) {
        // Each step lowers potential and prices together, so this ends by itself; the bound is for the time it takes.
        var steps = max(64, min(limit, Plan.limit) * 4 + assigned.count)
        var members = Array(repeating: [Int](), count: census.kinds)
        for node in census.nodes.indices { members[census.nodes[node].kind].append(node) }
        let weights = census.nodes.map(\.weight)
        for members in members where members.count > 1 {
            if census.kinds > 1 { order = LoadOrder(weights, of: members) }
            while steps > 0, moves + 2 <= limit {
                steps -= 1
                if let change = best() { apply(change) } else if !passOver() { break }
            }
        }
    }

    private mutating func apply(_ change: Change) {
        go(change.app, to: change.to)
        if let other = change.other { go(other, to: change.from) }
        for node in [change.from, change.to] {
            order.update(node, census.nodes[node].weight)
            searches.forget(node)
        }
    }

    /// After a search in vain: leaves out for the rest of the plan what hides the nodes behind it. Least loaded nodes
    /// that can't take any app of the most loaded ones, else the most loaded ones, none of whose apps fits the difference.
    /// - Returns: false if no difference is left that is worth a move.
    private mutating func passOver() -> Bool {
        guard let low = order.ascending.first, let high = order.ascending.last, bound(high, low) > leastPrice else {
            return false
        }
        let (most, least) = (order.ascending.suffix(Self.width), order.ascending.prefix(Self.width))
        for node in most { residents.order(node, census.apps) }
        let useless = least.filter { low in
            census.nodes[low].slots <= 0
                || !most.contains { high in residents[high].contains { census.admits(low, $0) } }
        }
        for node in useless.isEmpty ? Array(most) : useless { order.remove(node) }
        return true
    }

    private mutating func best() -> Change? {
        let high = Array(order.ascending.suffix(Self.width).reversed())
        let low = Array(order.ascending.prefix(Self.width))
        var best: Change?
        for from in high {
            for to in low where from != to {
                let (bound, profit) = (self.bound(from, to), best?.profit ?? 0)
                let isFresh = changedResidents[from] == 0 && changedResidents[to] == 0
                if bound - (isFresh ? leastPrice : 0) <= profit { continue }
                if let change = search(from, to), change.profit > profit { best = change }
            }
        }
        return best
    }

    /// The most that any change between two nodes can gain: what levelling all that they carry in proportion to their
    /// capacities would.
    private func bound(_ from: Int, _ to: Int) -> Int64 {
        let (source, target) = (census.nodes[from], census.nodes[to])
        if source.capacity == target.capacity {
            let difference = source.load &- target.load
            return (difference &* source.shares(of: difference)).wrappedSum() / 2
        }
        let before = source.potential(source.load) &+ target.potential(target.load)
        return before &- Pair.level(source, target).wrappedSum()
    }

    /// The best change between two nodes.
    private mutating func search(_ from: Int, _ to: Int) -> Change? {
        if let last = searches.last(from, to) {
            guard let change = last else { return nil }
            // Another node, on which one of its apps runs until the move, may have got into other moves since.
            if hasSlots(change.app, change.other, from, to) { return change }
        }
        residents.order(from, census.apps)
        residents.order(to, census.apps)
        let best = searched(from, to)
        searches.keep(best, from, to)
        return best
    }

    private func searched(_ from: Int, _ to: Int) -> Change? {
        var pair = Pair(census.nodes[from], census.nodes[to])
        let partners = Partners(residents[to], of: residents[from].count, census.apps, pair)
        for app in residents[from] where census.admits(to, app) {
            let cost = cost(of: app, to: to)
            let amount = census.apps[app].demand[pair.lane]
            if pair.canPay(amount, cost) { consider(app, nil, from, to, cost, &pair) }
            // Going home is worth something to the other app as well: its cost may be negative.
            for other in partners.of(amount) where pair.canPay(amount - other.amount, cost - price) {
                guard census.admits(from, other.app) else { continue }
                consider(app, other.app, from, to, cost + self.cost(of: other.app, to: from), &pair)
            }
        }
        return pair.best
    }

    private func consider(_ app: Int, _ other: Int?, _ from: Int, _ to: Int, _ cost: Int64, _ pair: inout Pair) {
        let net = other.map { census.apps[app].demand &- census.apps[$0].demand } ?? census.apps[app].demand
        guard net.max() > 0 else { return }
        let (left, grown) = (pair.source.load &- net, pair.target.load &+ net)
        let profit = pair.before &- pair.source.potential(left) &- pair.target.potential(grown) &- cost
        guard profit > pair.profit, fits(to, grown, gaining: app), hasSlots(app, other, from, to) else { return }
        if let other, !fits(from, left, gaining: other) { return }
        pair.best = Change(profit: profit, app: app, other: other, from: from, to: to)
    }
}

/// The apps of a node that another node's apps may change places with.
private struct Partners {
    typealias Partner = (app: Int, amount: Int64)

    /// Up to so many pairs of apps all are tried; of more, for each app those that fit best.
    private static let pairLimit = 1_024
    /// How many on either side of the best amount.
    private static let reach = 4

    private var all: [Partner]
    private let difference: Int64?

    init(_ apps: [Int], of count: Int, _ known: [Census.App], _ pair: Pair) {
        all = apps.map { ($0, known[$0].demand[pair.lane]) }
        guard all.count * count > Self.pairLimit else {
            difference = nil
            return
        }
        difference = pair.difference
        // Equals stay in their order: the sort is stable.
        all.sort { $0.amount < $1.amount }
    }

    func of(_ amount: Int64) -> ArraySlice<Partner> {
        guard let difference else { return all[...] }
        var (low, high) = (0, all.count)
        while low < high {
            let middle = (low + high) / 2
            if all[middle].amount < amount - difference { low = middle + 1 } else { high = middle }
        }
        return all[max(0, low - Self.reach)..<min(all.count, low + Self.reach)]
    }
}

/// Two nodes between which a change is looked for.
private struct Pair {
    let source: Census.Node
    let target: Census.Node
    /// What the two add to the potential as they are.
    let before: Int64
    /// The resource in which they differ most, and the least that the others can add to the potential.
    let lane: Int
    private let rest: Int64
    var best: Change?

    var profit: Int64 { best?.profit ?? 0 }

    init(_ source: Census.Node, _ target: Census.Node) {
        self.source = source
        self.target = target
        before = source.potential(source.load) &+ target.potential(target.load)
        let level = Self.level(source, target)
        let now = source.load &* source.shares(of: source.load) &+ target.load &* target.shares(of: target.load)
        let gains = now &- level
        lane = (0..<4).max { gains[$0] < gains[$1] } ?? 0
        rest = level.wrappedSum() &- level[lane]
    }

    /// What each resource would add if the two shared it in proportion to their capacities: the least that it can.
    static func level(_ source: Census.Node, _ target: Census.Node) -> Amounts {
        let total = source.load &+ target.load
        return total &* ((total &* Amounts(repeating: 1_000_000)) / (source.capacity &+ target.capacity))
    }

    /// How much of ``lane`` must go to the target for both to carry it in proportion to their capacities.
    var difference: Int64 {
        let (here, there) = (source.capacity[lane], target.capacity[lane])
        return (source.load[lane] &* there &- target.load[lane] &* here) / (here &+ there)
    }

    /// Whether a change of `net` in ``lane`` can gain more than `cost` and the best found so far, if it leaves the other resources
    /// as level as can be.
    func canPay(_ net: Int64, _ cost: Int64) -> Bool {
        let (left, grown) = (source.load[lane] &- net, target.load[lane] &+ net)
        let after =
            left &* ((left &* source.inverse[lane]) &>> 20) &+ grown &* ((grown &* target.inverse[lane]) &>> 20)
        return before &- after &- rest &- cost > profit
    }
}
