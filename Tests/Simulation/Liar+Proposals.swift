import Contracts
import PlannerCore

/// What a liar proposes.
extension Liar {
    func propose(_ bytes: [UInt8], _ state: SiteState) {
        guard let message = try? ProposalMessage(encoded: bytes) else { return }
        let slot = Slot(height: message.proposal.height, round: message.proposal.round)
        if proposals[slot] == nil { proposals[slot] = decide(message, slot, state) }
        for saying in proposals[slot] ?? [] { send(.proposal, saying.payload, to: saying.to) }
    }

    private func decide(_ message: ProposalMessage, _ slot: Slot, _ state: SiteState) -> [Saying] {
        let honestly = [Saying(payload: message.encoded, to: others)]
        guard let block = try? Block.decode(message.block) else { return honestly }
        if does(.withhold), time.chance(perMille: 700) { return keep("withholds its proposal of", slot) }
        if does(.grind), !(block.header.draw.output?.bytes[0].isMultiple(of: 2) ?? true) {
            return keep("finds its draw too bad for", slot)
        }
        if does(.split), message.proposal.validRound >= 0, block.header.height == state.height + 1 {
            return replace(block, slot, state)
        }
        guard block.header.builder == device.id, block.header.height == state.height + 1 else { return honestly }
        if does(.usurp), let taken = blockWithContraband(like: block, state) {
            site.note(device, "LIES: proposes a block with what it has no right to in \(slot.words)")
            return [Saying(payload: offer(taken, slot), to: others)]
        }
        if does(.wrongPlan), time.chance(perMille: 700) {
            let (wrong, what) = spoiled(block, state)
            site.note(device, "LIES: proposes a block with \(what) in \(slot.words)")
            return [Saying(payload: offer(wrong, slot), to: others)]
        }
        if does(.jam) {
            // As many get it as are needed for the liars to make a quorum, or not.
            let targets = Array(honest.prefix(max(1, quorum - conspiracy.liars.count)))
            site.note(device, "LIES: proposes \(block.id.short) in \(slot.words) to \(targets.words) alone")
            return [Saying(payload: message.encoded, to: targets)]
        }
        if does(.equivocate) { return equivocate(block, slot, state) }
        if does(.time) || does(.censor) {
            let changed = build(
                state, like: block, time: does(.time) ? latest(state) : nil,
                sparing: does(.censor) ? { $0 == self.device.id || self.conspiracy.isLiar($0) } : nil)
            site.note(device, "LIES: \(does(.time) ? "hurries time" : "leaves out others") in \(slot.words)")
            return [Saying(payload: offer(changed, slot), to: others)]
        }
        return honestly
    }

    private func keep(_ what: String, _ slot: Slot) -> [Saying] {
        site.note(device, "LIES: \(what) \(slot.words)")
        return []
    }

    /// Two blocks, each valid, to one half each; and to each half all liars vote as if it were the only one.
    private func equivocate(_ block: Block, _ slot: Slot, _ state: SiteState) -> [Saying] {
        let other = build(
            state, like: block, time: block.header.time + (block.header.time < latest(state) ? 1 : -1))
        let parts = [honest.filter { half($0, slot) }, honest.filter { !half($0, slot) }]
        site.note(
            device,
            "LIES: proposes \(block.id.short) in \(slot.words) to \(parts[0].words), \(other.id.short) to \(parts[1].words)"
        )
        var assignment: [Int: Digest] = [:]
        for device in parts[0] { assignment[device.number] = block.id }
        for device in parts[1] { assignment[device.number] = other.id }
        time.after(time.draw(1...200)) { [self] in conspiracy.assign(slot, assignment) }
        return zip([block, other], parts).map { Saying(payload: offer($0, slot), to: $1) }
    }

    /// Another block than the one that it has to propose again.
    private func replace(_ block: Block, _ slot: Slot, _ state: SiteState) -> [Saying] {
        var draft = block
        draft.header.draw = device.key.vrf.prove(state.nextDraw.encoded)
        let other = build(state, like: draft)
        site.note(device, "LIES: proposes \(other.id.short) in \(slot.words) in the place of \(block.id.short)")
        return [Saying(payload: offer(other, slot), to: others)]
    }

    // MARK: - Blocks

    /// The latest time that the block after this may have.
    private func latest(_ state: SiteState) -> Int64 {
        let parameters = state.parameters
        return state.time + max(parameters.absentAfter / 3, parameters.idleInterval + 1_000)
    }

    func offer(_ block: Block, _ slot: Slot) -> [UInt8] {
        let proposal = Proposal(
            genesis: block.header.genesis, height: slot.height, round: slot.round, validRound: -1, block: block.id)
        return ProposalMessage(
            proposal: proposal, signature: device.key.sign(proposal.encoded), block: block.encoded, prevotes: []
        ).encoded
    }

    func signed(_ header: BlockHeader, _ body: BlockBody) -> Block {
        Block(header: header, signature: device.key.sign(header.encoded), body: body)
    }

    /// A block of its own that is valid but for what is asked for.
    ///
    /// - Parameters:
    ///   - sparing: whose messages stay in; nil for all.
    ///   - contraband: what comes in besides, if it has an effect.
    func build(
        _ state: SiteState, like block: Block, time: Int64? = nil, plan: Plan? = nil,
        sparing: ((NodeID) -> Bool)? = nil, with contraband: Contraband? = nil
    ) -> Block {
        let header = block.header
        let builder = BlockBuilder(
            parent: state, builder: device.id,
            leadership: Leadership(engine: header.engine, term: header.term, leader: nil), time: time ?? header.time,
            draw: header.draw, plan: plan)
        let kept = block.body.transactions.filter { sparing?($0.sender) ?? true }
        var transactions = kept.compactMap { message in
            (try? Transaction(encoded: message.payload.bytes)).map { (message, $0) }
        }
        if let contraband { transactions.append((contraband.message, contraband.transaction)) }
        let made = builder.build(
            reports: block.body.reports.filter { sparing?($0.sender) ?? true }, transactions: transactions)
        return signed(made.header, made.body)
    }

    /// A block that something is wrong with, and what.
    private func spoiled(_ block: Block, _ state: SiteState) -> (Block, String) {
        var header = block.header
        switch time.draw(0...7) {
        case ..<3: return (build(state, like: block, plan: wrong(block.body.plan, state)), "a wrong plan")
        case 3: header.stateRoot = noise()
        case 4: header.draw = VRFProof(unchecked: noise().bytes + noise().bytes + noise().bytes.prefix(16))
        case 5: header.nextMembers = noise()
        case 6: return (build(state, like: block, time: latest(state) + 60_000), "a time that is too late")
        default: header.parentSignature = falseSignature()
        }
        return (signed(header, block.body), "a wrong header")
    }

    /// Another plan than the strategy's, as if it were right: everything goes to the liar, or nothing anywhere.
    private func wrong(_ plan: Plan, _ state: SiteState) -> Plan {
        var wrong = plan
        if !plan.assignments.isEmpty, time.chance(perMille: 500) {
            wrong.assignments = []
            return wrong
        }
        let queued = Set(plan.assignments.map(\.app) + plan.moves.map(\.app))
        for app in state.apps.ascending where app.phase == .running && app.node != device.id {
            guard let node = app.node, !queued.contains(app.specification.name) else { continue }
            wrong.moves.append(Move(app: app.specification.name, from: node, to: device.id))
            break
        }
        return wrong
    }
}

extension Slot {
    var words: String { "height \(height), round \(round)" }
}

extension [SimulatedDevice] {
    var words: String { isEmpty ? "nobody" : map(\.name).joined(separator: " and ") }
}
