import ArgumentParser
import ConsensusCore
import ElectionSimulation
import Glibc

/// `simulate elections`.
struct ElectionsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "elections",
        abstract: "Hold every way to elect to what it states of itself.",
        discussion: """
            Each seed is a site of one to nine nodes under loss, duplication, delay, partitions, crashes, pauses, lies, \
            changes of members and clocks that run fast or slow; then in peace it must find a leader, keep it, and \
            replace it in time when it dies or is blamed. Ends with a line of how many seeds there were and failed. With \
            --mutant it succeeds if some fail.
            """)

    @OptionGroup var range: SeedRange
    @Option(help: "Only this engine, or several with commas. All by default.") var engine: String?
    @Option(help: "Break the nodes on purpose: \(Mutant.allCases.map(\.rawValue).joined(separator: ", ")).")
    var mutant: String?
    @Flag(help: "Print what the nodes say, of each seed.") var verbose = false
    @Flag(help: "With Ed25519 and RFC 9381 in the place of cheaper signatures and draws.") var realKeys = false

    func engines() throws -> [any Election.Type] {
        try (engine?.split(separator: ",").map(String.init) ?? Elections.names).map { try Elections.named($0) }
    }

    func run() async throws {
        let broken = try mutant.map { name in
            guard let mutant = Mutant(rawValue: name) else {
                throw ValidationError(
                    "there is no mutant \"\(name)\"; there are: "
                        + Mutant.allCases.map(\.rawValue).joined(separator: ", "))
            }
            return mutant
        }
        var (seeds, failed) = (0, 0)
        for engine in try engines() {
            let verdicts = await Trials.run(range, verbose: verbose) { [realKeys, verbose] seed in
                Conformance.judge(engine, seed: seed, mutant: broken, realKeys: realKeys, transcribed: verbose)
            }
            report(engine, verdicts, broken)
            seeds += verdicts.count
            failed += verdicts.count { $0.violation != nil }
        }
        print("\(seeds) seeds, \(failed) failed\(broken != nil && failed > 0 ? ", as they must" : "")")
        if (failed > 0) != (broken != nil) { throw ExitCode(1) }
    }

    private func report(_ engine: any Election.Type, _ verdicts: [Conformance.Verdict], _ mutant: Mutant?) {
        let failures = verdicts.filter { $0.violation != nil }
        for verdict in failures.prefix(5) {
            print("✗ \(engine.name), seed \(verdict.seed): \(verdict.violation ?? "")")
            let broken = mutant.map { " MUTANT=\($0.rawValue)" } ?? ""
            print(
                "  make simulate SUITE=elections ENGINE=\(engine.name)\(broken) SEEDS=1 FROM=\(verdict.seed) VERBOSE=1")
        }
        if failures.count > 5 { print("  … and \(failures.count - 5) more seeds") }
        let settled = verdicts.compactMap(\.settled).sorted()
        let replaced = verdicts.compactMap(\.replaced).sorted()
        print(
            "\(failures.isEmpty ? "✓" : "✗") \(engine.name): \(verdicts.count) seeds, \(failures.count) failed; "
                + "a leader \(Self.text(settled)) after the last fault, another \(Self.text(replaced)) after its end")
    }

    private static func text(_ sorted: [Int64]) -> String {
        "\(ElectionFigures.quantile(sorted, 50)) ms (99 of 100: \(ElectionFigures.quantile(sorted, 99)) ms)"
    }
}

/// `simulate mutants`.
struct MutantsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mutants", abstract: "Show that the suite sees nodes that were broken on purpose.",
        discussion: "Fails if a mutant is caught in none of the seeds.")

    @OptionGroup var range: SeedRange

    func run() async throws {
        var missed = 0
        for mutant in Mutant.allCases {
            for name in mutant.engines {
                let engine = try Elections.named(name)
                let verdicts = await Trials.run(range, verbose: false) {
                    Conformance.judge(engine, seed: $0, mutant: mutant)
                }
                let caught = verdicts.filter { $0.violation != nil }
                if caught.isEmpty { missed += 1 }
                print(
                    "\(caught.isEmpty ? "✗" : "✓") \(name), \(mutant.rawValue): caught in \(caught.count) of "
                        + "\(verdicts.count) seeds\(caught.first.map { ", first in \($0.seed): \($0.violation ?? "")" } ?? "")"
                )
            }
        }
        if missed > 0 { throw ExitCode(1) }
    }
}

/// `simulate transcripts`.
struct TranscriptsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "transcripts", abstract: "Write one small history of each engine, to be read.")

    @Argument(help: "The directory, as docs/elections.") var directory: String

    func run() throws {
        for name in Elections.names {
            let path = "\(directory)/\(name).txt"
            let text = ElectionTranscript.ofThreeNodes(try Elections.named(name))
            guard let file = fopen(path, "w") else { throw ValidationError("can't write \(path)") }
            fputs(text, file)
            guard fclose(file) == 0 else { throw ValidationError("can't write \(path)") }
            print("wrote \(path)")
        }
    }
}

extension Conformance.Verdict: Transcribed {}
