import Contracts
import Testing

@testable import PlannerCore

/// What local clients are answered.
@Suite struct RequestTests {
    func site(nodes: Int = 3) -> SimulatedSite {
        var site = SimulatedSite(nodes: nodes, seed: 11)
        site.run(until: 15_000)
        return site
    }

    /// The answer once there is one: its problem, or "done".
    func answer(_ site: inout SimulatedSite, _ id: RequestID, at node: Int, within: Int64 = 15_000) -> String? {
        _ = site.run(until: site.now + within) { $0.nodes[node].answers[id] != nil }
        guard let answer = site.nodes[node].answers[id] else { return nil }
        return answer?.code ?? "done"
    }

    @Test func submissionsAndRemovalsAreAnsweredOnceCommitted() {
        var site = site()
        let submitted = site.submit([Submission(specification: .test("counter"), on: "pi2")], at: 0)
        #expect(answer(&site, submitted, at: 0) == "done")
        #expect(site.nodes[0].machine?.state?.apps["counter"] != nil)
        site.run(until: site.now + 10_000)
        #expect(site.nodes[0].machine?.appStatuses.first?.node == "pi2")
        #expect(site.nodes[0].machine?.appStatuses.first?.phase == .running)
        let again = site.submit([Submission(specification: .test("counter"))], at: 1)
        #expect(answer(&site, again, at: 1) == "app-exists")
        let removed = site.remove("counter", at: 2)
        #expect(answer(&site, removed, at: 2) == "done")
        let unknown = site.remove("counter", at: 0)
        site.run(until: site.now + 3_000)
        #expect(["unknown-app", "done"].contains(answer(&site, unknown, at: 0)))
        #expect(site.nodes.allSatisfy { $0.machine?.state?.apps.isEmpty == true })
        #expect(site.violations == [])
    }

    @Test func badSubmissionsAreRefusedAtOnce() {
        var site = site()
        let good = Submission(specification: .test("good"))
        var bad = AppSpecification.test("Bad Name")
        let badName = site.submit([good, Submission(specification: bad)], at: 0)
        bad = .test("large")
        bad.image = String(repeating: "x", count: 600)
        let badImage = site.submit([Submission(specification: bad)], at: 0)
        let twice = site.submit([good, good], at: 0)
        let nowhere = site.submit([Submission(specification: .test("good"), on: "pi9")], at: 0)
        let none = site.submit([], at: 0)
        let large = (0..<10).map { number in
            var app = AppSpecification.test("huge-\(number)")
            app.command = Array(repeating: String(repeating: "y", count: 4_096), count: 15)
            return Submission(specification: app)
        }
        let huge = site.submit(large, at: 0)
        let codes = [badName, badImage, twice, nowhere, none, huge].map { site.nodes[0].answers[$0]??.code }
        #expect(
            codes == [
                "bad-app", "bad-app", "bad-submission", "unknown-node", "bad-submission", "submission-too-large",
            ])
        #expect(site.nodes[0].answers[nowhere]??.status == 404)
        site.run(until: site.now + 5_000)
        #expect(site.nodes[0].machine?.state?.apps.isEmpty == true)
    }

    /// Two nodes submit one name at once: one wins, the other is told.
    @Test func ofTwoSubmissionsOfOneNameOneIsRefused() {
        for seed in 0..<20 as Range<UInt64> {
            var site = SimulatedSite(nodes: 3, seed: seed)
            site.run(until: 12_000)
            let first = site.submit([Submission(specification: .test("counter"))], at: 0)
            let second = site.submit([Submission(specification: .test("counter"))], at: 1)
            let answers = [answer(&site, first, at: 0), answer(&site, second, at: 1)]
            #expect(answers.compactMap { $0 }.sorted() == ["app-exists", "done"], "seed \(seed): \(answers)")
        }
    }

    @Test func withoutQuorumTheAnswerSaysWhoIsMissing() {
        var site = site()
        site.crash(1, for: nil)
        site.crash(2, for: nil)
        let id = site.submit([Submission(specification: .test("counter"))], at: 0)
        #expect(answer(&site, id, at: 0) == "not-committed")
        let detail = site.nodes[0].answers[id]??.detail ?? ""
        #expect(detail.contains("pi2, pi3"), "\(detail)")
        // It stays in the pool and is committed once there is a quorum again.
        site.boot(1)
        #expect(site.run(until: site.now + 30_000) { $0.nodes[0].machine?.state?.apps["counter"] != nil })
    }

    @Test func beforeTheFoundingTheAnswerSaysWhy() {
        var site = SimulatedSite(nodes: 3, seed: 2)
        site.crash(2, for: nil)
        site.run(until: 8_000)
        let id = site.submit([Submission(specification: .test("counter"))], at: 0)
        #expect(site.nodes[0].answers[id]??.code == "not-founded")
        #expect(site.nodes[0].answers[id]??.detail.contains("2 of 3") == true)
    }

    @Test func receiptsAreIdempotent() {
        var site = site()
        site.submit([Submission(specification: .test("counter"), on: "pi1")], at: 0)
        #expect(site.run(until: 40_000) { $0.nodes[0].machine?.appStatuses.first?.phase == .running })
        let incarnation = site.nodes[0].machine?.state?.apps["counter"]?.incarnation ?? 0
        for outcome in [Receipt.Outcome.running, .completed, .completed] {
            site.requests += 1
            let id = RequestID(site.requests)
            site.step(0, .receipt(id, Receipt(app: "counter", incarnation: incarnation, outcome: outcome)))
            #expect(answer(&site, id, at: 0) == "done")
        }
        site.run(until: site.now + 5_000)
        #expect(site.nodes[2].machine?.appStatuses.first?.phase == .completed)
    }
}
