import ArgumentParser
import Contracts
import PlannerCore
import Runtime
import Transport

struct Explain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say why an app is where it is, and why not elsewhere.",
        discussion: """
            Shows what the site's plan looks at: what the app needs, how loaded each device is, and what keeps the app from it. With \
            --height the same after an earlier block, computed again from this device's stored chain.
            """)

    @Argument(help: "The app's name.") var app: String
    @Option(help: "After this block, if not after the last.") var height: UInt64?
    @OptionGroup var common: CommonOptions
    @OptionGroup var state: StateOptions
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        guard AppSpecification.isValid(name: app) else {
            throw ValueProblem("`\(app)` is no app's name", "`planner apps` lists those there are")
        }
        let explanation = try await height == nil ? current() : past()
        print(json ? try JSON.pretty(explanation) : Self.text(explanation))
    }

    private func current() async throws -> Explanation {
        try await LocalClient("planner", common).get("/apps/\(app)/explanation")
    }

    private func past() throws -> Explanation {
        let wanted = height ?? 0
        let settings = try common.settings()
        let reader = try ChainReader(
            directory: try settings.string("state", flag: state.stateDirectory, default: "/var/lib/poise"))
        guard let chain = try ChainReplay.chain(upTo: wanted, reader) else {
            throw ValueProblem(
                "the state after block \(wanted) can't be computed here", "older blocks are gone, or it isn't there yet"
            )
        }
        guard let explanation = chain.state.explanation(of: app) else {
            throw ValueProblem("after block \(wanted) there is no app `\(app)`", "it came later or was removed before")
        }
        return explanation
    }

    static func text(_ explanation: Explanation) -> String {
        let place = explanation.node.map { " on \($0)" } ?? ""
        var lines = [
            "\(explanation.app) is \(explanation.phase.rawValue)\(place) (placement \(explanation.incarnation)) after block \(explanation.height)",
            "since      \(Moment.text(explanation.since))\(explanation.reason.isEmpty ? "" : ": \(explanation.reason)")",
            "needs      \(explanation.demandMillicores)m of processor, \(explanation.demandBytes >> 20) MiB\(explanation.isMeasured ? "" : " (not measured yet)")",
            "strategy   \(explanation.strategy): \(explanation.rule)",
        ]
        let rows = explanation.candidates.map { candidate in
            [
                candidate.node, candidate.loadMillicores.map { "\($0)m" } ?? "-",
                candidate.capacityMillicores.map { "\($0)m" } ?? "-",
                candidate.holds ? "has it" : candidate.refusal.isEmpty ? "could have it" : candidate.refusal,
            ]
        }
        lines.append(Table(["NODE", "LOAD", "OF", "WHY NOT"], rows, rightAligned: [1, 2]).text)
        return lines.joined(separator: "\n")
    }
}
