/// Makes one plan of ``BalanceStrategy``.
struct Balancer {
    /// How many of the most, and of the least, loaded nodes a step looks at.
    private static let width = 12
    /// Milliseconds of shipping that double a move's price.
    private static let shipping: Int64 = 10_000

    private var census: Census
    private var order: LoadOrder
    private let price: Int64
    /// Apps on each node, and whether they are in order of size and name already.
    private var residents: [[Int]]
    private var isSorted: [Bool]
    /// Apps that have got a node, or another one, in this plan.
    private var changed: Set<Int> = []
    /// On each node.
    private var changedResidents: [Int]
    private var assigned: [Int] = []
    private var moves = 0

    init(_ census: Census, price: Int64) {
        self.census = census
        self.price = price
        order = LoadOrder(census.nodes.map(\.share))
        residents = Array(repeating: [], count: census.nodes.count)
        isSorted = Array(repeating: false, count: census.nodes.count)
        changedResidents = Array(repeating: 0, count: census.nodes.count)
        for app in census.apps.indices where census.apps[app].isFree { residents[census.apps[app].node].append(app) }
    }

    var plan: Plan {
        let moved = changed.filter { census.apps[$0].origin != nil }.sorted {
            census.apps[$0].name < census.apps[$1].name
        }
        return Plan(
            assignments: assigned.map {
                Assignment(app: census.apps[$0].name, node: census.nodes[census.apps[$0].node].id)
            },
            moves: moved.compactMap { app in
                census.apps[app].origin.map {
                    Move(
                        app: census.apps[app].name, from: census.nodes[$0].id,
                        to: census.nodes[census.apps[app].node].id)
                }
            })
    }

    // MARK: Placing

    /// Gives queued apps a node, largest first, of equals the one queued longer.
    mutating func place(_ state: SiteState, limit: Int) {
        // The oldest of a long queue: else small apps would wait for ever behind larger ones that come after them. Those that
        // have nowhere to go don't count.
        var queued: [(app: Int, failedOn: [Int], wish: Int?)] = []
        let most = limit > .max / 4 ? limit : limit * 4
        for name in state.queue {
            if queued.count >= most { break }
            guard let record = state.apps[name] else { continue }
            let app = census.enter(queued: record, state)
            guard census.isPlaceable(app) else { continue }
            let failedOn = record.failedOn.compactMap { census.number(of: $0) }
            queued.append((app, failedOn, record.on.flatMap { census.number(of: $0) }))
        }
        queued.sort { (census.apps[$1.app].size, $0.app) < (census.apps[$0.app].size, $1.app) }
        for (app, failedOn, wish) in queued where assigned.count < limit {
            if let wish, census.admits(wish, app) {
                // A wish is an order: it counts even where the app doesn't fit, and levelling doesn't undo it in the same plan.
                assign(app, to: wish, isFixed: true)
            } else if let node = site(for: app, except: failedOn) ?? site(for: app, except: []) {
                assign(app, to: node, isFixed: false)
            }
        }
    }

    /// Of the least loaded nodes that can take the app, the one where it adds least to the potential.
    private func site(for app: Int, except failedOn: [Int]) -> Int? {
        var best: (node: Int, added: Int64)?
        var seen = 0
        for number in order.ascending {
            guard seen < Self.width else { break }
            let node = census.nodes[number]
            let load = node.load &+ census.apps[app].demand
            guard !failedOn.contains(number), census.admits(number, app), fits(number, load, gaining: app) else {
                continue
            }
            seen += 1
            let added = node.potential(load) - node.potential(node.load)
            if best.map({ added < $0.added }) ?? true { best = (number, added) }
        }
        return best?.node
    }

    private mutating func assign(_ app: Int, to node: Int, isFixed: Bool) {
        census.put(app, on: node)
        order.update(node, census.nodes[node].share)
        assigned.append(app)
        if isFixed { return }
        residents[node].append(app)
        isSorted[node] = false
        changed.insert(app)
        changedResidents[node] += 1
    }

    // MARK: Levelling

    private struct Change {
        var profit: Int64
        /// From the more to the less loaded node.
        var app: Int
        /// The other way; nil for a plain move.
        var other: Int?
        var from: Int
        var to: Int
    }

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
        let high = order.ascending.suffix(Self.width).reversed()
        let low = order.ascending.prefix(Self.width)
        for node in high { sortResidents(of: node) }
        for node in low { sortResidents(of: node) }
        var best: Change?
        for from in high {
            for to in low {
                let bound = self.bound(from, to)
                // Pairs come in descending order of what they could gain.
                if bound <= max(0, best?.profit ?? 0) { break }
                if bound <= price, changedResidents[from] == 0, changedResidents[to] == 0 { continue }
                search(from, to, &best)
            }
        }
        return best
    }

    private mutating func sortResidents(of node: Int) {
        guard !isSorted[node] else { return }
        isSorted[node] = true
        let apps = census.apps
        residents[node].sort {
            apps[$0].size != apps[$1].size ? apps[$0].size > apps[$1].size : apps[$0].name < apps[$1].name
        }
    }

    /// The most that any change between two nodes can gain where one resource dominates on both.
    private func bound(_ from: Int, _ to: Int) -> Int64 {
        let difference = min(1 << 30, census.nodes[from].share - census.nodes[to].share)
        guard difference > 0 else { return 0 }
        let capacity = max(census.nodes[from].capacity.max(), census.nodes[to].capacity.max())
        let square = difference * difference / 2
        return Int64(clamping: Int128(square) * Int128(capacity) / 1_000_000)
    }

    private func search(_ from: Int, _ to: Int, _ best: inout Change?) {
        let (source, target) = (census.nodes[from], census.nodes[to])
        let before = source.potential(source.load) + target.potential(target.load)
        for app in residents[from] where census.admits(to, app) {
            let demand = census.apps[app].demand
            let cost = cost(of: app, to: to)
            consider(app, nil, demand, before, cost, from, to, &best)
            for other in residents[to] where census.admits(from, other) {
                let net = demand &- census.apps[other].demand
                guard net.max() > 0 else { continue }
                consider(app, other, net, before, cost + self.cost(of: other, to: from), from, to, &best)
            }
        }
    }

    private func consider(
        _ app: Int, _ other: Int?, _ net: Amounts, _ before: Int64, _ cost: Int64, _ from: Int, _ to: Int,
        _ best: inout Change?
    ) {
        let (source, target) = (census.nodes[from], census.nodes[to])
        let (left, grown) = (source.load &- net, target.load &+ net)
        let profit = before - source.potential(left) - target.potential(grown) - cost
        guard profit > (best?.profit ?? 0), fits(to, grown, gaining: app), hasSlots(app, other, from, to)
        else { return }
        if let other, !fits(from, left, gaining: other) { return }
        best = Change(profit: profit, app: app, other: other, from: from, to: to)
    }

    /// What it costs to send an app to `node` from where this plan has it.
    private func cost(of app: Int, to node: Int) -> Int64 {
        guard let origin = census.apps[app].origin else { return 0 }
        let here = census.apps[app].node
        return price(of: app, from: origin, to: node) - price(of: app, from: origin, to: here)
    }

    private func price(of app: Int, from origin: Int, to node: Int) -> Int64 {
        guard origin != node else { return 0 }
        let memory = census.apps[app].memory
        guard memory > 0 else { return price }
        let bandwidth = min(census.nodes[origin].bandwidth, census.nodes[node].bandwidth)
        let milliseconds = min(3_600_000, Int64(clamping: Int128(memory) * 1_000 / Int128(bandwidth)))
        return price + price / Self.shipping * milliseconds
    }

    /// Whether the nodes can take part in the moves that a change makes: an app that runs elsewhere than where the plan found it
    /// takes a slot at both ends.
    private func hasSlots(_ app: Int, _ other: Int?, _ from: Int, _ to: Int) -> Bool {
        func taken(_ app: Int, at place: Int, of node: Int) -> Int {
            guard let origin = census.apps[app].origin, place != origin else { return 0 }
            return node == origin || node == place ? 1 : 0
        }
        func isWithin(_ node: Int) -> Bool {
            var change = taken(app, at: to, of: node) - taken(app, at: from, of: node)
            if let other { change += taken(other, at: from, of: node) - taken(other, at: to, of: node) }
            return change <= 0 || change <= census.nodes[node].slots
        }
        guard isWithin(from), isWithin(to), census.apps[app].origin.map(isWithin) ?? true else { return false }
        return other.flatMap { census.apps[$0].origin }.map(isWithin) ?? true
    }

    /// Whether `node` can carry `load` with `app` added to it. Memory is needed at both ends until a move has ended.
    private func fits(_ node: Int, _ load: Amounts, gaining app: Int) -> Bool {
        let site = census.nodes[node]
        let excess = site.shares(of: load).max()
        guard excess <= 1_000_000 || excess < site.share else { return false }
        let memory = census.apps[app].demand[1]
        return memory == 0 || census.apps[app].origin == node || site.heldMemory + memory <= site.capacity[1]
    }

    private mutating func apply(_ change: Change) {
        go(change.app, to: change.to)
        if let other = change.other { go(other, to: change.from) }
        order.update(change.from, census.nodes[change.from].share)
        order.update(change.to, census.nodes[change.to].share)
    }

    private mutating func go(_ app: Int, to node: Int) {
        let (here, origin) = (census.apps[app].node, census.apps[app].origin)
        residents[here].removeAll { $0 == app }
        residents[node].append(app)
        isSorted[node] = false
        if changed.remove(app) != nil { changedResidents[here] -= 1 }
        if node != origin {
            changed.insert(app)
            changedResidents[node] += 1
        }
        if let origin {
            if here == origin { moves += 1 }
            if node == origin { moves -= 1 }
            census.take(slots: here == origin ? 1 : node == origin ? -1 : 0, of: origin)
            if here != origin { census.take(slots: -1, of: here) }
            if node != origin { census.take(slots: 1, of: node) }
        }
        census.put(app, on: node)
    }
}
