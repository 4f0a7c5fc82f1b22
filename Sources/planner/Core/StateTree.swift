import Contracts
import Identity

/// The Merkle tree whose root a block's header states: the tree hash of RFC 6962, section 2.1, over BLAKE2b-256, of the state's
/// entries in ascending order of their keys.
///
/// A leaf is a key and a value. Whoever has a certified header can check one entry by the hashes beside its path.
struct StateTree {
    private static let leafDomain = "poise/state-leaf/1"
    private static let nodeDomain = "poise/state-node/1"

    private(set) var leaves: [Digest] = []

    mutating func add(_ key: String, _ value: (inout ByteWriter) -> Void) {
        var writer = ByteWriter()
        writer.text(key)
        value(&writer)
        leaves.append(Digest(of: writer.bytes, domain: Self.leafDomain))
    }

    /// - Precondition: at least one entry was added.
    var root: Digest { Self.root(leaves[...]) }

    /// MTH(D[n]): the left half is the largest power of two below the number of leaves.
    private static func root(_ leaves: ArraySlice<Digest>) -> Digest {
        guard leaves.count > 1 else { return leaves.first ?? .zero }
        var half = 1
        while half * 2 < leaves.count { half *= 2 }
        let middle = leaves.startIndex + half
        let (left, right) = (root(leaves[..<middle]), root(leaves[middle...]))
        return Digest(of: left.bytes + right.bytes, domain: nodeDomain)
    }
}

extension SiteState {
    /// What the block that leads here must state: the root over everything that later blocks depend on. Specifications and
    /// reports stand in it by their hashes.
    public var root: Digest {
        var tree = StateTree()
        for record in apps.ascending {
            tree.add("app/\(record.name)") { writer in
                writer.value(record.specificationHash)
                record.encodeStanding(to: &writer)
            }
        }
        tree.add("chain") { writer in
            writer.value(genesis)
            writer.integer(height)
            writer.integer(time)
            writer.integer(term)
            writer.value(seed)
            writer.value(epochSeed)
            writer.integer(nextIncarnation)
        }
        for member in members {
            tree.add("member/\(member.id)") { writer in
                writer.value(member)
                (nodes[member.id] ?? NodeRecord()).encodeStanding(to: &writer)
            }
        }
        tree.add("operator") { writer in
            writer.value(operatorKey)
            writer.value(parameters)
            writer.optional(scheduled)
            writer.value(orders)
            writer.list(invitations)
            writer.integer(membersSince)
        }
        tree.add("queue") { $0.texts(queue) }
        return tree.root
    }
}
