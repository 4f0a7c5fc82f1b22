import Contracts

/// What the paper leaves to its network: that what one honest member has received reaches all of them. A liar can tell each
/// member something else, and nobody but its receiver passes that on.
extension Agreement {
    /// The prevotes by which ``valid`` is valid, in ascending order of member.
    ///
    /// Whoever has locked a block by a liar's vote that nobody else got must show it to the others, or they propose other blocks
    /// for ever, which it must refuse.
    var polka: [SignedVote] {
        guard let valid else { return [] }
        let certificate = certificate(.prevote, valid.round, valid.block)
        let vote = certificate.vote(of: genesis)
        return certificate.signatures.map { SignedVote(voter: $0.member, vote: vote, signature: $0.signature) }
    }

    /// The precommits that let this node leave the round before, in ascending order of member. Where a liar's is among them, which
    /// nobody else got, the others must see it or they wait in that round for ever.
    var passage: [SignedVote] {
        guard round > 0 else { return [] }
        let ballot = Ballot(round: round - 1, step: .precommit)
        return (votes[ballot] ?? [:]).values.sorted { $0.voter < $1.voter }
    }

    /// The second vote of a member that voted twice. As in the paper each of them counts for its block: else a liar could vote
    /// for nothing to some, and they would never believe in the quorum that its other vote makes. Bounded by
    /// the blocks that are offered here.
    mutating func takeSecond(_ vote: SignedVote) -> [Action] {
        let ballot = Ballot(round: vote.vote.round, step: vote.vote.step)
        guard let block = vote.vote.block, candidates[block] != nil, doubled[ballot]?[block]?[vote.voter] == nil else {
            return [.count("double-vote")]
        }
        doubled[ballot, default: [:]][block, default: [:]][vote.voter] = vote
        return [.count("double-vote")] + advance()
    }

    /// This ballot's votes for a block, those of members that voted otherwise too included.
    func votes(_ ballot: Ballot, for block: Digest) -> [SignedVote] {
        (votes[ballot] ?? [:]).values.filter { $0.vote.block == block } + (doubled[ballot]?[block] ?? [:]).values
    }

    /// A polka of an earlier round, shown by a member that has locked its block. It is as good as one of the running round for
    /// what this node proposes next.
    mutating func learn() -> [Action]? {
        let rounds = Set(votes.keys.lazy.filter { $0.step == .prevote }.map(\.round))
        for past in rounds.sorted(by: >) where past < round {
            guard valid.map({ $0.round < past }) ?? true else { return nil }
            guard let block = chosen(.prevote, past), case .success? = candidates[block]?.verdict else { continue }
            valid = Hold(round: past, block: block)
            return []
        }
        return nil
    }
}
