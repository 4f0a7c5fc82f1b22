import Contracts

/// Terms of the engines that vote. A quorum is counted among the head's members, so two nodes with different members
/// could count two quorums that share nobody. Their terms therefore never meet: the upper half of a term is the height
/// since which the members are what they are, and within one such range everybody counts the same.
extension SiteHead {
    /// How far one message moves a term for which there is no proof. Two honest nodes that are far apart come together step by
    /// step; one lie can't use up the terms.
    static let termLeap: UInt64 = 1_024
    /// A block a second gets there in 68 years. So no term reaches 2⁶³, and sums of terms don't overflow.
    static let membersSinceLimit: UInt64 = (1 << 31) - 1
    static let termLimit: UInt64 = 1 << 63

    /// No leader of these members has a term below this; the first one's is one more.
    var termFloor: UInt64 { membersSince << 32 }

    /// Blocks by which somebody who wants to lead may be behind this head: heads reach nodes at different moments.
    static let heightSlack: UInt64 = 2

    /// As far towards another node's term as its word alone moves one's own.
    func term(towards other: UInt64, from term: UInt64) -> UInt64 { min(other, term + Self.termLeap, termCeiling) }

    func isAbreast(_ other: UInt64) -> Bool { height <= other || height - other <= Self.heightSlack }

    /// The last term that these members can decide.
    var termCeiling: UInt64 { termFloor + (1 << 32) - 1 }
}

/// Who has just been disowned gets no vote for a while, so that the same node isn't elected again at once.
struct Disgrace: Sendable, Equatable {
    private var node: NodeID?
    private var until: Int64 = 0

    mutating func fall(on node: NodeID, until: Int64) {
        self.node = node
        self.until = until
    }

    func holds(_ node: NodeID, now: Int64) -> Bool { node == self.node && now < until }
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
        // A node that alone saw a leader fail, now and then in a term of months, must not alone stop following it.
        heights = heights.filter { $0 >= height || height - $0 < Blame.memory }
        heights.insert(height)
        return areEnough
    }

    mutating func forget() { heights = [] }

    /// In words: "pi failed to lead at heights 7, 9".
    func text(of leader: NodeID) -> String {
        "\(leader.short) failed to lead at heights \(heights.sorted().map(String.init).joined(separator: ", "))"
    }
}
