import ConsensusCore
import Contracts
import Identity
import Machine

/// The chain as far as an election sees it: a row of heads. A block needs a quorum of the members before it, as it does in
/// planner; who is cut off learns of it later.
struct SimulatedChain {
    static let genesis = Digest(unchecked: [UInt8](repeating: 7, count: 32))
    static let site = Digest(unchecked: [UInt8](repeating: 8, count: 32))
    static let interval: Int64 = 1_000
    private static let epoch: UInt64 = 10

    private(set) var heads: [SiteHead]

    init(members: [Voter]) {
        let seed = Draw.firstSeed(of: Self.genesis)
        heads = [
            SiteHead(
                genesis: Self.genesis, site: Self.site, height: 0, seed: seed, epochSeed: seed,
                members: members.sorted { $0.id < $1.id })
        ]
    }

    var newest: SiteHead { heads[heads.count - 1] }

    /// - Parameter change: who joins, if it is no member yet, or else leaves.
    mutating func append(change: Voter?) {
        var next = newest
        next.height += 1
        next.seed = Digest(of: next.seed.bytes, domain: "simulated-seed")
        if next.height.isMultiple(of: Self.epoch) { next.epochSeed = next.seed }
        if let change {
            if next.has(change.id) {
                next.members.removeAll { $0.id == change.id }
            } else {
                let voter = Voter(id: change.id, vrf: change.vrf, since: next.height)
                next.members = (next.members + [voter]).sorted { $0.id < $1.id }
            }
            next.membersSince = next.height
        }
        heads.append(next)
    }
}
