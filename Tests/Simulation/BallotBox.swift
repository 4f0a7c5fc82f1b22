import Contracts

/// Every vote and proposal that honest devices have signed, whether it was sent or not.
struct BallotBox {
    private struct Ballot: Hashable {
        var device: Int
        var slot: Slot
        /// nil: a proposal.
        var step: VoteStep?
    }

    /// Votes that decide, by height. Before the first block that is known of they are the founders'.
    private var quorums: [UInt64: Int]
    private let liars: Int
    private var ballots: [Ballot: Digest?] = [:]
    /// The last block that each device has precommitted.
    private var locks: [Int: (slot: Slot, block: Digest)] = [:]
    /// Honest prevotes for blocks.
    private var prevotes: [Slot: [Digest: Int]] = [:]

    init(quorum: Int, liars: Int) {
        quorums = [1: quorum]
        self.liars = liars
    }

    mutating func expect(_ quorum: Int, at height: UInt64) { quorums[height] = quorum }

    /// - Returns: what is wrong with it: nobody honest signs two votes of one step or two proposals of one round, nor leaves the
    ///   block that it has precommitted for one that no quorum can have prevoted since.
    mutating func take(_ request: SigningRequest, by device: Int) -> [String] {
        let bytes = request.bytes.bytes
        if request.purpose == .vote, let vote = try? Vote(encoded: bytes) {
            let slot = Slot(height: vote.height, round: vote.round)
            let isNews = ballots[Ballot(device: device, slot: slot, step: vote.step)] == nil
            let faults = note(Ballot(device: device, slot: slot, step: vote.step), vote.block)
            guard isNews, let block = vote.block else { return faults }
            return faults + hold(device, slot, vote.step, block)
        }
        guard request.purpose == .proposal, let proposal = try? Proposal(encoded: bytes) else { return [] }
        let slot = Slot(height: proposal.height, round: proposal.round)
        return note(Ballot(device: device, slot: slot, step: nil), proposal.block)
    }

    private mutating func note(_ ballot: Ballot, _ block: Digest?) -> [String] {
        let known = ballots.updateValue(block, forKey: ballot)
        guard let known, known != block else { return [] }
        let act = ballot.step.map { "\($0)s" } ?? "proposes"
        return ["\(act) \(known?.short ?? "nothing") and \(block?.short ?? "nothing") in \(ballot.slot.words)"]
    }

    private mutating func hold(_ device: Int, _ slot: Slot, _ step: VoteStep, _ block: Digest) -> [String] {
        guard step == .prevote else {
            locks[device] = (slot, block)
            return []
        }
        prevotes[slot, default: [:]][block, default: 0] += 1
        guard let lock = locks[device], lock.slot.height == slot.height, lock.block != block, lock.slot < slot else {
            return []
        }
        // Where nobody honest has computed the block before, the least that it may be.
        let quorum = quorums[slot.height] ?? quorums.values.min() ?? 0
        let isFree = (lock.slot.round..<slot.round).contains { round in
            (prevotes[Slot(height: slot.height, round: round)]?[block] ?? 0) + liars >= quorum
        }
        if isFree { return [] }
        let held = "\(lock.block.short) in \(lock.slot.words)"
        return ["has precommitted \(held) and prevotes \(block.short) in \(slot.words)"]
    }
}
