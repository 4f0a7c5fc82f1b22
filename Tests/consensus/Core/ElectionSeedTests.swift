import ConsensusCore
import Contracts
import FoundationEssentials
import Testing

/// What must hold whatever goes wrong, over many seeds. `POISE_SEEDS` scales how many.
struct ElectionSeedTests {
    private static let seeds: UInt64 = ProcessInfo.processInfo.environment["POISE_SEEDS"].flatMap(UInt64.init) ?? 2_000

    @Test func noTermHasTwoLeadersAndOneIsFoundOnceFaultsEnd() throws {
        var slowest: Int64 = 0
        for seed in 0..<Self.seeds {
            var site = try SimulatedElection(seed: seed, count: 1 + Int(seed % 7), faults: .all)
            try site.run(for: 15_000)
            try #require(site.violation == nil, "seed \(seed): \(site.violation ?? "")")
            try site.heal()
            let healed = site.now
            // What was under way still arrives late, and one split vote is bad luck.
            try site.run(for: 20_000) { $0.quorumLeadership != nil }
            try #require(site.violation == nil, "seed \(seed): \(site.violation ?? "")")
            try #require(site.quorumLeadership != nil, "seed \(seed): no leader 20 s after the last fault")
            slowest = max(slowest, site.now - healed)
        }
        print("slowest agreement after the last fault: \(slowest) ms")
    }

    @Test func aLeaderStaysWhileNothingGoesWrong() throws {
        for seed in 0..<Self.seeds / 10 {
            var site = try SimulatedElection(seed: seed, count: 2 + Int(seed % 6), faults: Faults(skew: 50_000))
            try site.run(for: 30_000) { $0.agreedLeadership != nil }
            let first = try #require(site.agreedLeadership, "seed \(seed)")
            try site.run(for: 20_000)
            #expect(site.agreedLeadership == first, "seed \(seed)")
        }
    }

    /// An answer takes longer than the shortest timeout.
    @Test func aSlowNetworkStillFindsALeader() throws {
        for seed in 0..<Self.seeds / 10 {
            var site = try SimulatedElection(seed: seed, count: 3 + Int(seed % 4), faults: Faults(delay: 400...800))
            try site.run(for: 90_000) { $0.agreedLeadership != nil }
            #expect(site.agreedLeadership != nil, "seed \(seed)")
            #expect(site.violation == nil, "seed \(seed)")
        }
    }

    /// A node that was cut off for long must not depose a leader that works when it is back.
    @Test func whoComesBackDoesNotDisturbTheLeader() throws {
        for seed in 0..<Self.seeds / 10 {
            var site = try SimulatedElection(seed: seed, count: 5, faults: .none)
            try site.run(for: 30_000) { $0.agreedLeadership != nil }
            let first = try #require(site.agreedLeadership, "seed \(seed)")
            let outsider = try #require(site.nodes.firstIndex { $0.id != first.leader })
            site.group[outsider] = 1
            try site.run(for: 20_000)
            #expect(site.nodes[outsider].machine?.leadership.leader == nil, "seed \(seed)")
            site.group[outsider] = 0
            try site.run(for: 10_000)
            #expect(site.agreedLeadership == first, "seed \(seed)")
        }
    }

    @Test func withoutAQuorumNobodyLeads() throws {
        for seed in 0..<Self.seeds / 10 {
            var site = try SimulatedElection(seed: seed, count: 4, faults: .none)
            try site.run(for: 10_000)
            site.group = [0, 0, 1, 1]
            try site.run(for: 5_000)
            #expect(site.nodes.allSatisfy { $0.machine?.leadership.leader == nil }, "seed \(seed)")
        }
    }

    @Test(arguments: [Mutant.forgetsRecord, .grantsEveryVote]) func theJudgeSeesABrokenNode(mutant: Mutant) throws {
        var caught = 0
        for seed in 0..<Self.seeds {
            var site = try SimulatedElection(seed: seed, count: 5, faults: .all, mutant: mutant)
            try site.run(for: 15_000)
            if site.violation != nil { caught += 1 }
            if caught == 3 { return }
        }
        Issue.record("\(mutant) was caught in \(caught) of \(Self.seeds) seeds only")
    }
}
