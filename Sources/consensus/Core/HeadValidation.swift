public import Contracts

extension SiteHead {
    static let heightLimit: UInt64 = 1 << 62

    /// What makes this no head of a site, in a sentence; nil if it is one.
    public var flaw: String? {
        if members.isEmpty { return "\"members\" is empty; a site has at least one" }
        if members.count > Genesis.memberLimit {
            return "\"members\" has \(members.count) entries; at most \(Genesis.memberLimit) are allowed"
        }
        if height > Self.heightLimit { return "\"height\" is \(height); at most \(Self.heightLimit) is allowed" }
        if membersSince > min(height, Self.membersSinceLimit) {
            return "\"membersSince\" is \(membersSince); at most \"height\" and \(Self.membersSinceLimit) are allowed"
        }
        if let voter = members.first(where: { $0.since > height }) {
            return "\"since\" of \(voter.id) is \(voter.since); at most \"height\" is allowed"
        }
        for (a, b) in zip(members, members.dropFirst()) where a.id >= b.id {
            return "\"members\" must ascend, each once; \(b.id) comes after \(a.id)"
        }
        return nil
    }

    /// How many members are a majority.
    public var quorum: Int { members.count / 2 + 1 }

    public func voter(_ id: NodeID) -> Voter? {
        var (low, high) = (0, members.count)
        while low < high {
            let middle = (low + high) / 2
            if members[middle].id < id { low = middle + 1 } else { high = middle }
        }
        return low < members.count && members[low].id == id ? members[low] : nil
    }

    public func has(_ id: NodeID) -> Bool { voter(id) != nil }
}
