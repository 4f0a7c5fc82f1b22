import ArgumentParser
import Simulation

/// `simulate site`.
struct SiteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "site",
        abstract: "Let whole sites, on all five cores, bear what goes wrong.",
        discussion: """
            Each seed is a site of four devices with simulated engines under loss, delay, duplication, partitions, killed \
            processes, power cuts and engines that fail. No height has two blocks, every block recomputes, no app runs \
            twice, and in the end each one runs once and blocks are committed.
            """)

    @OptionGroup var range: SeedRange
    @Flag(help: "Print what happened, of each seed.") var verbose = false

    struct Verdict: Transcribed {
        var seed: UInt64
        var outcome: SimulatedSite.Outcome
        var transcript: [String] { outcome.transcript }
    }

    func run() async throws {
        let verdicts = await Trials.run(range, verbose: verbose) { [verbose] seed in
            var options = SimulatedSite.Options()
            options.isTranscribed = verbose
            return Verdict(seed: seed, outcome: SimulatedSite(seed: seed, options: options).run())
        }
        let failures = verdicts.filter { !$0.outcome.violations.isEmpty }
        for verdict in failures.prefix(5) {
            print("✗ seed \(verdict.seed): \(verdict.outcome.violations.joined(separator: "\n  "))")
            print("  make simulate SUITE=site SEEDS=1 FROM=\(verdict.seed) VERBOSE=1")
        }
        let moves = verdicts.reduce(0) { $0 + $1.outcome.moves }
        let blocks = verdicts.reduce(0) { $0 + $1.outcome.blocks }
        let slowest = verdicts.map(\.outcome.recovery).max() ?? 0
        print("\(blocks) blocks, \(moves) moves; all was well \(slowest) ms after the last fault at the latest")
        if moves <= verdicts.count, verdicts.count > 10 {
            print("✗ too little was moved for this to prove much")
            throw ExitCode(1)
        }
        print("\(verdicts.count) seeds, \(failures.count) failed")
        if !failures.isEmpty { throw ExitCode(1) }
    }
}
