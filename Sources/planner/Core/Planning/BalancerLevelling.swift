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
        let shares = census.nodes.map(\.share)
        for members in members where members.count > 1 {
            if census.kinds > 1 { order = LoadOrder(shares, of: members) }
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
            order.update(node, census.nodes[node].share)
            searches.forget(node)
        }
    }

    /// After a search in vain: leaves out for the rest of the plan what hides the nodes behind it. A least loaded node
    /// that can take part in no more moves, else the most loaded ones, none of whose apps fits the difference.
    /// - Returns: false if no difference is left that is worth a move.
    private mutating func passOver() -> Bool {
        guard let low = order.ascending.first, let high = order.ascending.last, bound(high, low) > price else {
            return false
        }
        if census.nodes[low].slots <= 0 {
            order.remove(low)
        } else {
            for node in Array(order.ascending.suffix(Self.width)) { order.remove(node) }
        }
        return true
    }

    private mutating func best() -> Change? {
        let high = Array(order.ascending.suffix(Self.width).reversed())
        let low = Array(order.ascending.prefix(Self.width))
        var best: Change?
        for from in high {
            for to in low {
                let (bound, profit) = (self.bound(from, to), best?.profit ?? 0)
                // Pairs come in descending order of what they could gain.
                if bound <= profit { break }
                if bound - price <= profit, changedResidents[from] == 0, changedResidents[to] == 0 { continue }
                if let change = search(from, to), change.profit > profit { best = change }
            }
        }
        return best
    }

    /// The most that any change between two nodes can gain where one resource dominates on both.
    private func bound(_ from: Int, _ to: Int) -> Int64 {
        let difference = min(1 << 30, census.nodes[from].share - census.nodes[to].share)
        guard difference > 0 else { return 0 }
        let capacity = max(census.nodes[from].largest, census.nodes[to].largest)
        let square = difference * difference / 2
        return capacity == 1_000_000 ? square : Int64(clamping: Int128(square) * Int128(capacity) / 1_000_000)
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
        let others = residents[to].map { (app: $0, amount: census.apps[$0].demand[pair.lane]) }
        for app in residents[from] where census.admits(to, app) {
            let cost = cost(of: app, to: to)
            let amount = census.apps[app].demand[pair.lane]
            if pair.canPay(amount, cost) { consider(app, nil, from, to, cost, &pair) }
            // Going home is worth something to the other app as well: its cost may be negative.
            for other in others where pair.canPay(amount - other.amount, cost - price) {
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
        let profit = pair.before - pair.source.potential(left) - pair.target.potential(grown) - cost
        guard profit > pair.profit, fits(to, grown, gaining: app), hasSlots(app, other, from, to) else { return }
        if let other, !fits(from, left, gaining: other) { return }
        pair.best = Change(profit: profit, app: app, other: other, from: from, to: to)
    }
}

/// Two nodes between which a change is looked for.
private struct Pair {
    let source: Census.Node
    let target: Census.Node
    /// What the two add to the potential as they are.
    let before: Int64
    /// The resource that dominates on the source.
    let lane: Int
    var best: Change?

    var profit: Int64 { best?.profit ?? 0 }

    init(_ source: Census.Node, _ target: Census.Node) {
        self.source = source
        self.target = target
        before = source.potential(source.load) + target.potential(target.load)
        let weights = source.load &* source.shares(of: source.load)
        lane = (0..<4).max { weights[$0] < weights[$1] } ?? 0
    }

    /// Whether a change of `net` in the dominating resource can gain more than `cost` and the best found so far. The
    /// potential of each node is at least what this resource makes it, so this excludes nothing that would be better.
    func canPay(_ net: Int64, _ cost: Int64) -> Bool {
        let (left, grown) = (source.load[lane] &- net, target.load[lane] &+ net)
        let after =
            left &* ((left &* source.inverse[lane]) &>> 20) &+ grown &* ((grown &* target.inverse[lane]) &>> 20)
        return before &- after &- cost > profit
    }
}
