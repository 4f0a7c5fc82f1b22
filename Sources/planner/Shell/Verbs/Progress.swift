import Contracts
import Glibc
import PlannerCore
import Runtime
import Transport

/// Submits apps and follows them until they run, telling on standard error what happens and what is waited for.
struct Progress {
    private static let interval = Duration.milliseconds(300)
    /// How long nothing may happen before it says what it waits for, and how long before it says the same again.
    private static let quiet = Duration.seconds(4)
    private static let patient = Duration.seconds(15)

    let client: LocalClient
    let patience: Duration
    /// The apps that were submitted.
    private(set) var names: [String] = []
    private let start = ContinuousClock.now

    init(client: LocalClient, patience: Duration) {
        self.client = client
        self.patience = patience
    }

    private var isOver: Bool { .now - start >= patience }

    /// The submitted apps as they stand.
    func apps() async throws -> [AppStatus] {
        let all: [AppStatus] = try await client.get("/apps")
        return all.filter { names.contains($0.name) }
    }

    /// - Parameter waiting: tries again while the site isn't founded.
    /// - Throws: `Problem`, as planner tells it.
    mutating func submit(_ submissions: [Submission], _ orders: Orders, waiting: Bool) async throws {
        var told = ""
        while true {
            do {
                let head: HeadView = try await client.get("/chain/head")
                let nodes = head.members.map { (name: $0.name, id: $0.id) }
                try await orders.send(.submit(try Submission.apps(submissions, nodes: nodes)), for: head)
                names = submissions.map(\.specification.name)
                say("submitted \(names.joined(separator: ", "))")
                return
            } catch let problem as Problem where waiting && !isOver {
                switch problem.code {
                case "starting", "not-founded", "too-many-requests":
                    if problem.detail != told { say("waiting: \(problem.detail)") }
                    told = problem.detail
                    try await Task.sleep(for: .seconds(1))
                case "not-committed", "no-answer":
                    // The site has it and may commit it later: follow it.
                    names = submissions.map(\.specification.name)
                    say("waiting: \(problem.detail)")
                    return
                default: throw problem
                }
            }
        }
    }

    /// Follows the apps until each runs, has completed or has failed, or time is up.
    func waitUntilRunning() async throws {
        var shown: [String: String] = [:]
        var lastNews = ContinuousClock.now
        var told = (text: "", at: ContinuousClock.now)
        while true {
            let apps = try await apps()
            for app in apps {
                let line = Self.line(app)
                if shown.updateValue(line, forKey: app.name) != line {
                    say(line)
                    lastNews = .now
                }
            }
            let isDone = apps.count == names.count && apps.allSatisfy { !Self.isUnderWay($0.phase) }
            if isDone { return }
            if isOver {
                let left = names.filter { name in
                    apps.first { $0.name == name }.map { Self.isUnderWay($0.phase) } ?? true
                }
                say(
                    "gave up waiting for \(left.joined(separator: ", ")) after \(patience.components.seconds) s; the site goes on with it. `planner apps` shows it, `planner health` what may be missing"
                )
                return
            }
            if .now - lastNews > Self.quiet, let obstacle = await obstacle() {
                // The same but for the seconds that it counts is no news.
                let text = obstacle.filter { !$0.isNumber }
                if text != told.text || .now - told.at > Self.patient {
                    say("waiting: \(obstacle)")
                    told = (text, .now)
                }
            }
            try await Task.sleep(for: Self.interval)
        }
    }

    private static func isUnderWay(_ phase: AppPhase) -> Bool { phase == .pending || phase == .placed }

    private static func line(_ app: AppStatus) -> String {
        let place = app.node.map { " on \($0)" } ?? ""
        let target = app.target.map { " to \($0)" } ?? ""
        let reason = app.reason.isEmpty ? "" : " (\(app.reason))"
        return "\(app.name): \(app.phase.rawValue)\(place)\(target)\(reason)"
    }

    /// What planner's health says is missing, if anything.
    private func obstacle() async -> String? {
        do {
            let health: Health = try await client.response("GET", "/health", timeout: .seconds(5)).decode()
            let checks = health.checks.sorted { $0.key < $1.key }
            return checks.first { $0.value.status != .pass }?.value.output
        } catch {
            return "\(error)"
        }
    }

    private func say(_ text: String) {
        let seconds = (ContinuousClock.now - start).components.seconds
        Notice.show("[\(seconds) s] \(text)")
    }
}

/// Lines on standard error, beside a command's result.
enum Notice {
    static func show(_ text: String) {
        let line = text + "\n"
        _ = line.withCString { write(STDERR_FILENO, $0, strlen($0)) }
    }
}
