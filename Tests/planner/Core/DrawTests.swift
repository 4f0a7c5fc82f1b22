import Contracts
import Identity
import Machine
import Testing

@testable import PlannerCore

/// What the builders draw becomes the seed, and the seed the order of turns.
@Suite struct DrawTests {
    @Test func eachBlocksDrawGoesIntoTheSeed() throws {
        var chain = TestChain(nodes: 3)
        #expect(chain.state.seed == Draw.firstSeed(of: chain.genesis.hash))
        for height in 1...4 as ClosedRange<UInt64> {
            let before = chain.state.seed
            let block = chain.block(builder: Int(height) % 3)
            let alpha = Draw.alpha(genesis: chain.genesis.hash, height: height, seed: before)
            let key = chain.genesis.members[Int(height) % 3].vrf
            let output = try #require(key.output(of: block.header.draw, for: alpha))
            chain.state = try Validity.check(block, after: chain.state)
            #expect(chain.state.seed == Draw.seed(after: before, output))
            #expect(chain.state.epochSeed == Draw.firstSeed(of: chain.genesis.hash))
        }
    }

    @Test func anEpochHasOneSeed() throws {
        var chain = TestChain(nodes: 1)
        var seeds: [Digest] = [chain.state.seed]
        for _ in 1...201 {
            try chain.grow()
            seeds.append(chain.state.seed)
            #expect(chain.state.epochSeed == seeds[Int(chain.state.height / 100 * 100)])
        }
        #expect(Set(seeds).count == 202)
        let restored = try SiteState(snapshot: chain.state.snapshot, genesis: chain.genesis)
        #expect(restored == chain.state)
    }

    /// After round 0 everybody proposes once in as many rounds, in the order that the epoch's seed gives.
    @Test func membersTakeTurnsInTheSeedsOrder() {
        let members = (1...5 as ClosedRange<UInt8>).map { NodeID(unchecked: [UInt8](repeating: $0, count: 32)) }
        for seed in 0..<20 as Range<UInt8> {
            let digest = Digest(of: [seed], domain: "x")
            let agreement = Agreement(
                genesis: .zero, height: 12, here: members[0], members: members, epochSeed: digest,
                quorum: Quorum(members: 5, rule: .crash), timeouts: Timeouts(), leader: members[3])
            let order = Rotation.order(members, seed: digest)
            #expect(agreement.proposer(of: 0) == members[3])
            for round in 1...12 as ClosedRange<UInt32> {
                #expect(agreement.proposer(of: round) == order[(12 + Int(round)) % 5], "seed \(seed)")
            }
        }
    }

    /// A slow or forgetful gossip delays blocks and does no other harm.
    @Test(arguments: 0..<20 as Range<UInt64>) func blocksWaitForTheirDraws(seed: UInt64) {
        var site = SimulatedSite(nodes: 3, seed: seed, faults: Faults(lostDraws: 400, drawDelay: 1_500))
        let grown = site.run(until: 120_000) { $0.heights.allSatisfy { $0 > 8 } }
        #expect(grown, "seed \(seed): \(site.heights)")
        #expect(site.violations == [], "seed \(seed)")
        #expect(site.verifyChains() == nil, "seed \(seed)")
    }

    /// Without draws a node builds nothing, but it votes: the others' blocks go on.
    @Test func withoutDrawsNothingIsBuilt() {
        var site = SimulatedSite(nodes: 3, seed: 3)
        #expect(site.run(until: 30_000) { $0.heights.allSatisfy { $0 > 2 } })
        site.faults.lostDraws = 1_000
        site.run(until: site.now + 3_000)
        let heights = site.heights
        site.run(until: site.now + 20_000)
        #expect(site.heights.max() == heights.max())
        site.faults.lostDraws = 0
        #expect(site.run(until: site.now + 30_000) { $0.heights.allSatisfy { $0 > (heights.max() ?? 0) + 2 } })
        #expect(site.violations == [])
    }
}
