public import ConsensusCore
import Contracts
import PlannerCore

/// A whole site: devices with all five cores each, a network, and what goes wrong. One seed gives one history.
public final class SimulatedSite {
    /// How a site is broken on purpose, to show that the judge sees it.
    public enum Mutant: Sendable {
        /// Engines say that a restore failed, and leave the restored copy running.
        case lyingEngine
        /// Engines start a moved program anew instead of restoring it.
        case amnesiacEngine
        /// One planner stores another block than was agreed on.
        case forgedBlock
        /// Planners say that their devices are in touch for ever.
        case boundlessTouch
    }

    public struct Options: Sendable {
        public var devices = 4
        public var hasFaults = true
        public var mutant: Mutant?
        public var isTranscribed = false
        /// How its nodes elect; nil: the seed decides.
        public var engine: (any Election.Type)?

        public init() {}
    }

    public struct Outcome: Sendable {
        /// What was wrong; empty if nothing.
        public var violations: [String]
        public var transcript: [String]
        public var blocks: Int
        public var moves: Int
        public var terms: Int
        public var requests: Int
        /// Milliseconds of simulated time from the last fault until all was well.
        public var recovery: Int64
    }

    /// Milliseconds after the last fault within which all must be well.
    static let patience: Int64 = 120_000
    /// Milliseconds for which all must then stay as it should be.
    static let calm: Int64 = 2_000

    let name = "simulation"
    let parameters = SiteParameters(
        blockInterval: 1_000, absentAfter: 6_000, moveDeadline: 15_000, declaredDemand: 100)
    let time: Timeline
    let network: SimulatedNetwork
    private(set) var devices: [SimulatedDevice] = []
    private(set) lazy var judge = Judge(site: self)
    let plan: FaultPlan
    let workload: Workload
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
        network = SimulatedNetwork(time: time, weather: options.hasFaults ? .init() : .init(loss: 0, duplication: 0))
        plan = options.hasFaults ? FaultPlan(drawing: time, devices: options.devices) : .none
        workload = Workload(drawing: time, devices: options.devices)
        for number in 0..<options.devices {
            devices.append(SimulatedDevice(number: number, site: self, capacity: Int(time.draw(1...2)) * 1_000))
        }
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
        time.after(time.draw(0...1_500)) { device.switchOn() }
    }

    /// Lets the site live through its faults and says what came of it.
    public func run() -> Outcome {
        for fault in plan.faults {
            note(nil, "plan: at \(fault.at) \(fault.words)")
            time.after(fault.at) { [self] in begin(fault) }
        }
        time.after(4_000) { [self] in (suddenDeaths, ambushes) = (plan.suddenDeaths, plan.ambushes) }
        for wish in workload.wishes { time.after(wish.at) { [self] in submit(wish.submissions) } }
        for app in workload.removed.sorted() { time.after(workload.removalAt) { [self] in remove(app) } }
        pass(until: max(20_000, plan.end))
        (suddenDeaths, ambushes) = (0, 0)
        let end = max(time.now, ambushEnd)
        pass(until: end)
        note(nil, "nothing goes wrong any more")
        let height = UInt64(judge.chain?.state.height ?? 0)
        var wellSince: Int64?
        var unrest: [String] = []
        while judge.violations.isEmpty, time.now < end + Self.patience {
            pass(until: time.now + 250)
            unrest = judge.unrest(since: height, workload)
            wellSince = unrest.isEmpty ? wellSince ?? time.now : nil
            if let wellSince, time.now - wellSince >= Self.calm { break }
        }
        for fault in unrest where judge.violations.isEmpty || wellSince == nil {
            judge.accuse("\((time.now - end) / 1_000) s after the last fault \(fault)")
        }
        return Outcome(
            violations: judge.violations, transcript: transcript, blocks: Int(judge.chain?.state.height ?? 0),
            moves: judge.completedMoves, terms: judge.terms, requests: network.requests,
            recovery: (wellSince ?? time.now) - end)
    }

    private func pass(until end: Int64) {
        while judge.violations.isEmpty, time.advance(until: end) {}
    }

    // MARK: - Wishes

    private func submit(_ submissions: [Submission]) {
        let device = devices[Int(time.draw(0...devices.count - 1))]
        device.planner.submit(submissions) { [self] problem in
            guard let problem else { return note(device, "takes \(submissions.map(\.specification.name))") }
            // An earlier try may have got through without its answer.
            if problem.status != 409 { time.after(1_000) { [self] in submit(submissions) } }
        }
    }

    private func remove(_ app: String) {
        let device = devices[Int(time.draw(0...devices.count - 1))]
        device.planner.remove(app) { [self] problem in
            // What isn't there may not be there yet.
            let isGone = judge.known.contains(app) && judge.chain?.state.apps[app] == nil
            if problem == nil || problem?.status == 404, isGone { return note(device, "has removed \(app)") }
            time.after(1_000) { [self] in remove(app) }
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
        for a in devices.indices {
            for b in devices.indices where groups[a] != groups[b] {
                network.cut(from: a, to: b)
                afterwards { [self] in network.mend(from: a, to: b) }
            }
        }
    }

    // MARK: - Words

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
