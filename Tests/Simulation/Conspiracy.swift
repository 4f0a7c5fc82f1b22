import Contracts
import PlannerCore

/// One round of one height.
struct Slot: Hashable, Comparable {
    var height: UInt64
    var round: UInt32

    static func < (a: Self, b: Self) -> Bool { (a.height, a.round) < (b.height, b.round) }
}

/// What the liars of a site know together: what any of them has heard, and whom they tell what.
final class Conspiracy {
    struct Offer {
        var sender: NodeID
        var block: Digest
    }

    private(set) var liars: [Liar] = []
    /// Which block each honest device is to be made to decide, by number.
    private(set) var assignments: [Slot: [Int: Digest]] = [:]
    private(set) var offers: [Slot: [Offer]] = [:]
    /// What honest members have prevoted; the inner nil is a vote for no block.
    private(set) var prevotes: [Slot: [NodeID: Digest?]] = [:]
    /// Rounds that a jam has been played in.
    private var jammed: Set<Slot> = []

    func join(_ liar: Liar) { liars.append(liar) }

    func isLiar(_ node: NodeID) -> Bool { liars.contains { $0.device.id == node } }

    func assign(_ slot: Slot, _ blocks: [Int: Digest]) {
        assignments[slot] = blocks
        for liar in liars { liar.vote(in: slot, as: blocks) }
    }

    /// - Returns: whether it is news.
    func hear(_ proposal: Proposal, from sender: NodeID) -> Bool {
        let slot = Slot(height: proposal.height, round: proposal.round)
        guard offers[slot]?.contains(where: { $0.block == proposal.block }) != true else { return false }
        offers[slot, default: []].append(Offer(sender: sender, block: proposal.block))
        return true
    }

    func hear(_ vote: SignedVote) {
        guard vote.vote.step == .prevote, !isLiar(vote.voter) else { return }
        prevotes[Slot(height: vote.vote.height, round: vote.vote.round), default: [:]][vote.voter] = vote.vote.block
    }

    /// Whether to play the jam in this round: all honest members have prevoted, and none but the liars can make a quorum.
    func jam(_ slot: Slot, honest: Int, quorum: Int) -> Digest? {
        guard !jammed.contains(slot), let votes = prevotes[slot], votes.count == honest else { return nil }
        var tally: [Digest: Int] = [:]
        for case let block? in votes.values { tally[block, default: 0] += 1 }
        let most = tally.max { ($0.value, $1.key) < ($1.value, $0.key) }
        guard let most, most.value < quorum, most.value + liars.count >= quorum else { return nil }
        jammed.insert(slot)
        return most.key
    }
}
