import Contracts

/// Terms of the engines that vote. A quorum is counted among the head's members, so two nodes with different members
/// could count two quorums that share nobody. Their terms therefore never meet: the upper half of a term is the height
/// since which the members are what they are, and within one such range everybody counts the same.
extension SiteHead {
    /// How far a term that nothing proves may be ahead, so that one lie can't use up the terms.
    static let termLeap: UInt64 = 1_024
    /// A block a second gets there in 68 years. So no term reaches 2⁶³, and sums of terms don't overflow.
    static let membersSinceLimit: UInt64 = (1 << 31) - 1
    static let termLimit: UInt64 = 1 << 63

    /// No leader of these members has a term below this; the first one's is one more.
    var termFloor: UInt64 { membersSince << 32 }

    /// The last term that these members can decide.
    var termCeiling: UInt64 { termFloor + (1 << 32) - 1 }
}

/// The heights at which one leader has failed within its term.
struct Failures: Sendable, Equatable {
    /// Different heights after which a node stops acknowledging a leader: once can be the network's fault.
    static let limit = 2

    private(set) var heights: Set<UInt64> = []

    var areEnough: Bool { heights.count >= Self.limit }

    /// - Returns: whether they have just become enough.
    mutating func add(_ height: UInt64) -> Bool {
        guard !areEnough else { return false }
        heights.insert(height)
        return areEnough
    }

    mutating func forget() { heights = [] }

    /// In words: "pi failed to lead at heights 7, 9".
    func text(of leader: NodeID) -> String {
        "\(leader.short) failed to lead at heights \(heights.sorted().map(String.init).joined(separator: ", "))"
    }
}
