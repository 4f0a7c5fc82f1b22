public import ConsensusCore
import Contracts
import Identity
import PlannerCore

/// A whole site: devices with all five cores each, a network, and what goes wrong. One seed gives one history.
public final class SimulatedSite {
    public struct Options: Sendable {
        /// How many there are; nil: the seed decides, and whether they bear liars.
        public var devices: Int?
        /// How many of them lie; nil: the seed decides, and it decides for no more than the site must bear.
        public var liars: Int?
        /// How they lie; nil: the seed decides.
        public var behaviours: [Liar.Behaviour]?
        public var faults = SiteFaults.mixed
        public var mutant: Mutant?
        /// Whether nobody comes and nobody goes; else the seed decides.
        public var isSteady = false
        public var isTranscribed = false
        /// How its nodes elect; nil: the seed decides.
        public var engine: (any Election.Type)?

        public init() {}

        /// One liar more than a site of four can bear.
        public static var forked: Options {
            var options = Options()
            options.devices = 4
            options.liars = 2
            options.behaviours = [.equivocate]
            options.faults = .none
            options.isSteady = true
            return options
        }
    }

    public struct Outcome: Sendable {
        /// What was wrong; empty if nothing.
        public var violations: [String]
        public var transcript: [String]
        public var blocks: Int
        public var moves: Int
        public var terms: Int
        public var requests: Int
        public var devices: Int
        public var liars: Int
        /// Whether honest devices hold two blocks of one height.
        public var isForked: Bool
        /// Milliseconds of simulated time from the last fault until the first block after it, and until all was well.
        public var firstBlock: Int64
        public var recovery: Int64
    }

    /// Milliseconds for which all must then stay as it should be.
    static let calm: Int64 = 1_000

    let name = "simulation"
    static let operatorKey: SigningKey = {
        guard let key = SigningKey(seed: seed(1)) else {
            preconditionFailure("a seed has 32 bytes")
        }
        return key
    }()
    private var orders: UInt64 = 0
    let parameters: SiteParameters
    let cast: SiteCast
    var comings: Comings { cast.comings }
    let bounds: Bounds
    let conspiracy = Conspiracy()
    let time: Timeline
    let network: SimulatedNetwork
    private(set) var devices: [SimulatedDevice] = []
    private(set) lazy var judge = Judge(site: self)
    let plan: FaultPlan
    let workload: Workload
    /// Milliseconds for which things go wrong at least.
    private let span: Int64
    /// Chance out of 10,000 that a process dies between two effects.
    private(set) var suddenDeaths = 0
    private var ambushes = 0
    /// When the last fault that nobody planned is over.
    private var ambushEnd: Int64 = 0
    private let options: Options
    let engine: any Election.Type
    var mutant: Mutant? { options.mutant }
    private var transcript: [String] = []

    public init(seed: UInt64, options: Options = Options()) {
        self.options = options
        let engines: [any Election.Type] = [
            RaftElection.self, PaxosElection.self, PoetElection.self, RotationElection.self,
        ]
        engine = options.engine ?? engines[Int(seed % UInt64(engines.count))]
        time = Timeline(seed: seed)
        cast = SiteCast(drawing: time, options)
        parameters = SiteParameters(
            quorum: cast.rule, blockInterval: 1_000, absentAfter: 6_000, moveDeadline: 15_000, declaredDemand: 100)
        bounds = Bounds(
            faulty: SiteCast.bearable(devices: cast.devices + cast.comings.guests, rule: cast.rule),
            idleInterval: parameters.idleInterval)
        let isCalm = options.faults == .none
        network = SimulatedNetwork(time: time, weather: isCalm ? .init(loss: 0, duplication: 0) : .init())
        // Seven of eight are short, so that there can be many.
        let isLong = seed.isMultiple(of: 8) || options.faults != .mixed
        span = isLong ? 20_000 : 11_000
        let all = cast.devices + cast.comings.guests
        plan = FaultPlan(drawing: time, devices: all, options.faults, isLong: isLong)
        let capacities = (0..<cast.devices).map { [time] _ in Int(time.draw(1...2)) * 1_000 }
        workload = Workload(drawing: time, capacities: capacities, isLong: isLong)
        for (number, capacity) in capacities.enumerated() {
            devices.append(SimulatedDevice(number: number, site: self, capacity: capacity))
        }
        for number in cast.devices..<all {
            devices.append(SimulatedDevice(number: number, site: self, capacity: Int(time.draw(1...2)) * 1_000))
        }
        for number in cast.liars { devices[number].lie(cast.behaviours, with: conspiracy) }
        for device in devices { install(device) }
    }

    private func install(_ device: SimulatedDevice) {
        network.attach(device)
        device.engine.changed = { [unowned self, unowned device] app in
            judge.changed(app)
            device.migrator.noticeEngine()
        }
        device.engine.beginProgram = { [unowned self, unowned device] app, incarnation in
            judge.began(app, incarnation, on: device)
        }
        device.engine.mutant = mutant
        if device.isFounder { time.after(time.draw(0...1_500)) { device.switchOn() } }
    }

    /// Lets the site live through its faults and says what came of it.
    public func run() -> Outcome { VerificationMemo().during { live() } }

    private func live() -> Outcome {
        note(
            nil,
            "\(cast.devices) devices, \(cast.rule.rawValue) quorum; "
                + (cast.liars.isEmpty ? "nobody lies" : "\(cast.liars.map { devices[$0] }.words) lies: ")
                + (cast.liars.isEmpty ? "" : cast.behaviours.map(\.rawValue).joined(separator: ", ")))
        if !comings.words.isEmpty { note(nil, "plan: \(comings.words)") }
        for fault in plan.faults {
            note(nil, "plan: at \(fault.at) \(fault.words)")
            time.after(fault.at) { [self] in begin(fault) }
        }
        time.after(4_000) { [self] in (suddenDeaths, ambushes) = (plan.suddenDeaths, plan.ambushes) }
        for wish in workload.wishes { time.after(wish.at) { [self] in submit(wish.submissions, nextOrder()) } }
        for app in workload.removed.sorted() { time.after(workload.removalAt) { [self] in remove(app) } }
        beginComings()
        pass(until: max(span, plan.end))
        (suddenDeaths, ambushes) = (0, 0)
        let end = max(time.now, ambushEnd)
        pass(until: end)
        note(nil, "nothing goes wrong any more")
        let firstBlock = awaitBlock(since: end)
        judge.isRestored = true
        let recovery = awaitCalm(since: end)
        defer { close() }
        return Outcome(
            violations: judge.violations, transcript: transcript, blocks: Int(judge.chain?.state.height ?? 0),
            moves: judge.completedMoves, terms: judge.terms, requests: network.requests, devices: devices.count,
            liars: cast.liars.count, isForked: judge.isForked, firstBlock: firstBlock, recovery: recovery)
    }

    /// Gives up what is going on: it holds the site, which would never be given back.
    private func close() {
        for device in devices { device.switchOff() }
        time.end()
    }

    /// Lets a block be committed in time.
    /// - Returns: milliseconds that it took.
    private func awaitBlock(since end: Int64) -> Int64 {
        let height = judge.chain?.state.height ?? 0
        let round = devices.compactMap { $0.liar == nil ? $0.planner.round : nil }.max() ?? 0
        let bound = bounds.firstBlock(from: round)
        while judge.violations.isEmpty, judge.chain?.state.height ?? 0 == height {
            pass(until: time.now + 50)
            guard time.now - end > bound else { continue }
            let stands = devices.map { "\($0.name) \($0.planner.standing)" }.joined(separator: "; ")
            judge.accuse("no block \(bound) ms after the last fault, then in round \(round): \(stands)")
        }
        return time.now - end
    }

    /// Lets the site come to rest in time.
    /// - Returns: milliseconds that it took.
    private func awaitCalm(since end: Int64) -> Int64 {
        // An app of a device that leaves rests after a move that failed.
        let rest = comings.parting == nil ? 0 : parameters.coolDown
        let limit = time.now + bounds.allWell + rest
        var wellSince: Int64?
        while judge.violations.isEmpty {
            pass(until: time.now + 250)
            let unrest = judge.unrest(workload)
            wellSince = unrest.isEmpty ? wellSince ?? time.now : nil
            if let wellSince, time.now - wellSince >= Self.calm { break }
            guard time.now > limit, judge.violations.isEmpty else { continue }
            for fault in unrest { judge.accuse("\((time.now - end) / 1_000) s after the last fault \(fault)") }
        }
        return (wellSince ?? time.now) - end
    }

    /// Votes that decide while the founders do.
    var quorum: Int { Quorum(members: cast.devices, rule: cast.rule).votes }

    /// A process dies in the middle of a step, or the whole device loses its power there.
    func strike(_ device: SimulatedDevice, _ service: Service) {
        guard time.chance(perMille: 200) else {
            note(device, "\(service.rawValue) dies between two effects")
            return device.killAndRestart(service, after: time.draw(50...1_500))
        }
        note(device, "loses its power as \(service.rawValue) writes")
        judge.excuse(device)
        device.switchOff()
        time.after(time.draw(50...1_500)) { device.switchOn() }
    }

    private func pass(until end: Int64) {
        while judge.violations.isEmpty, time.advance(until: end) {}
    }

    // MARK: - Wishes

    /// - Parameter number: of the operator's order, which stays the same however often it is brought.
    private func submit(_ submissions: [Submission], _ number: UInt64) {
        let device = devices[Int(time.draw(0...devices.count - 1))]
        device.planner.submit(submissions, number) { [self] problem in
            guard let problem else { return note(device, "takes \(submissions.map(\.specification.name))") }
            // An earlier try may have got through without its answer.
            guard problem.code != "app-exists" else { return }
            // Who was wished for may be no member any more.
            let wishes = submissions.map {
                Submission(specification: $0.specification, on: problem.code == "unknown-node" ? nil : $0.on)
            }
            time.after(1_000) { [self] in submit(wishes, number) }
        }
    }

    private func remove(_ app: String) {
        let device = devices[Int(time.draw(0...devices.count - 1))]
        device.planner.remove(app) { [self] problem in
            // What isn't there may not be there yet.
            let isGone = judge.known.contains(app) && judge.chain?.state.apps[app] == nil
            if problem == nil || problem?.status == 404, isGone {
                note(device, "has removed \(app)")
                // A submission that was asked for twice, for want of an answer, may bring it back.
                removeAgain(app)
            } else {
                time.after(1_000) { [self] in remove(app) }
            }
        }
    }

    private func removeAgain(_ app: String) {
        time.after(2_000) { [self] in
            if judge.chain?.state.apps[app] != nil { remove(app) } else { removeAgain(app) }
        }
    }

    // MARK: - Faults

    private func begin(_ fault: FaultPlan.Fault) {
        note(nil, fault.words)
        func afterwards(_ body: @escaping () -> Void) { time.after(fault.duration, body) }
        switch fault.kind {
        case .kill(let service, let number): devices[number].killAndRestart(service, after: fault.duration)
        case .powerCut(let number):
            let device = devices[number]
            judge.excuse(device)
            device.switchOff()
            afterwards { device.switchOn() }
        case .partition(let groups): partition(groups, afterwards)
        case .deafness(let from, let to):
            network.cut(from: from, to: to)
            afterwards { [self] in network.mend(from: from, to: to) }
        case .storm(let weather):
            let number = Int(fault.at)
            network.begin(weather, number: number)
            afterwards { [self] in network.endStorm(number: number) }
        case .stall(let service, let number): devices[number][service].stall(for: min(fault.duration, 4_000))
        case .weakness(let weakness, let number):
            let engine = devices[number].engine
            engine.weaken(weakness)
            afterwards { engine.strengthen(weakness) }
        case .slowness(let most, let number):
            devices[number].slowness = most
            afterwards { [self] in devices[number].slowness = 0 }
        case .wallClock(let number, let offset): devices[number].clock.wallOffset += offset
        }
    }

    /// A move's steps are where most can go wrong, so that is where more does.
    func ambush(_ source: SimulatedDevice, _ target: NodeID) {
        guard time.chance(perMille: ambushes), let target = devices.first(where: { $0.id == target }) else { return }
        let device = time.chance(perMille: 500) ? source : target
        let kind: FaultPlan.Kind =
            switch time.draw(0...9) {
            case ..<4: .kill(.migrator, device: device.number)
            case ..<6: .kill(Service.allCases[Int(time.draw(1...3))], device: device.number)
            case ..<7: .powerCut(device: device.number)
            default: .partition(devices.map { $0 === device ? 1 : 0 })
            }
        let fault = FaultPlan.Fault(at: time.now + time.draw(0...700), duration: time.draw(100...8_000), kind: kind)
        ambushEnd = max(ambushEnd, fault.at + fault.duration)
        time.after(fault.at - time.now) { [self] in begin(fault) }
    }

    private func partition(_ groups: [Int], _ afterwards: (@escaping () -> Void) -> Void) {
        for a in groups.indices {
            for b in groups.indices where groups[a] != groups[b] {
                network.cut(from: a, to: b)
                afterwards { [self] in network.mend(from: a, to: b) }
            }
        }
    }

    // MARK: - Words

    /// A sequence for the operator's next order.
    func nextOrder() -> UInt64 {
        orders += 1
        return orders
    }

    func name(_ id: NodeID) -> String { devices.first { $0.id == id }?.name ?? id.short }

    func words(_ app: AppRecord) -> String {
        let move = app.move.map { " moving to \(name($0.to)) (\($0.incarnation))" } ?? ""
        let place = app.node.map { " on \(name($0)) (\(app.incarnation))" } ?? ""
        return "\(app.phase.rawValue)\(place)\(move)\(app.reason.isEmpty ? "" : " [\(app.reason)]")"
    }

    func note(_ device: SimulatedDevice?, _ text: @autoclosure () -> String) {
        guard options.isTranscribed else { return }
        let at = String(time.now)
        let column = String(repeating: " ", count: max(0, 7 - at.count)) + at
        transcript.append("\(column)  \(device?.name ?? "---")  \(text())")
    }
}
