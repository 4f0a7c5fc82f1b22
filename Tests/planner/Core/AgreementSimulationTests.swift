import Contracts
import FoundationEssentials
import Machine
import Testing

@testable import PlannerCore

/// Safety under faults, then liveness without: for every seed.
@Suite struct AgreementSimulationTests {
    /// More seeds by `POISE_SEEDS`.
    static let seeds = UInt64(ProcessInfo.processInfo.environment["POISE_SEEDS"] ?? "") ?? 60

    @Test(arguments: [1, 2, 3, 4, 5])
    func blocksCommitWithoutFaults(nodes: Int) {
        var site = SimulatedSite(nodes: nodes, seed: UInt64(nodes))
        site.run(until: 30_000)
        #expect(site.violations == [])
        #expect(site.heights.allSatisfy { $0 >= 15 }, "heights \(site.heights)")
        #expect(site.verifyChains() == nil)
    }

    @Test func oneBlockAHeightAndProgressAfterFaults() {
        for seed in 0..<Self.seeds {
            let failure = Self.runWithFaults(seed: seed)
            #expect(failure == nil, "seed \(seed): \(failure ?? "")")
            if failure != nil { return }
        }
    }

    static func runWithFaults(seed: UInt64) -> String? {
        var random = SplitMix64(seed: seed ^ 0xFA17)
        let count = random.next(in: 1...5)
        let faults = Faults(
            loss: random.next(in: 0...300), duplication: random.next(in: 0...200), delay: random.next(in: 5...1_500),
            crashes: random.next(in: 0...8), splitElections: random.next(in: 0...400))
        var site = SimulatedSite(nodes: count, seed: seed, faults: faults)
        site.refusals = random.next(in: 0...300)
        let names = (0..<6).map { "app\($0)" }
        for (index, name) in names.enumerated() { site.demand[name] = 100 + 60 * index }
        for moment in 1...12 {
            site.run(until: Int64(moment) * 2_500)
            let node = random.next(in: 0...count - 1)
            switch random.next(in: 0...4) {
            case 0: site.remove(names[random.next(in: 0...5)], at: node)
            case 1 where count > 1: site.cut = [node]
            case 2: site.cut = []
            default: site.submit([Submission(specification: .test(names[random.next(in: 0...5)]))], at: node)
            }
        }
        site.faults = Faults()
        site.cut = []
        let base = site.heights.max() ?? 0
        let isLive = site.run(until: site.now + 120_000) { site in
            site.nodes.allSatisfy { $0.machine != nil } && site.heights.allSatisfy { $0 >= base + 3 }
        }
        if let violation = site.violations.first { return violation }
        guard isLive else {
            let views = site.nodes.map { node in
                "\(node.name) \(node.machine?.agreementStatus.map { "\($0)" } ?? "down \(node.machine?.foundingStatus as Any)")"
            }
            return "no progress: heights \(site.heights) from \(base), \(views)"
        }
        return site.verifyChains()
    }
}
