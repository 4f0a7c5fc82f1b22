import ConsensusCore
import Contracts
import ElectionSimulation
import Testing

/// What the engine makes of the answers of an etcd.
struct EtcdElectionTests {
    private static let timeout = EtcdTrial.timeout
    private static let recovery = EtcdElection.guarantee.timeoutsToRecover * timeout

    /// A site that has agreed on a leader, with the leader's index.
    private static func settled(seed: UInt64 = 1, count: Int = 3) throws -> (EtcdTrial, leader: Int) {
        var trial = try EtcdTrial(seed: seed, count: count)
        trial.run(for: recovery) { $0.agreed != nil }
        let leader = try #require(trial.index(of: trial.agreed?.leader), "seed \(seed)")
        return (trial, leader)
    }

    private static func entry(_ trial: EtcdTrial) -> StoreEntry? { trial.store.entries[EtcdTrial.key()] }

    @Test func theHolderOfTheKeyLeadsInTheTermOfItsRevision() throws {
        let (trial, leader) = try Self.settled()
        let entry = try #require(Self.entry(trial))
        #expect(String(decoding: entry.value, as: UTF8.self) == "\(trial.nodes[leader].id)")
        let leadership = Leadership(engine: "etcd", term: entry.createRevision, leader: trial.nodes[leader].id)
        #expect(trial.leadership.allSatisfy { $0 == leadership })
        #expect(EtcdElection.flaw(of: leadership, at: trial.head, .real) == nil)
    }

    @Test func aLeaderStaysWhileNothingGoesWrong() throws {
        var (trial, _) = try Self.settled()
        let first = trial.agreed
        trial.run(for: 60_000) { $0.agreed != first }
        #expect(trial.agreed == first)
    }

    @Test func aDeadLeaderIsReplacedWhenItsLeaseHasExpired() throws {
        for seed in 0..<200 as Range<UInt64> {
            var (trial, leader) = try Self.settled(seed: seed)
            let term = try #require(trial.agreed?.term)
            trial.kill(leader)
            let died = trial.now
            trial.run(for: Self.recovery) { $0.agreed.map { $0.term > term } ?? false }
            #expect(trial.agreed != nil, "seed \(seed)")
            // A lease lasts two timeouts at least, and the last answer came at most a heartbeat ago.
            #expect(trial.now - died > 2 * Self.timeout - EtcdTrial.heartbeat, "seed \(seed)")
            #expect(trial.violation == nil, "seed \(seed)")
        }
    }

    @Test func whoIsCutOffStepsDownBeforeAnotherCanLead() throws {
        for seed in 0..<200 as Range<UInt64> {
            var (trial, leader) = try Self.settled(seed: seed)
            trial.nodes[leader].reachesStore = false
            let cut = trial.now
            trial.run(for: Self.recovery) { $0.leadership[leader]?.leader == nil }
            #expect(trial.now - cut <= Self.timeout * 11 / 10 + 1, "seed \(seed)")
            trial.run(for: Self.recovery) { trial in
                trial.nodes.indices.contains { $0 != leader && trial.leadership[$0]?.leader == trial.nodes[$0].id }
            }
            #expect(trial.leadership.contains { $0?.leader != nil }, "seed \(seed)")
            #expect(trial.violation == nil, "seed \(seed): \(trial.violation ?? "")")
        }
    }

    @Test func whileEtcdIsDownNobodyLeadsAndItSaysSo() throws {
        var (trial, _) = try Self.settled()
        trial.storeIsUp = false
        trial.run(for: Self.timeout * 12 / 10)
        #expect(trial.leadership.allSatisfy { $0?.leader == nil })
        trial.run(for: 20_000)
        #expect(trial.leadership.allSatisfy { $0?.leader == nil })
        #expect(trial.nodes.allSatisfy { $0.election?.progress == "etcd has given no answer for 1000 ms" })
        trial.storeIsUp = true
        trial.run(for: Self.recovery) { $0.agreed != nil }
        #expect(trial.agreed != nil)
    }

    @Test func afterARestartAHolderGoesOnInItsTerm() throws {
        var (trial, leader) = try Self.settled()
        let before = try #require(trial.agreed)
        trial.kill(leader)
        trial.run(for: 500)
        try trial.start(leader)
        trial.nodes[leader].calls = []
        trial.run(for: Self.recovery) { $0.leadership[leader]?.leader != nil }
        #expect(trial.agreed == before)
        // Whether its lease lives it knows from the keep-alive alone.
        let lease = try #require(Self.entry(trial)).lease
        #expect(trial.nodes[leader].calls.contains { $0.request == .keepAlive(lease: lease) })
        #expect(!trial.nodes[leader].calls.contains { if case .grant = $0.request { true } else { false } })
    }

    @Test func aKeyThatNamesNoNodeIsRemovedAndComplainedOfOnce() throws {
        for (value, flaw) in [
            (Array("garbage".utf8), "holds 7 bytes that are no node's id"), ([], "holds 0 bytes that are no node's id"),
            (
                Array("\(NodeID(unchecked: [UInt8](repeating: 9, count: 32)))".utf8),
                "names 09090909, which is no member"
            ),
            (
                Array("\(NodeID(unchecked: [UInt8](repeating: 2, count: 32)))".utf8),
                "names 02020202 without a lease, so that it would never end"
            ),
        ] {
            var trial = try EtcdTrial(seed: 3, count: 3)
            trial.store.put(value, under: EtcdTrial.key())
            trial.run(for: Self.timeout)
            #expect(trial.leadership.allSatisfy { $0?.leader == nil })
            #expect(trial.nodes.allSatisfy { $0.election?.progress == "etcd's key \(flaw)" })
            trial.run(for: Self.recovery) { $0.agreed != nil }
            #expect(trial.agreed != nil)
            for node in trial.nodes { #expect(node.logs.filter { $0.contains(flaw) }.count == 1) }
        }
    }

    @Test func whoIsFarBehindDoesNotDeposeANewMemberForEver() throws {
        var trial = try EtcdTrial(seed: 1, count: 1)
        let newMember = Array("\(NodeID(unchecked: [UInt8](repeating: 9, count: 32)))".utf8)
        for _ in 0..<30_000 {
            if Self.entry(trial) == nil { trial.store.put(newMember, under: EtcdTrial.key()) }
            trial.run(for: 10)
        }
        let removals = trial.nodes[0].calls.count { if case .remove = $0.request { true } else { false } }
        #expect((5...10).contains(removals), "removed it \(removals) times in five minutes")
    }

    @Test func aLeaderThatFailedTwiceIsDeposed() throws {
        for seed in 0..<200 as Range<UInt64> {
            var (trial, leader) = try Self.settled(seed: seed)
            let before = try #require(trial.agreed)
            trial.blame(trial.nodes[leader].id, heights: [7, 7])
            trial.run(for: 2_000)
            #expect(trial.agreed == before, "seed \(seed): once is no failure")
            // Those that don't know of the failure follow until the key is gone.
            trial.blame(trial.nodes[leader].id, heights: [8])
            #expect(trial.leadership.allSatisfy { $0?.leader == nil }, "seed \(seed)")
            trial.run(for: Self.recovery) { $0.agreed != nil }
            let after = try #require(trial.agreed, "seed \(seed)")
            #expect(after.term > before.term, "seed \(seed)")
            #expect(after.leader != before.leader, "seed \(seed): it rests for a timeout")
            #expect(trial.violation == nil, "seed \(seed): \(trial.violation ?? "")")
        }
    }

    @Test func oneMemberCanDeposeALeaderThatKnowsNothingOfIt() throws {
        for seed in 0..<200 as Range<UInt64> {
            var (trial, leader) = try Self.settled(seed: seed)
            let before = try #require(trial.agreed)
            let other = (leader + 1) % 3
            for height in [7, 8] as [UInt64] {
                let blame = Blame(leader: trial.nodes[leader].id, term: before.term, height: height)
                _ = trial.nodes[other].election?.step(ElectionEvent(now: 0, .blame(blame)))
            }
            #expect(trial.leadership[other]?.leader == nil)
            #expect(trial.nodes[other].election?.progress.contains("which failed") == true)
            trial.run(for: Self.recovery) { $0.agreed.map { $0.term > before.term } ?? false }
            #expect(trial.agreed.map { $0.term > before.term } == true, "seed \(seed)")
            #expect(trial.violation == nil, "seed \(seed): \(trial.violation ?? "")")
        }
    }

    @Test func whoIsNoMemberNeverCampaigns() throws {
        var trial = try EtcdTrial(seed: 1, count: 3)
        trial.change(EtcdTrial.head(of: [trial.nodes[0].id, trial.nodes[1].id], height: 2))
        trial.nodes[2].calls = []
        trial.run(for: 10_000) { $0.agreed != nil }
        trial.kill(try #require(trial.index(of: trial.agreed?.leader)))
        trial.run(for: 30_000) { $0.agreed != nil && $0.agreed?.leader == $0.leadership[2]?.leader }
        #expect(trial.agreed != nil)
        #expect(
            trial.nodes[2].calls.allSatisfy { if case .read = $0.request { true } else { false } })
    }

    @Test func whoCeasesToBeAMemberGivesTheKeyBack() throws {
        var (trial, leader) = try Self.settled()
        let rest = trial.nodes.map(\.id).filter { $0 != trial.nodes[leader].id }
        trial.change(EtcdTrial.head(of: rest, height: 2))
        #expect(trial.leadership[leader]?.leader == nil)
        trial.run(for: 100)
        #expect(Self.entry(trial)?.value != Array("\(trial.nodes[leader].id)".utf8))
        trial.run(for: Self.recovery) { $0.agreed != nil }
        #expect(trial.agreed?.leader.map(rest.contains) == true)
    }

    @Test func anotherGenesisIsAnotherKey() throws {
        var (trial, _) = try Self.settled()
        let genesis = Digest(unchecked: [UInt8](repeating: 7, count: 32))
        trial.change(EtcdTrial.head(of: trial.nodes.map(\.id), height: 0, genesis: genesis))
        #expect(trial.leadership.allSatisfy { $0?.leader == nil && $0?.term == 0 })
        trial.run(for: Self.recovery) { $0.agreed != nil }
        #expect(trial.agreed != nil)
        #expect(trial.store.entries[EtcdTrial.key()] == nil)
        #expect(trial.store.entries[EtcdTrial.key(genesis)] != nil)
    }
}
