import ConsensusCore
import FoundationEssentials
import Simulation
import Testing

/// A whole site on its five cores, over many seeds.
///
/// `POISE_SEEDS` says how many, and `make simulate SUITE=site` does the same faster; `POISE_SEED=<n>` runs that one alone and
/// prints what happened.
struct SiteSimulationTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let seeds = environment["POISE_SEEDS"].flatMap(UInt64.init) ?? 24
    private static let replayed = environment["POISE_SEED"].flatMap(UInt64.init)

    /// Shares of the seeds, to be run beside each other.
    private static let shares: [[UInt64]] =
        replayed.map { [[$0]] }
        ?? (0..<8).map { share in Array(1...seeds).filter { $0 % 8 == share } }

    /// Loss, delay, duplication, partitions, killed processes, power cuts, engines that fail, devices that lie: no height has
    /// two blocks, every block recomputes, no app runs twice, and in the end each one runs once and blocks are committed.
    @Test(arguments: shares) func aSiteBearsWhatGoesWrong(seeds: [UInt64]) throws {
        var moves = 0
        var blocks = 0
        var slowest: (seed: UInt64, recovery: Int64) = (0, 0)
        for seed in seeds {
            var options = SimulatedSite.Options()
            options.isTranscribed = Self.replayed != nil
            let outcome = SimulatedSite(seed: seed, options: options).run()
            for line in outcome.transcript { print(line) }
            moves += outcome.moves
            blocks += outcome.blocks
            if outcome.recovery > slowest.recovery { slowest = (seed, outcome.recovery) }
            #expect(
                outcome.violations.isEmpty,
                "seed \(seed), replayed by POISE_SEED=\(seed): \(outcome.violations.joined(separator: "\n"))")
        }
        print(
            """
            \(seeds.count) seeds: \(blocks) blocks, \(moves) moves; slowest recovery \(slowest.recovery) ms, seed \
            \(slowest.seed)
            """)
        if seeds.count > 10 { #expect(moves > seeds.count, "too little was moved for this to prove much") }
    }

    @Test func nothingGoesWrongWhereNothingGoesWrong() {
        for seed in 1...UInt64(3) {
            var options = SimulatedSite.Options()
            options.devices = 4
            options.liars = 0
            options.faults = .none
            options.isSteady = true
            options.engine = RaftElection.self
            let outcome = SimulatedSite(seed: seed, options: options).run()
            #expect(outcome.violations.isEmpty, "seed \(seed): \(outcome.violations)")
            #expect(outcome.terms == 1, "seed \(seed): \(outcome.terms) terms")
        }
    }

    @Test func oneSeedGivesOneHistory() {
        var options = SimulatedSite.Options()
        options.isTranscribed = true
        let histories = (0..<2).map { _ in SimulatedSite(seed: 5, options: options).run().transcript }
        #expect(histories[0] == histories[1])
        #expect(histories[0] != SimulatedSite(seed: 6, options: options).run().transcript)
    }

    /// A judge that sees nothing would pass everything.
    @Test(arguments: [
        (SimulatedSite.Mutant.lyingEngine, "runs twice"),
        (.amnesiacEngine, "lost its memory"),
        (.forgedBlock, "block 3"),
    ])
    func theJudgeSeesABrokenSite(mutant: SimulatedSite.Mutant, complaint: String) {
        let violations = (1...UInt64(3)).flatMap { SimulatedSite(seed: $0, options: mutant.options).run().violations }
        #expect(violations.contains { $0.contains(complaint) }, "\(violations)")
    }

    /// It takes a device that is cut off to see that an app which must not run twice does.
    @Test func theJudgeSeesAnAppThatIsNotFrozen() {
        var options = SimulatedSite.Options()
        options.mutant = .boundlessTouch
        let isSeen = (1...UInt64(60)).contains { seed in
            SimulatedSite(seed: seed, options: options).run().violations.contains { $0.contains("runs twice") }
        }
        #expect(isSeen)
    }

    /// Nodes that break a rule of the chain, or of fencing, while others lie: not each history shows it, but some do.
    /// `simulate site-mutants` says how many.
    @Test(arguments: [
        (SimulatedSite.Mutant.noLock, "has precommitted"),
        (.volatileVotes, " and "),
        (.quorumOffByOne, "certificate-below-quorum"),
        (.planNotRecomputed, "wrong-plan"),
        (.incarnationIgnored, "and runs on"),
        (.wrongCertificate, "certificate"),
        (.ordersBelieved, " holds "),
    ])
    func theJudgeSeesBrokenRules(mutant: SimulatedSite.Mutant, complaint: String) {
        let isSeen = (0..<UInt64(40)).contains { seed in
            SimulatedSite(seed: seed, options: mutant.options).run().violations.contains { $0.contains(complaint) }
        }
        #expect(isSeen, "\(mutant.rawValue) is seen in none of 40 seeds")
    }

    /// Safety has its limit where it is stated: with f + 1 liars there are two blocks of one height, and the judge sees them.
    @Test func oneLiarTooManyForksTheChain() {
        let isForked = (0..<UInt64(20)).contains { SimulatedSite(seed: $0, options: .forked).run().isForked }
        #expect(isForked, "two liars of four have forked the chain in none of 20 seeds")
    }

    /// One liar of four that jams stopped the chain for ever, before locks were shown and both votes of a liar counted.
    @Test func aJamIsOver() {
        var options = SimulatedSite.Options()
        options.devices = 4
        options.liars = 1
        options.behaviours = [.jam]
        for seed in 0..<UInt64(6) {
            let violations = SimulatedSite(seed: seed, options: options).run().violations
            #expect(violations.isEmpty, "seed \(seed): \(violations)")
        }
    }
}
