import Contracts
import Machine
import MigratorCore

/// Which faults a run has, each in ppm of its occasions.
struct Faults {
    var crash: UInt64 = 0
    /// The migrator dies between two effects of a step.
    var crashInStep: UInt64 = 0
    var powerCut: UInt64 = 0
    var cutOff: UInt64 = 0
    var operationFails: UInt64 = 0
    var messageLost: UInt64 = 0
    var absence: UInt64 = 0
    var appCrash: UInt64 = 0

    static let none = Faults()
}

/// Devices with engines, migrators and a chain, in simulated time. The same seed gives the same run.
struct SimulatedSite {
    enum What {
        case event(node: Int, life: Int, MigratorEvent.Kind)
        case timer(node: Int, life: Int, at: Int64)
        /// The engine does a thing that a migrator asked for, though that one may be dead by now.
        case engine(node: Int, life: Int, OperationID, Operation)
        case line(node: Int, Placement, until: Int64)
        case receipt(Receipt, NodeID)
        case ask(source: Int, life: Int, OperationID, Outgoing, from: Int, to: Int)
        case offer(source: Int, life: Int, OperationID, Operation, to: Int)
        case answered(RequestID, HandoffAnswer)
        case start(node: Int)
        case block
        case mischief
    }

    var faults: Faults
    var random: SplitMix64
    var now: Int64 = 0
    var chain: SimulatedChain
    var devices: [SimulatedDevice]
    private var queue = DueQueue()
    private var count = 0
    private var requests: [RequestID: (source: Int, life: Int, id: OperationID, operation: Operation, target: Int)] =
        [:]
    private var nextMemory: Memory = 0
    private var armed: [Int: Int64] = [:]
    var violations: [String] = []
    var isTraced = false
    var trace: [String] = []
    /// Apps whose memory may be lost without the migrator's fault.
    var excused: Set<String> = []
    var hasAbsence = false
    /// Milliseconds for which a block keeps a device in touch.
    static let touch: Int64 = 4_000

    init(seed: UInt64, nodes: Int, apps: Int, faults: Faults) {
        self.faults = faults
        random = SplitMix64(seed: seed)
        let ids = (0..<nodes).map { NodeID(unchecked: [UInt8](repeating: UInt8($0 + 1), count: 32)) }
        chain = SimulatedChain(nodes: ids)
        devices = ids.map { SimulatedDevice(id: $0) }
        for index in 0..<apps {
            let name = "app\(index)"
            chain.apps[name] = SimulatedChain.App(
                specification: AppSpecification(
                    name: name, image: "i", restart: .always, isolated: index % 2 == 0 ? .run : .freeze),
                node: ids[index % nodes])
            for node in devices.indices { devices[node].policies[name] = chain.apps[name]?.specification.isolated }
        }
        for node in 0..<nodes { schedule(Int64(node), .start(node: node)) }
        schedule(1_000, .block)
        schedule(5_500, .mischief)
    }

    private mutating func chance(_ ppm: UInt64) -> Bool { random.next(below: 1_000_000) < ppm }

    private mutating func schedule(_ delay: Int64, _ what: What) {
        count += 1
        queue.push(Due(at: now + max(0, delay), number: count, what: what))
    }

    private mutating func delay(_ range: ClosedRange<Int>) -> Int64 { Int64(random.next(in: range)) }

    mutating func run(until end: Int64) {
        while let due = queue.pop(until: end) {
            now = due.at
            take(due.what)
            check()
        }
        now = end
    }

    private mutating func take(_ what: What) {
        switch what {
        case .event(let node, let life, let kind): if devices[node].life == life { step(node, kind) }
        case .timer(let node, let life, let at):
            if devices[node].life == life, armed[node] == at { step(node, .timer) }
        case .engine(let node, let life, let id, let operation): engine(node, life, id, operation)
        case .line(let node, let placement, let until):
            guard !devices[node].isCutOff, placement.height >= devices[node].shown else { return }
            devices[node].shown = placement.height
            note(node, "sees \(placement.apps.map(\.words).joined(separator: " "))")
            step(node, .placement(placement))
            step(node, .committed(Commit(height: placement.height, placement: placement.height, until: until)))
        case .receipt(let receipt, let sender): chain.mempool.append((receipt, sender))
        case .ask(let source, let life, let id, let entry, let from, let to): ask(source, life, id, entry, from, to)
        case .offer(let source, let life, let id, let operation, let to): offer(source, life, id, operation, to)
        case .answered(let request, let answer): answered(request, answer)
        case .start(let node): start(node)
        case .block: block()
        case .mischief: mischief()
        }
    }

    // MARK: migrators

    private mutating func start(_ node: Int) {
        guard devices[node].machine == nil else { return }
        devices[node].machine = MigratorMachine(journal: devices[node].journal)
        step(node, .started(boot: "boot\(devices[node].boot)"))
        if !devices[node].isCutOff {
            schedule(
                delay(10...500),
                .line(node: node, chain.placement(for: devices[node].id), until: chain.time + Self.touch))
        }
    }

    private mutating func crash(_ node: Int, for downtime: Int64) {
        guard devices[node].machine != nil, now - devices[node].lastCrash > 6_000 else { return }
        note(node, "crashes")
        devices[node].machine = nil
        devices[node].life += 1
        devices[node].lastCrash = now
        devices[node].shown = 0
        schedule(downtime, .start(node: node))
    }

    private mutating func step(_ node: Int, _ kind: MigratorEvent.Kind) {
        guard let effects = devices[node].machine?.step(MigratorEvent(now: now, wallTime: now + 1_000_000, kind)) else {
            return
        }
        for effect in effects {
            if chance(faults.crashInStep) { crash(node, for: delay(50...1_000)) }
            guard devices[node].machine != nil else { return }
            perform(node, effect)
        }
    }

    private mutating func perform(_ node: Int, _ effect: MigratorEffect) {
        let life = devices[node].life
        switch effect {
        case .persist(let journal): devices[node].journal = journal
        case .observe(let number):
            // What the engine lists is as old as the answer's way back is long.
            schedule(delay(1...200), .event(node: node, life: life, .observed(number, devices[node].allCopies)))
        case .wake(let at):
            armed[node] = at
            schedule(at - now, .timer(node: node, life: life, at: at))
        case .post(let receipt):
            note(node, "posts \(receipt.app)/\(receipt.incarnation) \(receipt.outcome)")
            guard !devices[node].isCutOff, !chance(faults.messageLost) else { return }
            schedule(delay(10...800), .receipt(receipt, devices[node].id))
        case .answer(let request, let answer):
            if !chance(faults.messageLost) { schedule(delay(1...300), .answered(request, answer)) }
        case .cancel: break
        case .perform(let id, let operation): perform(node, life, id, operation)
        }
    }

    private mutating func perform(_ node: Int, _ life: Int, _ id: OperationID, _ operation: Operation) {
        note(node, "begins \(operation.words)")
        switch operation {
        case .prepare(_, let peer, _), .ship(_, let peer, _):
            remote(node, life, id, operation, peer.id)
        case .askRestore(_, let peer): remote(node, life, id, operation, peer.id)
        default:
            if chance(faults.operationFails) {
                return finish(node, life, id, .delayed("the engine is busy"), operation, after: delay(5...400))
            }
            schedule(delay(5...400), .engine(node: node, life: life, id, operation))
        }
    }

    private mutating func remote(_ node: Int, _ life: Int, _ id: OperationID, _ operation: Operation, _ peer: NodeID) {
        guard let to = devices.firstIndex(where: { $0.id == peer }) else { return }
        // The source stops waiting after a while; what it sent may still arrive.
        finish(node, life, id, .delayed("no answer"), operation, after: 3_000)
        guard !chance(faults.messageLost) else { return }
        if case .askRestore(let entry, _) = operation {
            let copies = chance(faults.messageLost) ? 2 : 1
            for _ in 0..<copies {
                let late = chance(faults.messageLost) ? delay(3_000...15_000) : delay(5...300)
                schedule(late, .ask(source: node, life: life, id, entry, from: node, to: to))
            }
        } else {
            schedule(delay(5...600), .offer(source: node, life: life, id, operation, to: to))
        }
    }

    private mutating func finish(
        _ node: Int, _ life: Int, _ id: OperationID, _ outcome: OperationOutcome, _ operation: Operation,
        after delay: Int64
    ) {
        schedule(delay, .event(node: node, life: life, .finished(id, outcome, devices[node].copies(of: operation.app))))
    }

    private mutating func engine(_ node: Int, _ life: Int, _ id: OperationID, _ operation: Operation) {
        // A dead migrator's request may have reached the engine, or may not.
        if devices[node].life != life, chance(500_000) { return }
        let lives = devices[node].life == life
        var memory = nextMemory
        var outcome = devices[node].apply(operation) {
            memory += 1
            return memory
        }
        nextMemory = memory
        if chance(faults.operationFails), case .done = outcome { outcome = .delayed("the answer was lost") }
        if lives {
            let found = devices[node].copies(of: operation.app)
            note(node, "\(operation.words): \(outcome.words)")
            step(node, .finished(id, outcome, found))
        }
    }

    private func isUp(_ node: Int, _ life: Int) -> Bool { devices[node].life == life && devices[node].machine != nil }

    private mutating func offer(_ source: Int, _ life: Int, _ id: OperationID, _ operation: Operation, _ to: Int) {
        guard devices[to].machine != nil, isUp(source, life), let entry = operation.outgoing else { return }
        count += 1
        let request = RequestID(UInt64(count))
        requests[request] = (source, life, id, operation, to)
        let offer = Offer(
            app: entry.app, incarnation: entry.order.incarnation, from: devices[source].id, imageID: "", layers: [],
            remaining: entry.askUntil - now)
        step(to, .offered(request, offer))
    }

    private mutating func ask(
        _ source: Int, _ life: Int, _ id: OperationID, _ entry: Outgoing, _ from: Int, _ to: Int
    ) {
        guard devices[to].machine != nil else { return }
        count += 1
        let request = RequestID(UInt64(count))
        let peer = PlacedNode(id: devices[to].id, name: "", migratorAddress: nil)
        requests[request] = (source, life, id, .askRestore(entry, peer: peer), to)
        step(to, .restoreAsked(request, entry.key, from: devices[from].id, entry.parts))
    }

    private mutating func answered(_ request: RequestID, _ answer: HandoffAnswer) {
        guard let (source, life, id, operation, to) = requests.removeValue(forKey: request), isUp(source, life) else {
            return
        }
        var outcome: OperationOutcome
        switch answer {
        case .accepted, .running: outcome = .done(OperationMeasures())
        case .problem(let problem):
            switch problem.code {
            case "refused": outcome = .refused(problem.detail)
            case "unknown-handoff", "digest-mismatch": outcome = .incomplete(problem.detail)
            default: outcome = .delayed(problem.detail)
            }
        }
        if case .ship(let entry, _, _) = operation, case .done = outcome {
            let isReceiving = devices[to].machine?.journal.incoming.contains {
                $0.key == entry.key && $0.phase == .receiving
            }
            guard isReceiving == true, let memory = devices[source].copies[entry.copy]?.checkpoint else { return }
            devices[to].parts[entry.key] = (memory, !chance(faults.operationFails))
            outcome = chance(faults.operationFails / 4) ? .refused("disk full") : outcome
        }
        if case .prepare = operation, chance(faults.operationFails / 4) { outcome = .refused("disk full") }
        note(source, "\(operation.words): \(outcome.words)")
        step(source, .finished(id, outcome, devices[source].copies(of: operation.app)))
    }

    // MARK: the world

    private mutating func block() {
        chain.commit(now: now)
        for node in devices.indices where !devices[node].isCutOff {
            schedule(
                delay(10...900),
                .line(node: node, chain.placement(for: devices[node].id), until: chain.time + Self.touch))
        }
        schedule(1_000, .block)
    }

    var movesGoOn = true

    private mutating func mischief() {
        schedule(500, .mischief)
        let names = chain.apps.keys.sorted()
        let name = names[random.next(in: 0...names.count - 1)]
        let node = random.next(in: 0...devices.count - 1)
        if movesGoOn, chance(300_000) { chain.order(name, to: devices[node].id) }
        if chance(faults.crash) { crash(node, for: delay(50...1_000)) }
        if chance(faults.cutOff) { devices[node].isCutOff.toggle() }
        if chance(faults.absence) {
            hasAbsence = true
            excused.insert(name)
            chain.place(name, anew: devices[node].id)
        }
        if chance(faults.appCrash), let id = devices[node].running(name).first?.copy.id {
            excused.insert(name)
            devices[node].copies[id]!.copy.state = .ended(1)
            step(node, .engineChanged)
        }
        if chance(faults.powerCut) { powerCut(node) }
    }

    private mutating func powerCut(_ node: Int) {
        guard devices[node].machine != nil, now - devices[node].lastCrash > 6_000 else { return }
        crash(node, for: delay(2_000...20_000))
        devices[node].boot += 1
        for id in devices[node].copies.keys.sorted() {
            let state = devices[node].copies[id]!.copy.state
            if state == .running || state == .frozen {
                excused.insert(devices[node].copies[id]!.copy.app)
                devices[node].copies[id]!.copy.state = .ended(255)
            }
        }
    }

    mutating func heal() {
        faults = .none
        movesGoOn = false
        for node in devices.indices where devices[node].isCutOff {
            devices[node].isCutOff = false
            schedule(0, .line(node: node, chain.placement(for: devices[node].id), until: chain.time + Self.touch))
        }
    }

    /// The last things that happened, for whoever reads a failure.
    private mutating func note(_ node: Int, _ text: @autoclosure () -> String) {
        guard isTraced, violations.isEmpty else { return }
        trace.append("\(now) pi\(node + 1) \(text())")
        if trace.count > 400 { trace.removeFirst(200) }
    }

    /// Never two running copies that the chain could mean.
    private mutating func check() {
        for (name, app) in chain.apps {
            let running = devices.flatMap { $0.running(name) }
            let meant =
                hasAbsence
                ? running.filter {
                    $0.copy.incarnation == app.incarnation || $0.copy.incarnation == app.move?.order.incarnation
                } : running
            if meant.count > 1 {
                violations.append("\(now) ms: \(name) runs \(meant.count) times: \(meant.map(\.copy))")
            }
        }
    }
}
