import ConsensusCore
import ElectionSimulation
import Testing

/// "Paxos Made Simple", section 2.4: two proposers that keep outbidding each other decide nothing, for ever.
struct DuelTests {
    /// The schedule described there: what a proposer asks to be accepted is slow, and the other's next ballot is fast, so
    /// that it always comes in between.
    @Test func proposersThatOutbidEachOtherDecideSoon() throws {
        var slowest: Int64 = 0
        var most = 0
        for seed in UInt64(0)..<300 {
            var faults = Faults.none
            faults.delay = 1...1
            var site = SimulatedElection(
                try Elections.named("paxos"), seed: seed, count: 2 + Int(seed % 6), faults: faults, transcribed: true)
            // The tag of a request to accept, which is the first byte of its body.
            site.hold(messagesOfType: 3, for: 240)
            site.run(for: 10_000) { $0.quorumLeadership != nil }
            #expect(site.quorumLeadership != nil, "seed \(seed)")
            #expect(site.violation == nil, "seed \(seed)")
            slowest = max(slowest, site.now)
            most = max(most, site.transcript?.count { $0.contains("prepare ballot") } ?? 0)
        }
        print("duelling proposers: decided after \(slowest) ms and \(most) ballots at the most")
    }
}
