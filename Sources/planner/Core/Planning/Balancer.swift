/// Makes one plan of ``BalanceStrategy``: places what is queued, then levels.
struct Balancer {
    /// How many of the most, and of the least, loaded nodes a step looks at.
    static let width = 12
    /// Milliseconds of shipping that double a move's price.
    private static let shipping: Int64 = 10_000
    /// Ppm of an average device.
    private static let smallSize: Int64 = 50_000

    private(set) var census: Census
    var order: LoadOrder
    /// Of a move that ships no memory, of an app that isn't small.
    let price: Int64
    /// Of the smallest app that may move.
    private(set) var leastPrice: Int64
    /// The apps that may move.
    var residents: Residents
    /// Apps that have got a node, or another one, in this plan.
    private var changed: Set<Int> = []
    /// On each node.
    private(set) var changedResidents: [Int]
    private(set) var assigned: [Int] = []
    private(set) var moves = 0
    var searches: PairSearches

    /// - Parameter price: of a move on so many nodes.
    init(_ census: consuming Census, price: (Int) -> Int64) {
        self.price = price(census.nodes.count)
        leastPrice = self.price
        order = LoadOrder(census.nodes.map(\.weight))
        residents = Residents(nodes: census.nodes.count, apps: census.apps.count)
        changedResidents = Array(repeating: 0, count: census.nodes.count)
        searches = PairSearches(nodes: census.nodes.count)
        for app in census.apps.indices where census.apps[app].isFree {
            residents.insert(app, on: census.apps[app].node, census.apps)
            leastPrice = min(leastPrice, Self.price(self.price, ofSize: census.apps[app].size))
        }
        self.census = census
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
            queued.append((app, failedOn, (record.home ?? record.on).flatMap { census.number(of: $0) }))
        }
        queued.sort { (census.apps[$1.app].size, $0.app) < (census.apps[$0.app].size, $1.app) }
        for (app, failedOn, wish) in queued where assigned.count < limit {
            if let wish, census.admits(wish, app) {
                // A wish is an order, and so is where its volumes are: it counts even where the app doesn't fit, and levelling doesn't undo it in the same plan.
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
        order.update(node, census.nodes[node].weight)
        assigned.append(app)
        if isFixed { return }
        residents.insert(app, on: node, census.apps)
        changed.insert(app)
        changedResidents[node] += 1
    }

    // MARK: Rules

    /// What it costs to send an app to `node` from where this plan has it.
    func cost(of app: Int, to node: Int) -> Int64 {
        guard let origin = census.apps[app].origin else { return 0 }
        let here = census.apps[app].node
        return price(of: app, from: origin, to: node) - price(of: app, from: origin, to: here)
    }

    private func price(of app: Int, from origin: Int, to node: Int) -> Int64 {
        guard origin != node else { return 0 }
        let clear = Self.price(self.price, ofSize: census.apps[app].size)
        // A gain that is there only if the two devices carry exactly what is taken for it isn't one: an app of size m gains
        // 2·m·d by a difference of d.
        let doubt = census.nodes[origin].doubt &+ census.nodes[node].doubt
        let price = clear &+ (census.apps[app].demand &* doubt).wrappedSum() &* 2
        let memory = census.apps[app].memory
        guard memory > 0 else { return price }
        let bandwidth = min(census.nodes[origin].bandwidth, census.nodes[node].bandwidth)
        let milliseconds = min(3_600_000, Int64(clamping: Int128(memory) * 1_000 / Int128(bandwidth)))
        return price + clear / Self.shipping * milliseconds
    }

    /// A small app's pause stops little work, and at the full price no difference between two nodes would be worth moving one. So
    /// below a twentieth of a device the price goes with the size.
    private static func price(_ price: Int64, ofSize size: Int64) -> Int64 {
        size >= smallSize ? price : max(1, price / smallSize * max(size, smallSize / 50))
    }

    /// Whether the nodes can take part in the moves that a change makes: an app that runs elsewhere than where the plan found it
    /// takes a slot at both ends.
    func hasSlots(_ app: Int, _ other: Int?, _ from: Int, _ to: Int) -> Bool {
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
    func fits(_ node: Int, _ load: Amounts, gaining app: Int) -> Bool {
        let site = census.nodes[node]
        let excess = site.shares(of: load).max()
        guard excess <= 1_000_000 || excess < site.share else { return false }
        let memory = census.apps[app].demand[1]
        return memory == 0 || census.apps[app].origin == node || site.heldMemory + memory <= site.capacity[1]
    }

    /// Sends an app, which may move, to another node.
    mutating func go(_ app: Int, to node: Int) {
        let (here, origin) = (census.apps[app].node, census.apps[app].origin)
        residents.remove(app, from: here)
        residents.insert(app, on: node, census.apps)
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
