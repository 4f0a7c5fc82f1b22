import Contracts
import PlannerCore

/// What the site is asked to run.
struct Workload {
    /// The label that makes a program end by itself, after so many milliseconds of running.
    static let endsAfter = "simulation.ends-after"

    struct Wish {
        var at: Int64
        var submissions: [Submission]
    }

    private(set) var wishes: [Wish] = []
    /// When the removal of ``removed`` is asked for.
    var removalAt: Int64 = 0
    var removed: Set<String> = []
    /// Apps that end by themselves.
    var ending: Set<String> = []

    /// What each app asks for, by its name.
    private(set) var specifications: [String: AppSpecification] = [:]
    /// In ascending order.
    private(set) var names: [String] = []

    /// - Parameters:
    ///   - capacities: each device's, in thousandths of a core.
    ///   - isLong: the last wishes come after 16 s, not 9 s.
    init(drawing time: Timeline, capacities: [Int], isLong: Bool) {
        let end = isLong ? 16_000 : 9_000
        if time.chance(perMille: 200) {
            fill(time, capacities)
        } else {
            crowd(time, end)
        }
        if time.chance(perMille: 300) {
            let job = Self.app(
                "job", time, labels: [Self.endsAfter: String(time.draw(2_000...15_000))], restart: .never,
                Int(time.draw(80...320)))
            wishes.append(Wish(at: 2_000, submissions: [Submission(specification: job)]))
            ending.insert("job")
        }
        if time.chance(perMille: 300) {
            removed.insert("app0")
            removalAt = time.draw(7_000...end + 1_000)
        }
        for submission in wishes.flatMap(\.submissions) {
            specifications[submission.specification.name] = submission.specification
        }
        names = specifications.keys.sorted()
    }

    /// All on one device, so that there is something to balance.
    private mutating func crowd(_ time: Timeline, _ end: Int) {
        let crowd = (0..<Int(time.draw(3...6))).map {
            Submission(specification: Self.app("app\($0)", time, Int(time.draw(80...320))), on: "pi1")
        }
        wishes.append(Wish(at: 1_000, submissions: crowd))
        let late = Submission(specification: Self.app("late", time, Int(time.draw(80...320))))
        wishes.append(Wish(at: time.draw(5_000...end), submissions: [late]))
    }

    /// Full devices, as in section 6.2 of the paper: each app needs 5 to 40 % of a device, and they are admitted until the mean
    /// load would pass 90 %.
    private mutating func fill(_ time: Timeline, _ capacities: [Int]) {
        let most = capacities.reduce(0, +) * 9 / 10
        var load = 0
        while true {
            let demand = Int(time.draw(50...400)) * (capacities.min() ?? 1_000) / 1_000
            guard load + demand <= most else { break }
            let app = Self.app("app\(wishes.count)", time, demand)
            wishes.append(Wish(at: 1_000 + time.draw(0...7_000), submissions: [Submission(specification: app)]))
            load += demand
        }
    }

    private static func app(
        _ name: String, _ time: Timeline, labels: [String: String] = [:], restart: RestartPolicy = .always,
        _ millicores: Int
    ) -> AppSpecification {
        let volume = VolumeMount(kind: .volume, source: "data", target: "/data")
        return AppSpecification(
            name: name, image: "busybox", labels: labels, volumes: time.chance(perMille: 250) ? [volume] : [],
            restart: restart, cpuMillicores: millicores, isolated: time.chance(perMille: 400) ? .freeze : .run,
            recovery: time.chance(perMille: 200) ? .fresh : .wait)
    }
}
