import Contracts
import Identity
import Testing

@testable import PlannerCore

/// Devices that come to a site and go from it while it works.
@Suite struct JoinTests {
    private func site(_ seed: UInt64, nodes: Int = 4, interval: UInt64 = 1_000, faults: Faults = Faults())
        -> SimulatedSite
    {
        var site = SimulatedSite(
            nodes: nodes, seed: seed, faults: faults,
            parameters: SiteParameters(quorum: .byzantine, idleInterval: 1_000, absentAfter: 15_000),
            snapshotInterval: interval)
        site.run(until: 25_000)
        return site
    }

    private func members(_ site: SimulatedSite) -> Int { site.nodes[0].machine?.state?.members.count ?? 0 }

    /// It catches up from blocks or from a snapshot, is taken in, and its vote is needed and given.
    @Test func theInvitedCatchUpJoinAndVote() throws {
        for seed in 0..<12 as Range<UInt64> {
            let faults = seed % 3 == 2 ? Faults(loss: 30, duplication: 30, delay: 80, crashes: 2) : Faults()
            var site = site(seed, interval: seed % 2 == 0 ? 5 : 1_000, faults: faults)
            if seed % 2 == 0 { site.forgetful = [0, 1, 2, 3] }
            site.run(until: site.now + 15_000)
            let invited = site.invite("pi5")
            let index = try #require(invited)
            #expect(site.run(until: site.now + 90_000) { members($0) == 5 }, "seed \(seed)")
            #expect(seed % 2 == 1 || site.adoptions > 0, "seed \(seed)")
            site.faults = Faults()
            // Four of five must agree: with one gone, the new one is needed.
            site.run(until: site.now + 5_000)
            site.crash(1, for: nil)
            let height = site.heights[0]
            let goesOn = site.run(until: site.now + 60_000) {
                $0.heights[0] >= height + 5 && $0.heights[index] >= height + 4
            }
            #expect(goesOn, "seed \(seed): \(site.heights)")
            #expect(site.violations == [], "seed \(seed)")
        }
    }

    /// What the operator did not sign, or signed for another chain, brings nobody in.
    @Test func withoutARightInvitationNobodyJoins() throws {
        let wrongs: [(inout Invitation) -> Void] = [
            { $0.genesis = .zero }, { $0.expires = 1 }, { $0.name = "pi1" }, { $0.key = .zero },
        ]
        for (number, wrong) in wrongs.enumerated() {
            var site = site(UInt64(number))
            let invited = site.invite("pi5", wrong)
            let index = try #require(invited)
            site.run(until: site.now + 30_000)
            #expect(members(site) == 4, "\(number)")
            #expect(site.nodes[index].machine?.joiningObstacle != nil)
            #expect(site.violations == [])
        }
    }

    /// Members of another time could show a new device a chain of their own.
    @Test func theChainMustBeTheInvitations() throws {
        for interval in [5, 1_000] as [UInt64] {
            var site = site(3, interval: interval)
            site.forgetful = interval == 5 ? [0, 1, 2, 3] : []
            site.run(until: site.now + 15_000)
            let invited = site.invite("pi5") {
                $0.head = .zero
                $0.members = .zero
            }
            let index = try #require(invited)
            site.run(until: site.now + 20_000)
            #expect(site.nodes[index].machine?.halted?.contains("not the one of the invitation") == true)
            #expect(members(site) == 4)
        }
    }

    @Test func leavingIsSeenByAll() throws {
        var site = site(4)
        site.submit([Submission(specification: .test("counter"), on: "pi2")], at: 0)
        #expect(site.run(until: site.now + 30_000) { $0.nodes[0].machine?.appStatuses.first?.phase == .running })
        site.requests += 1
        let id = RequestID(site.requests)
        site.step(1, .leave(id))
        #expect(site.run(until: site.now + 60_000) { members($0) == 3 })
        #expect(site.nodes[1].answers[id] == .some(nil))
        let gone = site.run(until: site.now + 10_000) { $0.nodes[1].machine?.state?.members.count == 3 }
        #expect(gone, "who has left knows it")
        #expect(
            site.run(until: site.now + 30_000) { site in
                site.nodes[0].machine?.appStatuses.first.map { $0.phase == .running && $0.node != "pi2" } ?? false
            })
        #expect(site.violations == [])
    }

    @Test func theOperatorDismisses() throws {
        var site = site(5)
        site.crash(3, for: nil)
        let node = site.nodes[3].key.nodeID
        site.order(.dismiss(node), at: 0)
        #expect(site.run(until: site.now + 40_000) { members($0) == 3 })
        // Three of three must agree now, and do.
        let height = site.heights[0]
        #expect(site.run(until: site.now + 20_000) { $0.heights[0] >= height + 4 })
        // It comes back, learns of it, and does no harm.
        site.boot(3)
        #expect(site.run(until: site.now + 20_000) { $0.nodes[3].machine?.state?.nodes[node] == nil })
        #expect(site.violations == [])
    }
}
