import ConsensusCore
import ElectionSimulation
import Testing

/// What users of an engine that votes count on, beyond what the conformance suite asks of all.
struct ElectionSeedTests {
    private static let voting = ["raft", "paxos"]
    private static let seeds = max(25, ConformanceTests.seeds / 5)

    private static func site(
        _ name: String, seed: UInt64, count: Int, delay: ClosedRange<Int> = 1...20, skew: Int = 0
    ) throws -> SimulatedElection {
        var faults = Faults.none
        faults.delay = delay
        faults.skew = skew
        return SimulatedElection(try Elections.named(name), seed: seed, count: count, faults: faults)
    }

    @Test(arguments: voting) func aLeaderStaysWhileNothingGoesWrong(name: String) throws {
        for seed in 0..<Self.seeds {
            var site = try Self.site(name, seed: seed, count: 2 + Int(seed % 6), skew: 50_000)
            site.run(for: 30_000) { $0.agreedLeadership != nil }
            let first = try #require(site.agreedLeadership, "\(name), seed \(seed)")
            site.run(for: 20_000)
            #expect(site.agreedLeadership == first, "\(name), seed \(seed)")
        }
    }

    /// An answer takes longer than the shortest timeout of an election; a lease has to be longer than that.
    @Test(arguments: [("raft", 400...800), ("paxos", 150...250)])
    func aSlowNetworkStillFindsALeader(name: String, delay: ClosedRange<Int>) throws {
        for seed in 0..<Self.seeds {
            var site = try Self.site(name, seed: seed, count: 3 + Int(seed % 4), delay: delay)
            site.run(for: 90_000) { $0.agreedLeadership != nil }
            #expect(site.agreedLeadership != nil, "\(name), seed \(seed)")
            #expect(site.violation == nil, "\(name), seed \(seed)")
        }
    }

    /// A node that was cut off for long must not depose a leader that works when it is back.
    @Test(arguments: voting) func whoComesBackDoesNotDisturbTheLeader(name: String) throws {
        for seed in 0..<Self.seeds {
            var site = try Self.site(name, seed: seed, count: 5)
            site.run(for: 30_000) { $0.agreedLeadership != nil }
            let first = try #require(site.agreedLeadership, "\(name), seed \(seed)")
            let leader = try #require(site.index(of: first.leader))
            var groups = [0, 0, 0, 0, 0]
            groups[(leader + 1) % 5] = 1
            site.separate(groups)
            site.run(for: 20_000)
            #expect(site.leaderships[(leader + 1) % 5]?.leader == nil, "\(name), seed \(seed)")
            site.separate([0, 0, 0, 0, 0])
            site.run(for: 10_000)
            #expect(site.agreedLeadership == first, "\(name), seed \(seed)")
        }
    }

    @Test(arguments: voting + ["poet"]) func withoutAQuorumNobodyIsVotedFor(name: String) throws {
        for seed in 0..<Self.seeds {
            var site = try Self.site(name, seed: seed, count: 4)
            site.run(for: 10_000)
            site.separate([0, 0, 1, 1])
            site.run(for: 5_000)
            let leaders = Set(site.leaderships.compactMap { $0?.leader })
            // By waiting, each half finds a leader of its own: the chain, which needs a quorum, stands still.
            #expect(name == "poet" ? leaders.count <= 2 : leaders.isEmpty, "\(name), seed \(seed)")
        }
    }

    /// A member joins or leaves every few blocks: each time everybody soon has a leader that the newest members voted for.
    @Test(arguments: voting) func leadersFollowTheMembers(name: String) throws {
        for seed in 0..<Self.seeds {
            var faults = Faults.none
            faults.membership = 300
            var site = SimulatedElection(
                try Elections.named(name), seed: seed, count: 4, spares: 3, faults: faults)
            site.run(for: 60_000)
            site.calm()
            site.run(for: 10_000) { $0.quorumLeadership != nil }
            #expect(site.quorumLeadership != nil, "\(name), seed \(seed)")
            #expect(site.violation == nil, "\(name), seed \(seed): \(site.violation ?? "")")
        }
    }

    /// The planner of every node sees a leader fail that says in time that it leads, and does nothing else.
    @Test(arguments: voting) func aLeaderThatOnlySaysSoIsReplaced(name: String) throws {
        for seed in 0..<Self.seeds {
            var site = try Self.site(name, seed: seed, count: 3 + Int(seed % 5))
            site.run(for: 30_000) { $0.agreedLeadership != nil }
            let first = try #require(site.agreedLeadership, "\(name), seed \(seed)")
            site.blameEverywhere(first)
            #expect(site.leaderships.allSatisfy { $0?.leader == nil }, "\(name), seed \(seed)")
            site.run(for: 8_000) { $0.quorumLeadership != nil }
            let next = try #require(site.quorumLeadership, "\(name), seed \(seed)")
            #expect(next.term > first.term, "\(name), seed \(seed)")
        }
    }
}
