/// Which faults befall a site.
public enum SiteFaults: Sendable {
    case none
    case mixed
    /// One device after the other is cut off for some seconds.
    case solitudes
    /// Power cuts.
    case blackouts
    /// Devices that are cut off for longer than their apps wait for them.
    case absences
}

/// What goes wrong in a run, and when.
struct FaultPlan {
    enum Kind {
        /// One process is killed and comes back after the fault's duration.
        case kill(Service, device: Int)
        case powerCut(device: Int)
        /// Devices of different groups don't hear each other.
        case partition([Int])
        /// Nothing passes in this one direction.
        case deafness(from: Int, to: Int)
        case storm(SimulatedNetwork.Weather)
        case stall(Service, device: Int)
        case weakness(SimulatedEngine.Weakness, device: Int)
        /// Whatever a device does takes up to so many milliseconds longer.
        case slowness(Int, device: Int)
        /// Somebody sets the clock on the wall.
        case wallClock(device: Int, by: Int64)
    }

    struct Fault {
        var at: Int64
        var duration: Int64
        var kind: Kind
    }

    private(set) var faults: [Fault] = []
    /// Processes die between two effects of a step as long as faults are sown.
    private(set) var suddenDeaths = 0
    /// Chance out of 1,000 that something befalls a handoff at the start of one of its steps.
    private(set) var ambushes = 0

    /// - Parameters:
    ///   - devices: how many there are.
    ///   - isLong: twice as many faults in twice the time.
    init(drawing time: Timeline, devices: Int, _ temper: SiteFaults = .mixed, isLong: Bool) {
        guard temper != .none else { return }
        suddenDeaths = time.chance(perMille: 500) ? Int(time.draw(1...6)) : 0
        ambushes = time.chance(perMille: 600) ? Int(time.draw(50...300)) : 0
        if temper != .mixed {
            faults = Self.draw(time, devices: devices, temper)
            return
        }
        for _ in 0..<Int(isLong ? time.draw(3...9) : time.draw(2...6)) {
            let at = isLong ? time.draw(4_500...19_000) : time.draw(4_000...9_500)
            // Few last so long that apps are placed elsewhere meanwhile.
            let duration = isLong || time.chance(perMille: 100) ? time.draw(200...8_000) : time.draw(200...4_000)
            faults.append(Fault(at: at, duration: duration, kind: Self.draw(time, devices: devices)))
        }
        // Long enough for the others to give the device up and to run its apps.
        if time.chance(perMille: 400) {
            let lost = Int(time.draw(0...devices - 1))
            faults.append(
                Fault(
                    at: time.draw(6_000...12_000), duration: time.draw(10_000...16_000),
                    kind: .partition((0..<devices).map { $0 == lost ? 1 : 0 })))
        }
        faults.sort { ($0.at, $0.duration) < ($1.at, $1.duration) }
    }

    private static func draw(_ time: Timeline, devices: Int) -> Kind {
        func device() -> Int { Int(time.draw(0...devices - 1)) }
        func service() -> Service { Service.allCases[Int(time.draw(0...Service.allCases.count - 1))] }
        switch time.draw(0...99) {
        case ..<35: return .kill(service(), device: device())
        case ..<45: return .powerCut(device: device())
        case ..<58 where devices > 1: return .partition((0..<devices).map { _ in Int(time.draw(0...1)) })
        case ..<64 where devices > 1:
            let from = device()
            return .deafness(from: from, to: (from + 1 + Int(time.draw(0...devices - 2))) % devices)
        case ..<74:
            return .storm(.init(loss: Int(time.draw(50...300)), duplication: 100, delay: 1...Int(time.draw(30...700))))
        case ..<80: return .stall(service(), device: device())
        case ..<84: return .slowness(Int(time.draw(50...600)), device: device())
        case ..<96:
            let all = SimulatedEngine.Weakness.allCases
            return .weakness(all[Int(time.draw(0...all.count - 1))], device: device())
        default: return .wallClock(device: device(), by: time.draw(-30_000...30_000))
        }
    }

    /// Faults of one sort, as often as can be.
    private static func draw(_ time: Timeline, devices: Int, _ temper: SiteFaults) -> [Fault] {
        let interval: Int64 = temper == .absences ? 15_000 : temper == .solitudes ? 5_000 : 1_200
        return (0..<(temper == .absences ? 2 : temper == .solitudes ? 4 : 8)).map { index in
            let device = Int(time.draw(0...devices - 1))
            let alone = Kind.partition((0..<devices).map { $0 == device ? 1 : 0 })
            let at = 4_500 + Int64(index) * interval + time.draw(0...1_000)
            return switch temper {
            case .absences: Fault(at: at, duration: time.draw(10_000...13_000), kind: alone)
            case .blackouts: Fault(at: at, duration: time.draw(20...400), kind: .powerCut(device: device))
            case .none, .mixed, .solitudes: Fault(at: at, duration: time.draw(3_000...4_500), kind: alone)
            }
        }
    }

    /// When the last one is over.
    var end: Int64 { faults.map { $0.at + $0.duration }.max() ?? 0 }

    var hasFailingStarts: Bool {
        faults.contains { if case .weakness(.start, _) = $0.kind { true } else { false } }
    }
}

extension FaultPlan.Fault {
    var words: String {
        let length = "for \(duration) ms"
        return switch kind {
        case .kill(let service, let device): "\(service.rawValue) of pi\(device + 1) is killed and away \(length)"
        case .powerCut(let device): "pi\(device + 1) has no power \(length)"
        case .partition(let groups): "the site falls apart into \(groups) \(length)"
        case .deafness(let from, let to): "pi\(to + 1) doesn't hear pi\(from + 1) \(length)"
        case .storm(let weather):
            "the network loses \(weather.loss) of 1000, up to \(weather.delay.upperBound) ms, \(length)"
        case .stall(let service, let device): "\(service.rawValue) of pi\(device + 1) stands still \(length)"
        case .weakness(let weakness, let device):
            "the engine of pi\(device + 1) fails at \(weakness.rawValue) \(length)"
        case .slowness(let most, let device): "pi\(device + 1) takes up to \(most) ms longer for everything \(length)"
        case .wallClock(let device, let by): "the clock of pi\(device + 1) is set by \(by) ms"
        }
    }
}
