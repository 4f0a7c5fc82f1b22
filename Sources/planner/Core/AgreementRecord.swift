import Contracts

/// What an agreement must remember across a crash, so that it never votes twice and keeps its lock.
struct AgreementRecord: ByteCodable {
    private static let domain = "poise/agreement/3"

    struct CastBallot: ByteCodable {
        var ballot: Agreement.Ballot
        var block: Digest?

        func encode(to writer: inout ByteWriter) {
            writer.integer(ballot.round)
            writer.integer(ballot.step.rawValue)
            writer.optional(block)
        }

        init(ballot: Agreement.Ballot, block: Digest?) {
            self.ballot = ballot
            self.block = block
        }

        init(from reader: inout ByteReader) throws {
            let round: UInt32 = try reader.integer()
            let raw = try reader.integer(UInt8.self)
            guard let step = VoteStep(rawValue: raw) else {
                throw ByteCodingError.invalid(what: "a cast vote's step", value: "\(raw)")
            }
            ballot = Agreement.Ballot(round: round, step: step)
            block = try reader.optional()
        }
    }

    var genesis: Digest
    var height: UInt64
    var round: UInt32
    var step: Agreement.Step
    var locked: Agreement.Hold?
    var valid: Agreement.Hold?
    var cast: [CastBallot]
    /// This node's own proposals.
    var proposals: [Proposal]
    /// The prevotes by which ``valid`` is valid: a proposal of it must show them.
    var prevotes: [MemberSignature]
    /// Whatever blocks the above name and need. They are stored beside it, once.
    var blocks: [Digest]

    init(_ agreement: Agreement) {
        genesis = agreement.genesis
        height = agreement.height
        round = agreement.round
        step = agreement.step
        locked = agreement.locked
        valid = agreement.valid
        cast = agreement.cast.sorted { ($0.key.round, $0.key.step.rawValue) < ($1.key.round, $1.key.step.rawValue) }
            .map { CastBallot(ballot: $0.key, block: $0.value.block) }
        proposals = agreement.offers.values.compactMap { $0[agreement.here]?.proposal }.sorted { $0.round < $1.round }
        let polka = agreement.valid.map { agreement.certificate(.prevote, $0.round, $0.block).signatures }
        prevotes = polka ?? []
        var named = Set(proposals.filter { $0.round == agreement.round }.map(\.block))
        for hold in [agreement.locked, agreement.valid] { if let hold { named.insert(hold.block) } }
        blocks = named.sorted().filter { agreement.candidates[$0] != nil }
    }

    func encode(to writer: inout ByteWriter) {
        writer.text(Self.domain)
        writer.value(genesis)
        writer.integer(height)
        writer.integer(round)
        writer.integer(step.rawValue)
        for hold in [locked, valid] {
            writer.bool(hold != nil)
            guard let hold else { continue }
            writer.integer(hold.round)
            writer.value(hold.block)
        }
        writer.list(cast)
        writer.list(proposals)
        writer.list(prevotes)
        writer.list(blocks)
    }

    init(from reader: inout ByteReader) throws {
        try reader.domain(Self.domain)
        genesis = try reader.value()
        height = try reader.integer()
        round = try reader.integer()
        let raw = try reader.integer(UInt8.self)
        guard let step = Agreement.Step(rawValue: raw) else {
            throw ByteCodingError.invalid(what: "an agreement's step", value: "\(raw)")
        }
        self.step = step
        func hold() throws -> Agreement.Hold? {
            guard try reader.bool() else { return nil }
            return Agreement.Hold(round: try reader.integer(), block: try reader.value())
        }
        locked = try hold()
        valid = try hold()
        cast = try reader.list("the votes cast", limit: 64)
        proposals = try reader.list("the proposals made", limit: 64)
        prevotes = try reader.list("the prevotes", limit: Genesis.memberLimit)
        blocks = try reader.list("the blocks held", limit: 8)
    }
}

extension Agreement {
    /// Goes on where the record stopped: same round and step, same lock, and every vote as it was cast.
    ///
    /// - Parameters:
    ///   - blocks: those it held.
    ///   - judge: valid(v) for them.
    mutating func restore(_ record: AgreementRecord, _ blocks: [Block], judge: (Block) -> Candidate) {
        round = record.round
        locked = record.locked
        valid = record.valid
        for block in blocks { candidates[block.id] = judge(block) }
        for entry in record.cast { cast[entry.ballot] = CastVote(block: entry.block, signature: nil) }
        for proposal in record.proposals { offers[proposal.round, default: [:]][here] = Offer(proposal: proposal) }
        if let valid = record.valid {
            let ballot = Ballot(round: valid.round, step: .prevote)
            let vote = Vote(
                genesis: genesis, height: height, round: valid.round, step: .prevote, block: valid.block)
            for entry in record.prevotes {
                let signed = SignedVote(voter: entry.member, vote: vote, signature: entry.signature)
                votes[ballot, default: [:]][entry.member] = signed
            }
        }
        asked = offers[round]?[here] != nil
        step = record.step
    }

    /// After ``restore(_:_:judge:)``: arms the timer of the step again. What was signed before is signed again, alike. A
    /// block that was being built is built anew: nobody has seen it, and its header alone commits nobody.
    mutating func resume() -> [Action] {
        var actions: [Action] = []
        if step == .propose {
            actions.append(.timer(.propose(height: height, round: round), timeouts.propose(round)))
            actions += propose()
        }
        return actions + unsigned.map { .sign($0, $1) } + advance()
    }
}
