public import Contracts

/// How many of a height's members must agree, by the rule of the chain.
public struct Quorum: Hashable, Sendable {
    public let members: Int
    public let rule: QuorumRule

    public init(members: Int, rule: QuorumRule) {
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
