import Contracts
import ElectionSimulation
import Foundation
import Identity
import Testing

@testable import ConsensusCore
@testable import struct ElectionSimulation.SimulatedKeys

struct PoetTests {
    private static let genesis = Digest(unchecked: [UInt8](repeating: 7, count: 32))
    private static let heartbeat: Int64 = 250

    private static func head(_ keys: [SimulatedKeys], height: UInt64 = 4, since: UInt64 = 0, seed: Digest = .zero)
        -> SiteHead
    {
        SiteHead(
            genesis: genesis, site: .zero, height: height, seed: seed, epochSeed: .zero,
            members: keys.map { Voter(id: $0.id, vrf: $0.vrf, since: since) }.sorted { $0.id < $1.id })
    }

    private static func election(_ keys: SimulatedKeys, at head: SiteHead, now: Int64 = 0) throws -> PoetElection {
        var election = try PoetElection(
            ElectionConfiguration(
                own: keys.id, seed: 1, heartbeat: heartbeat, timeout: 1_000, checks: SimulatedKeys.cheapChecks),
            stored: nil)
        _ = election.step(ElectionEvent(now: now, .head(head)))
        return election
    }

    private static func proof(_ keys: SimulatedKeys, at head: SiteHead) -> VRFProof {
        keys.draw(Draw.alpha(genesis: head.genesis, height: head.height + 1, seed: head.seed))
    }

    private static func wait(_ keys: SimulatedKeys, at head: SiteHead) throws -> Int64 {
        try #require(
            PoetElection.wait(
                keys.id, proof(keys, at: head), at: head, SimulatedKeys.cheapChecks, heartbeat: heartbeat))
    }

    private static func claim(_ keys: SimulatedKeys, at head: SiteHead, proof: VRFProof? = nil) -> ElectionEvent.Kind {
        let body = PoetMessage.claim(height: head.height + 1, proof ?? Self.proof(keys, at: head)).encoded
        return .message(ElectionMessage(sender: keys.id, sequence: 1, signature: .zero, body: body))
    }

    // MARK: - Chance

    /// By real draws (RFC 9381): who waits least is as likely to be one as another. Chi-square with 9 degrees of freedom
    /// exceeds 27.9 once in a thousand.
    @Test func winsAreUniform() throws {
        let keys = (0..<10).map { SimulatedKeys.real($0) }
        var wins: [NodeID: Int] = [:]
        let heights = 600
        var seed = Draw.firstSeed(of: Self.genesis)
        for height in 0..<heights {
            let head = Self.head(keys, height: UInt64(height), seed: seed)
            var best: (wait: Int64, node: NodeID, output: VRFOutput)?
            for key in keys {
                let output = try #require(Self.proof(key, at: head).output)
                let wait = WaitingTime.milliseconds(of: output, mean: 1 << 30)
                if best.map({ wait < $0.wait }) ?? true { best = (wait, key.id, output) }
            }
            let winner = try #require(best)
            wins[winner.node, default: 0] += 1
            seed = Draw.seed(after: seed, winner.output)
        }
        #expect(chiSquare(keys.map { wins[$0.id] ?? 0 }) < 27.9, "\(wins.values.sorted())")
    }

    /// The same of whole sites that elect, over many heights: 6 degrees of freedom, 22.5 once in a thousand.
    @Test func leadershipIsUniform() throws {
        var wins = [Int](repeating: 0, count: 7)
        for seed in 0..<4 {
            var faults = Faults.none
            faults.delay = 1...5
            var site = SimulatedElection(PoetElection.self, seed: UInt64(seed), count: 7, faults: faults)
            for _ in 0..<250 {
                site.run(for: 990)
                if let index = site.index(of: site.quorumLeadership?.leader) { wins[index] += 1 }
                site.run(for: 10)
            }
        }
        #expect(wins.reduce(0, +) > 900)
        #expect(chiSquare(wins) < 22.5, "\(wins)")
    }

    private func chiSquare(_ counts: [Int]) -> Double {
        let expected = Double(counts.reduce(0, +)) / Double(counts.count)
        return counts.reduce(0) { $0 + (Double($1) - expected) * (Double($1) - expected) / expected }
    }

    @Test func waitsAreTheExponentialQuantile() {
        var generator = SystemRandomNumberGenerator()
        for bits in [0, 1, 2, 1 << 62, 1 << 63, (1 << 63) - 1, .max - 1, .max]
            + (0..<5_000).map({ _ in UInt64.random(in: 0...(.max), using: &generator) })
        {
            let exact = bits == .max ? 0 : -log((Double(bits) + 1) / 0x1p64)
            let ours = Double(WaitingTime.negativeLogarithm(bits)) / 0x1p32
            #expect(abs(exact - ours) < 1e-8, "\(bits): \(ours), not \(exact)")
        }
    }

    // MARK: - What a verifier believes

    @Test func aClaimBeforeItsTimeIsRefusedAndOneInTimeIsTaken() throws {
        for seed in UInt8(0)..<100 {
            let keys = (0..<2).map { SimulatedKeys.cheap($0) }
            let head = Self.head(keys, seed: Digest(unchecked: [UInt8](repeating: seed, count: 32)))
            let wait = try Self.wait(keys[1], at: head)
            var verifier = try Self.election(keys[0], at: head)
            let due = max(0, wait - verifier.tolerance)
            if due > 0 {
                let early = verifier.step(ElectionEvent(now: due - 1, Self.claim(keys[1], at: head)))
                #expect(early.contains(.count(.refused(reason: "too-soon"))))
                #expect(verifier.leadership.leader == nil)
            }
            _ = verifier.step(ElectionEvent(now: due, Self.claim(keys[1], at: head)))
            #expect(verifier.leadership.leader == keys[1].id)
            #expect(PoetElection.flaw(of: verifier.leadership, at: head, SimulatedKeys.cheapChecks) == nil)
        }
    }

    @Test func aWrongDrawIsRefused() throws {
        let keys = (0..<3).map { SimulatedKeys.cheap($0) }
        let head = Self.head(keys)
        let other = Self.head(keys, seed: Digest(unchecked: [UInt8](repeating: 1, count: 32)))
        for proof in [Self.proof(keys[2], at: head), Self.proof(keys[1], at: other)] {
            var verifier = try Self.election(keys[0], at: head)
            let effects = verifier.step(ElectionEvent(now: 1_000_000, Self.claim(keys[1], at: head, proof: proof)))
            #expect(effects.contains(.count(.refused(reason: "wrong-draw"))))
            #expect(verifier.leadership.leader == nil)
        }
    }

    /// Who joined with a block knows its seed, and could have chosen its key by it.
    @Test func whoHasJustJoinedDoesNotDraw() throws {
        let keys = (0..<2).map { SimulatedKeys.cheap($0) }
        for (height, draws) in [(UInt64(4), false), (5, true), (6, true)] {
            let head = Self.head(keys, height: height, since: 4)
            #expect(PoetElection.isEligible(keys[1].id, at: head) == draws)
            var verifier = try Self.election(keys[0], at: head)
            let effects = verifier.step(ElectionEvent(now: 1_000_000, Self.claim(keys[1], at: head)))
            #expect(effects.contains(.count(.refused(reason: "not-drawing"))) == !draws)
        }
    }

    @Test func theBetterClaimCountsAndASilentOrBlamedLeaderIsPassedOver() throws {
        let keys = (0..<3).map { SimulatedKeys.cheap($0) }
        let head = Self.head(keys)
        let byWait = try keys[1...].sorted { try Self.wait($0, at: head) < Self.wait($1, at: head) }
        var verifier = try Self.election(keys[0], at: head)
        let now: Int64 = 1_000_000
        _ = verifier.step(ElectionEvent(now: now, Self.claim(byWait[1], at: head)))
        #expect(verifier.leadership.leader == byWait[1].id)
        _ = verifier.step(ElectionEvent(now: now + 1, Self.claim(byWait[0], at: head)))
        #expect(verifier.leadership.leader == byWait[0].id)
        // Only the other keeps its claim up.
        _ = verifier.step(ElectionEvent(now: now + 900, Self.claim(byWait[1], at: head)))
        _ = verifier.step(ElectionEvent(now: now + 1_001, .timer(ElectionTimer("watch"))))
        #expect(verifier.leadership.leader == byWait[1].id)
        let blame = Blame(leader: byWait[1].id, term: head.height + 1, height: head.height + 1)
        _ = verifier.step(ElectionEvent(now: now + 1_002, .blame(blame)))
        #expect(verifier.leadership.leader == nil)
        _ = verifier.step(ElectionEvent(now: now + 1_003, Self.claim(byWait[0], at: head)))
        #expect(verifier.leadership.leader == byWait[0].id)
    }

    /// Its only draw for a height comes out again after a restart, and no head says more or less of the seed than all do.
    @Test func aNodeHasOneDrawForAHeight() throws {
        let key = SimulatedKeys.real(1)
        let alpha = Draw.alpha(genesis: Self.genesis, height: 5, seed: .zero)
        #expect(key.draw(alpha) == key.draw(alpha))
        #expect(key.vrf.output(of: key.draw(alpha), for: alpha) != nil)
        #expect(SimulatedKeys.real(2).vrf.output(of: key.draw(alpha), for: alpha) == nil)
    }
}
