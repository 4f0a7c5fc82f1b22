/// How many of a height's members must agree. Fixed in the genesis; it never follows who is present.
public struct Quorum: Hashable, Sendable {
    public enum Rule: String, Sendable {
        /// More than half: members may crash, and none lies.
        case crash
        /// More than two thirds: up to f of 3f + 1 members may do anything.
        case byzantine
    }

    public let members: Int
    public let rule: Rule

    public init(members: Int, rule: Rule) {
        self.members = members
        self.rule = rule
    }

    /// Votes that decide: the paper's 2f + 1.
    public var votes: Int {
        switch rule {
        case .crash: members / 2 + 1
        case .byzantine: members * 2 / 3 + 1
        }
    }

    /// Members of whom at least one is honest: the paper's f + 1. A liar among members that only crash is none.
    public var oneHonest: Int {
        switch rule {
        case .crash: 1
        case .byzantine: (members - 1) / 3 + 1
        }
    }
}
