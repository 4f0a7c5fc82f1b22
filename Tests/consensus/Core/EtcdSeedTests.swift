import ConsensusCore
import Contracts
import ElectionSimulation
import FoundationEssentials
import Testing

/// What must hold whatever etcd's answers go through. `POISE_SEEDS` scales how many seeds.
struct EtcdSeedTests {
    private static let seeds: UInt64 = ProcessInfo.processInfo.environment["POISE_SEEDS"].flatMap(UInt64.init) ?? 200
    private static let faults = EtcdTrial.Faults(delay: 1...60, loss: 60, held: 60)

    /// Answers lost, held up and late, nodes that die and come back, an etcd that goes away, leaders blamed, deposed and
    /// expelled, and garbage in the key.
    private static func trial(_ seed: UInt64) throws -> EtcdTrial {
        var trial = try EtcdTrial(seed: seed, count: 1 + Int(seed % 5), faults: faults)
        let everybody = trial.head.members.map(\.id)
        for round in 0..<40 as Range<UInt64> {
            trial.run(for: Int64(trial.drawn(50...5_000)))
            trial.storeIsUp = true
            let node = trial.drawn(0...trial.nodes.count - 1)
            switch trial.drawn(0...7) {
            case 0: trial.kill(node)
            case 1: if trial.nodes[node].election == nil { try trial.start(node) }
            case 2: trial.nodes[node].reachesStore.toggle()
            case 3: trial.storeIsUp = false
            case 4: if let leader = trial.leadership[node]?.leader { trial.blame(leader, heights: [round, round + 1]) }
            case 5: trial.store.put(Array("garbage".utf8), under: EtcdTrial.key(), lease: Int64(trial.drawn(0...20)))
            case 6:
                let rest = everybody.filter { $0 != everybody[node] }
                trial.change(EtcdTrial.head(of: rest.isEmpty ? everybody : rest, height: round))
            default:
                trial.change(EtcdTrial.head(of: everybody, height: round))
                for index in trial.nodes.indices { trial.nodes[index].reachesStore = true }
            }
        }
        return trial
    }

    @Test func nobodyLeadsBesideAnotherAndOneLeadsOnceFaultsEnd() throws {
        var slowest: Int64 = 0
        var terms = 0
        for seed in 0..<Self.seeds {
            var trial = try Self.trial(seed)
            terms += trial.termsLed
            try #require(trial.violation == nil, "seed \(seed): \(trial.violation ?? "")")
            trial.faults = EtcdTrial.Faults()
            trial.storeIsUp = true
            trial.change(EtcdTrial.head(of: trial.nodes.map(\.id), height: 99))
            for index in trial.nodes.indices {
                trial.nodes[index].reachesStore = true
                if trial.nodes[index].election == nil { try trial.start(index) }
            }
            let healed = trial.now
            trial.run(for: 20_000) { $0.agreed != nil }
            try #require(trial.violation == nil, "seed \(seed): \(trial.violation ?? "")")
            try #require(trial.agreed != nil, "seed \(seed): no leader 20 s after the last fault")
            slowest = max(slowest, trial.now - healed)
        }
        #expect(terms > 5 * Int(Self.seeds), "the faults hardly let anybody lead: \(terms) terms")
        print("slowest agreement through etcd after the last fault: \(slowest) ms")
    }

    @Test func aDeadLeaderIsReplacedInTimeThoughAnswersGetLost() throws {
        var slowest: Int64 = 0
        for seed in 0..<Self.seeds {
            var trial = try EtcdTrial(seed: seed, count: 3, faults: EtcdTrial.Faults(delay: 1...20, loss: 20))
            trial.run(for: 30_000) { $0.agreed != nil }
            let leader = try #require(trial.index(of: trial.agreed?.leader), "seed \(seed)")
            trial.kill(leader)
            let died = trial.now
            trial.run(for: 30_000) { site in site.agreed.map { $0.leader != site.nodes[leader].id } ?? false }
            try #require(trial.violation == nil, "seed \(seed): \(trial.violation ?? "")")
            slowest = max(slowest, trial.now - died)
        }
        #expect(slowest <= EtcdElection.guarantee.timeoutsToRecover * EtcdTrial.timeout)
        print("slowest recovery through etcd: \(slowest) ms")
    }

    @Test("A judge that could not find the guarantee broken would prove nothing") func theJudgeSeesAClockFarFromTrue()
        throws
    {
        for seed in 0..<20 as Range<UInt64> {
            var trial = try EtcdTrial(seed: seed, count: 3)
            trial.run(for: 10_000) { $0.agreed != nil }
            let leader = try #require(trial.index(of: trial.agreed?.leader), "seed \(seed)")
            trial.nodes[leader].slow(to: 150, now: trial.now)
            trial.nodes[leader].reachesStore = false
            trial.run(for: 10_000)
            #expect(trial.violation?.contains("take themselves for leader") == true, "seed \(seed)")
        }
    }
}
