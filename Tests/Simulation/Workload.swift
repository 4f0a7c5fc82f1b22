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

    var wishes: [Wish] = []
    /// When the removal of ``removed`` is asked for.
    var removalAt: Int64 = 0
    var removed: Set<String> = []
    /// Apps that end by themselves.
    var ending: Set<String> = []

    /// What each app asks for, by its name.
    var specifications: [String: AppSpecification] {
        Dictionary(
            wishes.flatMap(\.submissions).map { ($0.specification.name, $0.specification) },
            uniquingKeysWith: { first, _ in first })
    }

    var names: [String] { wishes.flatMap(\.submissions).map(\.specification.name).sorted() }

    init(drawing time: Timeline, devices: Int) {
        func app(_ name: String, labels: [String: String] = [:], restart: RestartPolicy = .always) -> AppSpecification {
            let volume = VolumeMount(kind: .volume, source: "data", target: "/data")
            return AppSpecification(
                name: name, image: "busybox", labels: labels, volumes: time.chance(perMille: 250) ? [volume] : [],
                restart: restart, cpuMillicores: Int(time.draw(80...320)),
                isolated: time.chance(perMille: 400) ? .freeze : .run,
                recovery: time.chance(perMille: 200) ? .fresh : .wait)
        }
        // All on one device, so that there is something to balance.
        let crowd = (0..<Int(time.draw(3...6))).map { Submission(specification: app("app\($0)"), on: "pi1") }
        wishes.append(Wish(at: 1_000, submissions: crowd))
        wishes.append(Wish(at: time.draw(5_000...16_000), submissions: [Submission(specification: app("late"))]))
        if time.chance(perMille: 300) {
            let job = app("job", labels: [Self.endsAfter: String(time.draw(2_000...15_000))], restart: .never)
            wishes.append(Wish(at: 2_000, submissions: [Submission(specification: job)]))
            ending.insert("job")
        }
        if time.chance(perMille: 300) {
            removed.insert("app0")
            removalAt = time.draw(7_000...17_000)
        }
    }
}
