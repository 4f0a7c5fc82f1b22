import ArgumentParser
import Simulation

/// `simulate site`.
struct SiteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "site",
        abstract: "Let whole sites, on all five cores, bear what goes wrong and who lies.",
        discussion: """
            Each seed is a site of simulated devices under loss, delay, duplication, partitions, killed processes, power cuts \
            and engines that fail, of which as many lie as it must bear (docs/simulation.md). No height has two blocks, \
            every block recomputes, nobody honest votes twice, no app runs twice, and in the end blocks are committed and \
            each app runs once, in time. Ends with a line of how many seeds there were and failed. With --mutant, or with \
            more liars than can be borne, it succeeds if that is noticed.
            """)

    @OptionGroup var range: SeedRange
    @Option(
        help: "Break the site on purpose: \(SimulatedSite.Mutant.allCases.map(\.rawValue).joined(separator: ", ")).")
    var mutant: String?
    @Option(help: "How many devices lie: a number, or f+1 for one more than a site of four can bear.")
    var liars: String?
    @Option(help: "How they lie: \(Liar.Behaviour.allCases.map(\.rawValue).joined(separator: ", ")); with commas.")
    var behaviours: String?
    @Option(help: "How many devices there are.") var devices: Int?
    @Flag(help: "Print what happened, of each seed.") var verbose = false

    struct Verdict: Transcribed {
        var seed: UInt64
        var outcome: SimulatedSite.Outcome
        var transcript: [String] { outcome.transcript }
    }

    private var isForked: Bool { liars == "f+1" }

    private func options() throws -> SimulatedSite.Options {
        var options = SimulatedSite.Options()
        if let mutant {
            guard let broken = SimulatedSite.Mutant(rawValue: mutant) else {
                let names = SimulatedSite.Mutant.allCases.map(\.rawValue).joined(separator: ", ")
                throw ValidationError("there is no mutant \"\(mutant)\"; there are: \(names)")
            }
            options = broken.options
        }
        if isForked { options = .forked }
        if let liars, !isForked {
            guard let number = Int(liars), (0...100).contains(number) else {
                throw ValidationError("--liars is \"\(liars)\": allowed are 0 to 100, and f+1")
            }
            options.liars = number
        }
        if let devices {
            guard (1...30).contains(devices) else {
                throw ValidationError("--devices is \(devices): allowed are 1 to 30")
            }
            options.devices = devices
        }
        if let behaviours {
            options.behaviours = try behaviours.split(separator: ",").map { name in
                guard let behaviour = Liar.Behaviour(rawValue: String(name)) else {
                    throw ValidationError("nobody lies by \"\(name)\"")
                }
                return behaviour
            }
        }
        options.isTranscribed = verbose
        return options
    }

    func run() async throws {
        let options = try options()
        let verdicts = await Trials.run(range, verbose: verbose) { seed in
            Verdict(seed: seed, outcome: SimulatedSite(seed: seed, options: options).run())
        }
        let failures = verdicts.filter { !$0.outcome.violations.isEmpty }
        if let mutant {
            try Self.expectCaught(failures, of: verdicts.count, what: mutant) { _ in true }
        } else if isForked {
            try Self.expectCaught(failures, of: verdicts.count, what: "f + 1 liars") { $0.outcome.isForked }
        } else {
            report(verdicts, failures)
            if !failures.isEmpty { throw ExitCode(1) }
        }
    }

    private func report(_ verdicts: [Verdict], _ failures: [Verdict]) {
        for verdict in failures.prefix(5) {
            print("✗ seed \(verdict.seed): \(verdict.outcome.violations.joined(separator: "\n  "))")
            print("  make simulate SUITE=site SEEDS=1 FROM=\(verdict.seed) VERBOSE=1")
        }
        if failures.count > 5 { print("  … and \(failures.count - 5) more seeds") }
        func sum(_ figure: (SimulatedSite.Outcome) -> Int) -> Int { verdicts.reduce(0) { $0 + figure($1.outcome) } }
        func times(_ figure: (SimulatedSite.Outcome) -> Int64) -> String {
            let sorted = verdicts.map { figure($0.outcome) }.sorted()
            return
                "\(sorted[sorted.count / 2]) ms (99 of 100: \(sorted[sorted.count * 99 / 100]), most: \(sorted.last ?? 0))"
        }
        let lying = verdicts.count { $0.outcome.liars > 0 }
        print("\(lying) sites with liars, \(sum(\.blocks)) blocks, \(sum(\.moves)) moves")
        print("after the last fault: a block \(times(\.firstBlock)), all well \(times(\.recovery))")
        print("\(verdicts.count) seeds, \(failures.count) failed")
    }

    /// Prints how many seeds show what was broken on purpose.
    /// - Throws: ``ExitCode`` if none does.
    static func expectCaught(
        _ failures: [Verdict], of seeds: Int, what: String, _ isIt: (Verdict) -> Bool
    ) throws {
        let caught = failures.filter(isIt)
        let first = caught.first.map { ", first in \($0.seed): \($0.outcome.violations.first ?? "")" } ?? ""
        print("\(caught.isEmpty ? "✗" : "✓") \(what): caught in \(caught.count) of \(seeds) seeds\(first)")
        print("\(seeds) seeds, \(caught.count) failed\(caught.isEmpty ? "" : ", as they must")")
        if caught.isEmpty { throw ExitCode(1) }
    }
}

/// `simulate site-mutants`.
struct SiteMutantsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "site-mutants",
        abstract: "Show that the judge of whole sites sees those that were broken on purpose.",
        discussion: "Fails if a mutant, or a site with one liar more than it can bear, is caught in none of the seeds.")

    @OptionGroup var range: SeedRange

    func run() async throws {
        var missed = 0
        var cases = SimulatedSite.Mutant.allCases.map { ($0.rawValue, $0.options) }
        cases.append(("f + 1 liars", .forked))
        for (name, options) in cases {
            let verdicts = await Trials.run(range, verbose: false) { seed in
                SiteCommand.Verdict(seed: seed, outcome: SimulatedSite(seed: seed, options: options).run())
            }
            let failures = verdicts.filter { !$0.outcome.violations.isEmpty }
            do {
                try SiteCommand.expectCaught(failures, of: verdicts.count, what: name) { _ in true }
            } catch {
                missed += 1
            }
        }
        print("\(cases.count) broken sites, \(missed) not caught")
        if missed > 0 { throw ExitCode(1) }
    }
}
