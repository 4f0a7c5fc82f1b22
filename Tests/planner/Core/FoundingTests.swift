import Contracts
import Identity
import Testing

@testable import PlannerCore

/// No block before the expected keys have signed one genesis.
@Suite struct FoundingTests {
    @Test func nothingHappensBeforeAllAreThere() {
        var site = SimulatedSite(nodes: 4, seed: 5)
        site.crash(3, for: nil)
        site.run(until: 40_000)
        #expect(site.nodes.allSatisfy { $0.disk.genesis == nil && $0.disk.blocks.isEmpty })
        #expect(site.nodes[0].machine?.foundingStatus.obstacle?.contains("3 of 4") == true)
        site.boot(3)
        #expect(site.run(until: 70_000) { $0.heights.allSatisfy { $0 > 3 } })
        #expect(Set(site.nodes.compactMap { $0.machine?.genesis?.hash }).count == 1)
    }

    @Test func tooManyNodesAreNamed() {
        var site = SimulatedSite(nodes: 3, seed: 5)
        site.expect = 2
        for index in 0..<3 { site.crash(index, for: 1) }
        site.run(until: 20_000)
        let obstacle = site.nodes[0].machine?.foundingStatus.obstacle ?? ""
        #expect(site.heights == [0, 0, 0])
        #expect(obstacle.contains("3 nodes are there but 2 are expected") && obstacle.contains("pi3"), "\(obstacle)")
    }

    @Test func anotherGenesisIsNamed() {
        var site = SimulatedSite(nodes: 2, seed: 5)
        site.parameters.moveDeadline = 60_000
        site.crash(1, for: 1)
        site.run(until: 20_000)
        let obstacle = site.nodes[0].machine?.foundingStatus.obstacle ?? ""
        #expect(site.heights == [0, 0])
        #expect(obstacle.contains("pi2") && obstacle.contains("signed another genesis"), "\(obstacle)")
    }

    /// Whoever proposes the genesis could else give a node a key of draws that is not its own.
    @Test func aGenesisWithAnothersKeyOfDrawsIsNotSigned() throws {
        let keys = (1...3 as ClosedRange<UInt8>).compactMap { SigningKey(seed: [UInt8](repeating: $0, count: 32)) }
        let members = keys.enumerated().map {
            Member(id: $1.nodeID, name: "pi\($0 + 1)", vrf: $1.vrf.publicKey)
        }
        var fresh = Founding(
            member: members[0], site: "lab", operatorKey: .zero, parameters: SiteParameters(), expect: 3, record: nil)
        let load = LoadMatrix(
            timestamp: 0, device: Score(), apps: [], services: [], capacity: .test, facts: .test)
        fresh.saw(
            Report(name: "pi2", gossipAddress: "", migratorAddress: "", vrf: members[1].vrf, load: load),
            of: members[1].id, at: 1)
        for (wrong, isSigned) in [(0, false), (1, false), (2, true), (3, true)] {
            var proposed = members
            if wrong < 3 { proposed[wrong].vrf = .zero }
            let genesis = Genesis(
                site: "lab", operatorKey: .zero, parameters: SiteParameters(), members: proposed)
            let signed = SignedGenesis(genesis: genesis, signature: keys[2].sign(genesis.signedBytes))
            var founding = fresh
            // Of the third node nothing was heard yet: its own signature vouches for its key.
            #expect(founding.take(signed, from: members[2].id) == isSigned, "\(wrong)")
            #expect((founding.record != nil) == isSigned)
        }
    }

    @Test func badParametersAreNamed() {
        var site = SimulatedSite(
            nodes: 1, seed: 1, parameters: SiteParameters(blockInterval: 30_000, absentAfter: 15_000))
        site.run(until: 10_000)
        #expect(site.nodes[0].machine?.foundingStatus.obstacle?.contains("three times") == true)
    }

    /// A member that signed and then was away adopts what the others have founded meanwhile.
    @Test func aLateMemberCatchesUp() {
        for seed in 0..<10 as Range<UInt64> {
            var site = SimulatedSite(nodes: 3, seed: seed)
            let signed = site.run(until: 20_000) { site in
                site.nodes[2].disk.genesis != nil && site.nodes[2].signedVotes.keys.contains { $0.purpose == .genesis }
            }
            #expect(signed, "seed \(seed)")
            site.run(until: site.now + 30)
            site.crash(2, for: nil)
            site.run(until: site.now + 20_000)
            site.boot(2)
            let caughtUp = site.run(until: site.now + 30_000) { site in
                site.heights[2] > 0 && site.heights[2] >= (site.heights.max() ?? 0)
            }
            #expect(caughtUp, "seed \(seed): \(site.heights)")
            #expect(site.violations == [], "seed \(seed)")
        }
    }

    @Test func aLongAbsentNodeCatchesUpQuickly() {
        var site = SimulatedSite(nodes: 3, seed: 8)
        site.run(until: 10_000)
        site.crash(2, for: nil)
        site.run(until: 300_000)
        let behind = site.heights[0] - site.heights[2]
        #expect(behind > 200)
        let placements = site.nodes[2].placements.count
        site.boot(2)
        let before = site.now
        #expect(site.run(until: site.now + 60_000) { $0.heights[2] >= $0.heights[0] })
        #expect(site.now - before < 8_000, "\(behind) blocks took \(site.now - before) ms")
        // Nothing was told to the migrator of states long past.
        site.run(until: site.now + 2_000)
        let told = site.nodes[2].placements.dropFirst(placements).map(\.height)
        #expect(told.allSatisfy { $0 + 3 >= site.heights[2] - 10 }, "\(told)")
        #expect(site.verifyChains() == nil)
    }
}
