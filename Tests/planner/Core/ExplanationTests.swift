import Contracts
import Testing

@testable import PlannerCore

/// What `planner explain` says.
@Suite struct ExplanationTests {
    private func refusals(_ chain: TestChain, _ app: String) -> [String: String] {
        let candidates = chain.state.explanation(of: app)?.candidates ?? []
        return Dictionary(uniqueKeysWithValues: candidates.map { ($0.node, $0.holds ? "holds" : $0.refusal) })
    }

    @Test func eachDeviceHasItsReason() throws {
        var chain = TestChain(nodes: 7, parameters: SiteParameters(absentAfter: 15_000, margin: 1_000_000))
        #expect(chain.state.explanation(of: "counter") == nil)
        chain.base = [2: 990_000, 3: 100_000]
        chain.facts[1] = Facts(
            architecture: "x86_64", kernel: "6.12", engineVersion: "28", storageDriver: "overlay2", checkpoints: true,
            pageSize: 4_096)
        func reports() -> [SignedMessage] { chain.reports(demand: ["counter": 500], silent: [4, 5]) }
        try chain.grow(reports: chain.reports(silent: [5]))
        try chain.run("counter", on: 0)
        try chain.run("lodger", on: 6)
        for _ in 0..<6 { try chain.grow(reports: reports(), after: 3_000) }
        try chain.grow([.other(.leave(since: 0))], by: 6, reports: reports())
        let said = refusals(chain, "counter")
        #expect(said["pi1"] == "holds")
        #expect(said["pi2"] == "it can't restore what pi1 has checkpointed")
        #expect(said["pi3"]?.hasPrefix("its processor would be used to 12") == true, "\(said)")
        #expect(said["pi4"]?.hasPrefix("a move") == true, "\(said)")
        #expect(said["pi5"] == "it is silent")
        #expect(said["pi6"] == "it has not reported yet")
        #expect(said["pi7"] == "it is about to leave")
        let explanation = try #require(chain.state.explanation(of: "counter"))
        #expect(explanation.phase == .running && explanation.node == "pi1" && explanation.isMeasured)
        #expect(explanation.demandMillicores == 500 && explanation.strategy == "balance")
        #expect(explanation.rule == "no move of it is worth its price")
    }

    /// What the next block does is said, not why nothing happens.
    @Test func theNextBlockIsTold() throws {
        var chain = TestChain(nodes: 3)
        try chain.grow(reports: chain.reports())
        try chain.grow([.submit([SubmittedApp(specification: .test("new"), on: chain.id(1))])])
        #expect(chain.state.explanation(of: "new")?.rule == "it is placed on pi2 next")
        var app = AppSpecification.test("lost")
        app.constraints = [PlacementConstraint(.hostname, "pi9")]
        try chain.grow([.submit([SubmittedApp(specification: app)])])
        #expect(chain.state.explanation(of: "lost")?.rule.hasPrefix("no present device may run it") == true)
        #expect(refusals(chain, "lost")["pi1"] == "its name is pi1, not pi9")
        for _ in 0..<20 {
            try chain.grow(reports: chain.reports())
            for name in chain.state.apps.names {
                guard let explanation = chain.state.explanation(of: name), let plan = chain.state.nextPlan else {
                    continue
                }
                let isMoved = plan.moves.contains { $0.app == name } || plan.assignments.contains { $0.app == name }
                #expect(explanation.rule.hasSuffix("next") == isMoved)
            }
        }
    }
}
