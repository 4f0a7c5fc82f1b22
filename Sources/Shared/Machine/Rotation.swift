public import Contracts

/// In which order members take turns.
public enum Rotation {
    /// The members shuffled by a seed that nobody could choose, so that nobody can arrange whose turn follows whose.
    ///
    /// Fisher and Yates: for each place from the last down to the second, the member there changes places with one drawn
    /// from those up to it. The draws are ``SplitMix64``'s, seeded with the first 8 bytes of `seed`, the highest first.
    ///
    /// - Parameter members: in ascending order.
    public static func order(_ members: [NodeID], seed: Digest) -> [NodeID] {
        var order = members
        var random = SplitMix64(seed: seed.bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) })
        for place in order.indices.dropFirst().reversed() {
            order.swapAt(place, Int(random.next(below: UInt64(place) + 1)))
        }
        return order
    }
}
