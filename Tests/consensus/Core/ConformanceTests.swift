import ConsensusCore
import ElectionSimulation
import FoundationEssentials
import Testing

/// Every engine is held to what it states of itself. `make simulate SUITE=elections` does the same with as many seeds as
/// one has time for.
struct ConformanceTests {
    static let seeds: UInt64 = ProcessInfo.processInfo.environment["POISE_SEEDS"].flatMap(UInt64.init) ?? 50

    @Test(arguments: Elections.names) func whatAnEngineStatesHolds(name: String) throws {
        let engine = try Elections.named(name)
        for seed in 0..<Self.seeds {
            let verdict = Conformance.judge(engine, seed: seed)
            #expect(verdict.violation == nil, "\(name), seed \(seed): \(verdict.violation ?? "")")
        }
    }

    /// Ed25519 and RFC 9381 in the place of the cheap ones.
    @Test(arguments: ["raft", "paxos", "poet"]) func alsoWithRealSignaturesAndDraws(name: String) throws {
        let engine = try Elections.named(name)
        for seed in 0..<max(3, Self.seeds / 25) {
            let verdict = Conformance.judge(engine, seed: seed, realKeys: true)
            #expect(verdict.violation == nil, "\(name), seed \(seed): \(verdict.violation ?? "")")
        }
    }

    @Test func oneSeedGivesOneHistory() throws {
        for name in Elections.names {
            let engine = try Elections.named(name)
            let (first, second) = (
                Conformance.judge(engine, seed: 11, transcribed: true),
                Conformance.judge(engine, seed: 11, transcribed: true)
            )
            #expect(first.transcript == second.transcript && first.transcript.count > 50, "\(name)")
        }
    }

    /// A suite that finds nothing wrong with these would find nothing wrong with anything.
    @Test(arguments: Mutant.allCases) func aBrokenEngineIsCaught(mutant: Mutant) throws {
        for name in mutant.engines {
            let engine = try Elections.named(name)
            let caught = (0..<2_000).first { Conformance.judge(engine, seed: $0, mutant: mutant).violation != nil }
            #expect(caught != nil, "\(name) with \(mutant.rawValue)")
        }
    }
}
