import Contracts
import Identity
import Testing

@testable import PlannerCore

/// What a member that votes twice, to each as it likes, must not be able to do: keep the others from ever agreeing.
struct LiarTests {
    private var chain = TestChain(nodes: 4, parameters: SiteParameters(quorum: .byzantine))
    private let block: Block
    private let candidate: Agreement.Candidate

    init() throws {
        block = chain.block(builder: 1)
        candidate = Agreement.Candidate(
            block: block, verdict: .success(try Validity.check(block, after: chain.state)), doubt: nil,
            arrived: 0)
    }

    /// The agreement of member 0, in round 0, to which its leader 1 has proposed the block. Member 3 is the liar.
    private func agreement(hasProposal: Bool = true) -> Agreement {
        var agreement = Agreement(
            genesis: chain.genesis.hash, height: 1, here: chain.id(0), members: chain.state.memberIDs,
            epochSeed: chain.state.epochSeed, quorum: chain.state.quorum, timeouts: Timeouts(), leader: chain.id(1))
        _ = agreement.start()
        if hasProposal { _ = propose(&agreement, round: 0, validRound: -1, by: 1) }
        return agreement
    }

    private func propose(_ agreement: inout Agreement, round: UInt32, validRound: Int32, by index: Int)
        -> [Agreement.Action]
    {
        let proposal = Proposal(
            genesis: chain.genesis.hash, height: 1, round: round, validRound: validRound, block: block.id)
        return agreement.take(
            proposal, by: chain.id(index), signature: chain.keys[index].sign(proposal.encoded), candidate)
    }

    private func vote(_ step: VoteStep, _ round: UInt32, _ block: Digest?, by index: Int) -> SignedVote {
        let vote = Vote(genesis: chain.genesis.hash, height: 1, round: round, step: step, block: block)
        return SignedVote(voter: chain.id(index), vote: vote, signature: chain.keys[index].sign(vote.encoded))
    }

    private func sign(_ agreement: inout Agreement, _ step: VoteStep, _ round: UInt32) -> [Agreement.Action] {
        let block = agreement.cast[Agreement.Ballot(round: round, step: step)]?.block
        return agreement.signed(
            .vote(height: 1, round: round, step: step), vote(step, round, block, by: 0).signature)
    }

    /// It told this node that it votes for nothing, and another that it votes for the block, which that one has locked.
    @Test func theOtherVoteOfALiarCountsToo() {
        var agreement = agreement(hasProposal: false)
        _ = agreement.elapsed(.propose(height: 1, round: 0))
        _ = sign(&agreement, .prevote, 0)
        for index in [1, 2] { _ = agreement.take(vote(.prevote, 0, block.id, by: index)) }
        _ = agreement.take(vote(.prevote, 0, nil, by: 3))
        _ = agreement.elapsed(.prevote(height: 1, round: 0))
        let round = UInt32((1...4).first { agreement.proposer(of: UInt32($0)) == chain.id(1) } ?? 1)
        _ = agreement.enter(round)
        _ = propose(&agreement, round: round, validRound: 0, by: 1)
        #expect(agreement.cast[Agreement.Ballot(round: round, step: .prevote)] == nil)
        #expect(!agreement.knows(vote(.prevote, 0, block.id, by: 3)))
        _ = agreement.take(vote(.prevote, 0, block.id, by: 3))
        #expect(agreement.knows(vote(.prevote, 0, block.id, by: 3)))
        #expect(agreement.cast[Agreement.Ballot(round: round, step: .prevote)]?.block == block.id)
        let certificate = agreement.certificate(.prevote, 0, block.id)
        #expect(certificate.signatures.map(\.member) == [chain.id(1), chain.id(2), chain.id(3)])
    }

    /// Nor can it fill the memory with votes for blocks that nobody has seen.
    @Test func aSecondVoteForAnUnknownBlockIsDropped() {
        var agreement = agreement()
        _ = agreement.take(vote(.prevote, 0, nil, by: 3))
        for number in 0..<UInt8(100) {
            let unknown = Digest(of: [number], domain: "test")
            _ = agreement.take(vote(.prevote, 0, unknown, by: 3))
        }
        #expect(agreement.doubled.isEmpty)
    }

    /// A lock that a liar's vote made, which nobody else got, is shown to all before the next round.
    @Test func aLockIsShown() {
        var agreement = agreement()
        _ = sign(&agreement, .prevote, 0)
        _ = agreement.take(vote(.prevote, 0, block.id, by: 1))
        _ = agreement.take(vote(.prevote, 0, block.id, by: 3))
        #expect(agreement.locked == Agreement.Hold(round: 0, block: block.id))
        var actions = sign(&agreement, .precommit, 0)
        for index in [1, 2] { actions += agreement.take(vote(.precommit, 0, nil, by: index)) }
        #expect(actions.contains { if case .showPolka = $0 { true } else { false } })
        #expect(Set(agreement.polka.map(\.voter)) == [chain.id(0), chain.id(1), chain.id(3)])
        #expect(agreement.polka.allSatisfy { $0.isGenuine })
    }

    /// Whoever is shown one proposes that block from then on, also if its round is over.
    @Test func aShownLockIsProposed() {
        var agreement = agreement()
        _ = sign(&agreement, .prevote, 0)
        _ = agreement.take(vote(.prevote, 0, block.id, by: 1))
        _ = agreement.enter(1)
        #expect(agreement.valid == nil)
        _ = agreement.take(vote(.prevote, 0, block.id, by: 3))
        #expect(agreement.valid == Agreement.Hold(round: 0, block: block.id))
        #expect(agreement.locked == nil)
    }

    /// Whoever leaves a round by a liar's vote that nobody else got says so, or the others would wait in it.
    @Test func whatEndedARoundIsShown() {
        var agreement = agreement(hasProposal: false)
        #expect(agreement.passage.isEmpty)
        for index in 1...3 { _ = agreement.take(vote(.precommit, 0, nil, by: index)) }
        _ = agreement.elapsed(.precommit(height: 1, round: 0))
        #expect(agreement.round == 1)
        #expect(agreement.passage.map(\.voter) == [chain.id(1), chain.id(2), chain.id(3)])
    }
}
