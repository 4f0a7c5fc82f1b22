import ArgumentParser
import Glibc

struct SeedRange: ParsableArguments {
    @Option(help: "How many seeds, 1 to 100000000.") var seeds = 1_000
    @Option(help: "The first of them.") var from: UInt64 = 0

    func validate() throws {
        guard (1...100_000_000).contains(seeds), from <= .max - UInt64(seeds) else {
            throw ValidationError("--seeds is \(seeds): allowed are 1 to 100000000")
        }
    }
}

/// Many seeds, on all processors, with a line of progress where a person is looking.
enum Trials {
    /// What came of the seeds, in their order.
    static func run<Verdict: Sendable>(
        _ range: SeedRange, verbose: Bool, _ trial: @escaping @Sendable (UInt64) -> Verdict
    ) async -> [Verdict] where Verdict: Transcribed {
        let chunk: UInt64 = verbose ? 1 : UInt64(min(50, max(1, range.seeds / 20)))
        let starts = Array(stride(from: range.from, to: range.from + UInt64(range.seeds), by: Int(chunk)))
        let end = range.from + UInt64(range.seeds)
        let width = verbose ? 1 : max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        var results: [(UInt64, [Verdict])] = []
        await withTaskGroup(of: (UInt64, [Verdict]).self) { group in
            var waiting = starts.makeIterator()
            func startNext() {
                guard let start = waiting.next() else { return }
                group.addTask { (start, (start..<min(start + chunk, end)).map(trial)) }
            }
            for _ in 0..<width { startNext() }
            for await result in group {
                results.append(result)
                if verbose { for verdict in result.1 { show(verdict) } }
                progress(results.count, of: starts.count)
                startNext()
            }
        }
        return results.sorted { $0.0 < $1.0 }.flatMap(\.1)
    }

    private static func show(_ verdict: some Transcribed) {
        print("seed \(verdict.seed)")
        for line in verdict.transcript { print(line) }
    }

    private static func progress(_ done: Int, of all: Int) {
        guard isatty(2) == 1, all > 1 else { return }
        let text = "\r\(done * 100 / all) %" + (done == all ? "\r     \r" : "")
        _ = write(2, text, text.utf8.count)
    }
}

/// What came of one seed, with what was said.
protocol Transcribed {
    var seed: UInt64 { get }
    var transcript: [String] { get }
}
