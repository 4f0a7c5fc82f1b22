import Contracts
import Identity
import Machine

/// Agreement on one height: Algorithm 1 of "The latest gossip on BFT consensus" (Buchman, Kwon, Milosevic,
/// arXiv 1807.04938). Line numbers in comments are that listing's.
///
/// Three things differ from the listing, none of which touches its safety:
/// - The proposer of round 0 is the elected leader, which nodes may see differently for a while. A node prevotes only
///   what its own leader proposes; any block that a quorum voted for counts.
/// - A block proposed anew keeps the header of its builder, so it keeps its name.
/// - Signatures come later than decisions: a vote is decided, made durable, signed, and counts from then on.
struct Agreement: Sendable {
    enum Step: UInt8, Sendable, Comparable {
        /// The block interval is not over.
        case waiting = 0
        case propose = 1
        case prevote = 2
        case precommit = 3

        static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    }

    /// What whoever holds the agreement must do, in this order.
    enum Action: Sendable {
        /// getValue(): make a block, then call ``drafted(_:_:round:)``.
        case build(round: UInt32)
        /// Make durable, then have signed.
        case sign(SigningTag, [UInt8])
        case timer(PlannerTimer, Int64)
        /// The round failed; nothing was decided in it.
        case failed(round: UInt32)
        /// Tell everybody of ``polka``.
        case showPolka
        case decided(round: UInt32, block: Digest)
        /// A quorum decided a block that this node finds invalid: it must not go on.
        case contradicted(block: Digest, Refusal)
        /// A member has voted twice.
        case convict(Evidence)
        case count(String)
    }

    /// A block that somebody offered, with this node's own judgement of it.
    struct Candidate: Sendable {
        let block: Block
        /// valid(v): the state after it, or why it is invalid.
        let verdict: Result<SiteState, Refusal>
        /// Why this node does not prevote it as a fresh proposal though it is valid; nil if it does.
        let doubt: Refusal?
        /// Monotonic milliseconds.
        let arrived: Int64
    }

    struct Offer: Sendable {
        let proposal: Proposal
        /// nil while gossip has not signed it yet.
        var signature: Signature?
    }

    /// A round and the block this node holds from it: the paper's lockedRound with lockedValue, or the valid ones.
    struct Hold: Hashable, Sendable {
        var round: UInt32
        var block: Digest
    }

    struct Ballot: Hashable, Sendable {
        var round: UInt32
        var step: VoteStep
    }

    struct CastVote: Hashable, Sendable {
        var block: Digest?
        var signature: Signature?
    }

    /// A block of this node's making whose header is not signed yet.
    struct Draft: Sendable {
        var round: UInt32
        var header: BlockHeader
        var body: BlockBody
    }

    /// Rounds before the running one whose votes and proposals are kept.
    static let memory: UInt32 = 8
    /// Rounds after the running one whose votes and proposals are kept. Of later ones only is remembered who is there: all that
    /// a node needs to follow, and all that a liar can make it keep.
    static let reach: UInt32 = 8

    let genesis: Digest
    let height: UInt64
    let here: NodeID
    /// In ascending order.
    let members: [NodeID]
    /// The same in the order in which they propose after a failed round 0.
    let turns: [NodeID]
    let quorum: Quorum
    let timeouts: Timeouts
    let deviation: Deviation

    var round: UInt32 = 0
    var step = Step.waiting
    var locked: Hold?
    var valid: Hold?
    /// Who leads by this node's election: the proposer of round 0.
    var leader: NodeID?
    var isDecided = false

    var candidates: [Digest: Candidate] = [:]
    var offers: [UInt32: [NodeID: Offer]] = [:]
    var votes: [Ballot: [NodeID: SignedVote]] = [:]
    /// The furthest round beyond ``reach`` that each member has voted in.
    var ahead: [NodeID: UInt32] = [:]
    /// Members whose double votes were told.
    var convicted: Set<NodeID> = []
    /// Votes for blocks of members whose vote in ``votes`` is another.
    var doubled: [Ballot: [Digest: [NodeID: SignedVote]]] = [:]
    /// This node's own votes. One that is here is never cast otherwise.
    var cast: [Ballot: CastVote] = [:]
    var draft: Draft?

    // What happens once in a round.
    var asked = false
    var prevoteTimed = false
    var precommitTimed = false
    var polkaSeen = false

    init(
        genesis: Digest, height: UInt64, here: NodeID, members: [NodeID], epochSeed: Digest, quorum: Quorum,
        timeouts: Timeouts, leader: NodeID?, deviation: Deviation = []
    ) {
        self.genesis = genesis
        self.height = height
        self.here = here
        self.members = members
        turns = Rotation.order(members, seed: epochSeed)
        self.quorum = quorum
        self.timeouts = timeouts
        self.deviation = deviation
        self.leader = leader
    }

    /// proposer(h, r).
    func proposer(of round: UInt32) -> NodeID? {
        if round == 0 { return leader }
        return turns[Int((height % UInt64(turns.count) + UInt64(round)) % UInt64(turns.count))]
    }

    var isStarted: Bool { step != .waiting }

    /// Whether this node may vote. One that isn't a member follows what the others decide.
    var isMember: Bool { members.contains(here) }

    /// The block interval is over, or the first proposal is here.
    mutating func start() -> [Action] {
        guard !isStarted else { return [] }
        return enter(round) + advance()
    }

    mutating func lead(by leader: NodeID?) -> [Action] {
        guard leader != self.leader else { return [] }
        self.leader = leader
        if step == .propose, round == 0 { return propose() + advance() }
        return advance()
    }

    // MARK: What arrives

    /// - Precondition: voter, genesis and height are this agreement's and the signature was checked.
    mutating func take(_ vote: SignedVote) -> [Action] {
        let ballot = Ballot(round: vote.vote.round, step: vote.vote.step)
        guard ballot.round <= Timeouts.lastRound else { return [.count("round-too-far-ahead")] }
        guard ballot.round <= round + Self.reach else {
            ahead[vote.voter] = max(ahead[vote.voter] ?? 0, ballot.round)
            return advance()
        }
        if let known = votes[ballot]?[vote.voter] {
            guard let evidence = Evidence(known, vote) else { return [] }
            let isNews = convicted.insert(vote.voter).inserted
            return (isNews ? [.convict(evidence)] : []) + takeSecond(vote)
        }
        votes[ballot, default: [:]][vote.voter] = vote
        // Its own vote from before a crash binds it, even if its record was lost.
        if vote.voter == here, cast[ballot] == nil {
            cast[ballot] = CastVote(block: vote.vote.block, signature: vote.signature)
        }
        return advance()
    }

    /// - Precondition: the sender is a member and signed the proposal, which is of this genesis, height and block.
    mutating func take(_ proposal: Proposal, by sender: NodeID, signature: Signature, _ candidate: Candidate)
        -> [Action]
    {
        if let objection = objection(to: proposal, by: sender) { return [.count(objection)] }
        if offers[proposal.round]?[sender] != nil { return [] }
        candidates[proposal.block] = candidates[proposal.block] ?? candidate
        offers[proposal.round, default: [:]][sender] = Offer(proposal: proposal, signature: signature)
        let isStray = proposal.round == 0 && sender != leader
        return (isStray ? [.count(Refusal.Reason.notTheLeader.rawValue)] : []) + advance()
    }

    /// Why a proposal is not worth looking at, whatever its block: it is out of reach, or its sender has no turn or has proposed
    /// something else in this round; nil if it is. To judge a block costs much, and a liar can make as many as it likes.
    func objection(to proposal: Proposal, by sender: NodeID) -> String? {
        guard proposal.round <= min(round + Self.reach, Timeouts.lastRound) else { return "round-too-far-ahead" }
        if proposal.round > 0, proposer(of: proposal.round) != sender {
            return Refusal.Reason.notTheProposer.rawValue
        }
        guard let known = offers[proposal.round]?[sender] else { return nil }
        return known.proposal == proposal ? nil : "double-proposal"
    }

    /// Whether a proposal is a reason to begin this height before the block interval is over here: it has been taken, its
    /// sender has this turn, and its block is valid.
    func isDue(_ proposal: Proposal, by sender: NodeID) -> Bool {
        guard offers[proposal.round]?[sender]?.proposal == proposal, proposer(of: proposal.round) == sender,
            case .success? = candidates[proposal.block]?.verdict
        else { return false }
        return true
    }

    /// Whether a proposal or its block would tell nothing new.
    func knows(_ proposal: Proposal, by sender: NodeID) -> Bool {
        offers[proposal.round]?[sender]?.proposal == proposal && candidates[proposal.block] != nil
    }

    func knows(_ vote: SignedVote) -> Bool {
        let ballot = Ballot(round: vote.vote.round, step: vote.vote.step)
        if votes[ballot]?[vote.voter]?.vote == vote.vote { return true }
        return vote.vote.block.flatMap { doubled[ballot]?[$0]?[vote.voter] } != nil
    }

    /// The timers that may be armed.
    var timers: [PlannerTimer] {
        [.nextHeight(height)]
            + [
                .propose(height: height, round: round), .prevote(height: height, round: round),
                .precommit(height: height, round: round),
            ]
    }

    mutating func elapsed(_ timer: PlannerTimer) -> [Action] {
        switch timer {
        case .propose(height, round) where step == .propose:  // 57-60
            return vote(.prevote, nil) + advance()
        case .prevote(height, round) where step == .prevote:  // 61-64
            return vote(.precommit, nil) + advance()
        case .precommit(height, round) where isStarted:  // 65-67
            return [.failed(round: round)] + enter(round + 1) + advance()
        default: return []
        }
    }

    // MARK: What this node says

    /// 11-21: StartRound.
    mutating func enter(_ round: UInt32) -> [Action] {
        self.round = min(round, Timeouts.lastRound)
        step = .propose
        asked = false
        prevoteTimed = false
        precommitTimed = false
        polkaSeen = false
        forget()
        // The listing spares the proposer this timer. Here gossip must sign first, and it may not.
        let timer = PlannerTimer.propose(height: height, round: self.round)
        return [.timer(timer, timeouts.propose(self.round))] + propose()
    }

    /// 14-19.
    mutating func propose() -> [Action] {
        guard proposer(of: round) == here, !asked, offers[round]?[here] == nil else { return [] }
        asked = true
        guard let valid, candidates[valid.block] != nil else { return [.build(round: round)] }
        return offer(valid.block, validRound: Int32(valid.round))
    }

    mutating func offer(_ block: Digest, validRound: Int32) -> [Action] {
        let proposal = Proposal(genesis: genesis, height: height, round: round, validRound: validRound, block: block)
        offers[round, default: [:]][here] = Offer(proposal: proposal, signature: nil)
        return [.sign(.proposal(height: height, round: round), proposal.encoded)]
    }

    /// Casts this node's one vote of this round and step.
    mutating func vote(_ step: VoteStep, _ block: Digest?) -> [Action] {
        self.step = step == .prevote ? .prevote : .precommit
        let ballot = Ballot(round: round, step: step)
        guard isMember, cast[ballot] == nil else { return [] }
        cast[ballot] = CastVote(block: block, signature: nil)
        return [.sign(.vote(height: height, round: round, step: step), encoded(ballot, block))]
    }

    private func encoded(_ ballot: Ballot, _ block: Digest?) -> [UInt8] {
        Vote(genesis: genesis, height: height, round: ballot.round, step: ballot.step, block: block).encoded
    }

    /// The running round, if ``Action/build(round:)`` asked for a block in it that is not made yet.
    var awaitedRound: UInt32? {
        guard step == .propose, asked, proposer(of: round) == here, draft == nil, offers[round]?[here] == nil else {
            return nil
        }
        return round
    }

    /// The block that ``Action/build(round:)`` asked for; its header is to be signed.
    mutating func drafted(_ header: BlockHeader, _ body: BlockBody) -> [Action] {
        draft = Draft(round: round, header: header, body: body)
        return [.sign(.header(height: height, round: round), header.encoded)]
    }

    /// The draft as a block, for its maker to judge; nil if `signature` is none of its header or comes too late.
    func finished(round: UInt32, _ signature: Signature) -> Block? {
        guard let draft, draft.round == round, round == self.round, step == .propose,
            here.verifies(signature, of: draft.header.encoded)
        else { return nil }
        return Block(header: draft.header, signature: signature, body: draft.body)
    }

    mutating func offerFresh(_ candidate: Candidate) -> [Action] {
        draft = nil
        let id = candidate.block.id
        candidates[id] = candidate
        return offer(id, validRound: -1)
    }

    mutating func signed(_ tag: SigningTag, _ signature: Signature) -> [Action] {
        switch tag {
        case .proposal(height, let round):
            guard let offer = offers[round]?[here], offer.signature == nil,
                here.verifies(signature, of: offer.proposal.encoded)
            else { return [] }
            offers[round]?[here]?.signature = signature
        case .vote(height, let round, let step):
            let ballot = Ballot(round: round, step: step)
            guard let own = cast[ballot], own.signature == nil else { return [] }
            let vote = Vote(genesis: genesis, height: height, round: round, step: step, block: own.block)
            guard here.verifies(signature, of: vote.encoded) else { return [.count("bad-own-signature")] }
            cast[ballot]?.signature = signature
            votes[ballot, default: [:]][here] = SignedVote(voter: here, vote: vote, signature: signature)
        default: return []
        }
        return advance()
    }

    /// What was asked to be signed and is not yet: asked again, should gossip have lost it.
    var unsigned: [(SigningTag, [UInt8])] {
        var requests: [(SigningTag, [UInt8])] = []
        if let draft, draft.round == round {
            requests.append((.header(height: height, round: round), draft.header.encoded))
        }
        if let offer = offers[round]?[here], offer.signature == nil {
            requests.append((.proposal(height: height, round: round), offer.proposal.encoded))
        }
        for step in [VoteStep.prevote, .precommit] {
            let ballot = Ballot(round: round, step: step)
            guard let own = cast[ballot], own.signature == nil else { continue }
            requests.append((.vote(height: height, round: round, step: step), encoded(ballot, own.block)))
        }
        return requests
    }

    /// Drops what no rule can need any more.
    private mutating func forget() {
        let first = round > Self.memory ? round - Self.memory : 0
        let held = Set([locked, valid].compactMap { $0?.round })
        offers = offers.filter { $0.key >= first }
        votes = votes.filter { $0.key.round >= first || held.contains($0.key.round) }
        doubled = doubled.filter { votes[$0.key] != nil }
        cast = cast.filter { $0.key.round >= first }
        var needed = Set([locked, valid].compactMap { $0?.block })
        for offer in offers.values.flatMap(\.values) { needed.insert(offer.proposal.block) }
        candidates = candidates.filter { needed.contains($0.key) }
        if let draft, draft.round != round { self.draft = nil }
    }
}

/// How long to wait in each step: longer in each round, so that some round is long enough for any network.
package struct Timeouts: Sendable {
    /// No height takes so many rounds.
    static let lastRound: UInt32 = 1 << 30
    private static let limit: Int64 = 30_000

    /// Milliseconds in round 0, and how many more each later round has.
    var proposeBase: Int64 = 3_000
    var proposeStep: Int64 = 1_000
    var voteBase: Int64 = 1_000
    var voteStep: Int64 = 500

    package init() {}

    package func propose(_ round: UInt32) -> Int64 { min(Self.limit, proposeBase + proposeStep * Int64(round)) }
    package func vote(_ round: UInt32) -> Int64 { min(Self.limit, voteBase + voteStep * Int64(round)) }
}
