import Contracts

/// The machine's part in agreement: it gives the algorithm blocks and verdicts, and does what it decides.
extension PlannerMachine {
    /// Milliseconds after a commit from which another's proposal begins the next height, at most.
    private static let haste: Int64 = 500

    /// Prepares to agree on the next height, from its record if a crash interrupted it.
    mutating func openHeight() {
        guard let state else { return }
        var next = Agreement(
            genesis: state.genesis, height: state.height + 1, here: here, members: state.memberIDs,
            epochSeed: state.epochSeed, quorum: state.quorum, timeouts: timeouts, leader: leader,
            deviation: deviation)
        draw = nil
        isProposed = false
        openedAt = now
        askForDraw()
        storedBlocks = []
        if let (record, blocks) = storedAgreement, record.genesis == next.genesis, record.height == next.height {
            storedBlocks = Set(record.blocks)
            next.restore(record, blocks) { judge($0, state, round: record.round) }
            agreement = next
            if next.isStarted {
                drive { $0.resume() }
                return
            }
        }
        agreement = next
        isPlanned = state.nextPlan?.isEmpty == false
        // A device is known to be in touch by the blocks that hold its reports.
        needsTouch = state.apps.values.contains { $0.phase.isPlaced && $0.specification.isolated == .freeze }
        pace()
    }

    /// Sets when the running height begins: soon if there is something to decide, else when the idle interval is over.
    ///
    /// Somebody's proposal begins it early, for clocks and commits differ a little. But not at once, or a leader that lies could
    /// have block after block written to everybody's disk.
    mutating func pace() {
        guard let state, let agreement, !agreement.isStarted else { return }
        let isBusy = isPlanned || needsTouch || !pool.entries.isEmpty
        var interval = isBusy ? state.parameters.blockInterval : state.parameters.idleInterval
        if isProposed { interval = min(state.parameters.blockInterval / 2, Self.haste) }
        let passed = isProposed && committedAt == nil ? .max : now - openedAt
        if isProposed, passed >= interval { return drive { $0.start() } }
        effects.append(
            .setTimer(.nextHeight(agreement.height), afterMilliseconds: max(0, interval - passed)))
    }

    /// Feeds the agreement and does what it says.
    mutating func drive(_ input: (inout Agreement) -> [Agreement.Action]) {
        // Taken out, so that nothing of it is copied.
        guard var current = agreement.take() else { return }
        let height = current.height
        let actions = input(&current)
        agreement = current
        for action in actions where halted == nil && agreement?.height == height { perform(action) }
    }

    private mutating func perform(_ action: Agreement.Action) {
        switch action {
        case .build(let round): build(round: round)
        case .sign(let tag, let bytes):
            // A header alone commits nobody to anything, so there is nothing to remember of it.
            if case .header = tag {} else { persistAgreement() }
            sign(tag, bytes)
        case .timer(let timer, let delay): effects.append(.setTimer(timer, afterMilliseconds: delay))
        case .showPolka: for vote in agreement?.polka ?? [] where vote.voter != here { publish(vote) }
        case .failed(let round): blame(round: round)
        case .decided(let round, let id):
            guard let agreement, let candidate = agreement.candidates[id], case .success(let after) = candidate.verdict
            else { return }
            commit(candidate.block, agreement.certificate(.precommit, round, id).encoded, after)
        case .contradicted(let id, let refusal):
            halt(
                "a quorum decided the block \(id.short), which this node finds invalid: \(refusal). Compare its version with the "
                    + "others', then move its chain's files away and start it again")
        case .convict(let evidence): accuse(evidence)
        case .count(let reason): count(reason)
        }
    }

    /// Brings two votes that contradict each other to the chain, which removes their voter.
    private mutating func accuse(_ evidence: Evidence) {
        guard let state, agreement?.isMember == true else { return }
        let culprit = state.name(of: evidence.culprit)
        effects.append(.log(.warning, "\(culprit) has voted twice at height \(evidence.height): the chain is told"))
        let payload = Transaction.evidence(evidence).encoded
        effects.append(.publish(Publication(kind: .transaction, payload: payload)))
    }

    private mutating func persistAgreement() {
        guard let agreement else { return }
        let record = AgreementRecord(agreement)
        let fresh = record.blocks.filter { !storedBlocks.contains($0) }
        storedBlocks = Set(record.blocks)
        effects.append(
            .persistAgreement(
                StoredAgreement(
                    height: record.height, record: record.encoded, named: record.blocks,
                    blocks: fresh.compactMap { id in
                        agreement.candidates[id].map { StoredAgreement.Held(id: id, block: $0.block.encoded) }
                    })))
    }

    mutating func sign(_ tag: SigningTag, _ bytes: [UInt8]) {
        let purpose: SigningRequest.Purpose =
            switch tag {
            case .genesis: .genesis
            case .recoveries: .recovery
            case .header: .header
            case .proposal: .proposal
            case .vote: .vote
            }
        effects.append(.sign(tag, SigningRequest(purpose: purpose, bytes: bytes)))
    }

    /// Every member may have to build at every height, so it draws before it knows.
    mutating func askForDraw() {
        guard let state, draw == nil, state.nodes[here] != nil else { return }
        let request = DrawRequest(alpha: state.nextDraw.encoded)
        effects.append(.draw(height: state.height + 1, request))
    }

    mutating func drawn(_ proof: VRFProof, for height: UInt64) {
        guard let agreement, agreement.height == height, draw == nil, let state else { return }
        // One that was asked for under the chain's name before is of the same height.
        if founding.record?.recoveries.isEmpty == false {
            guard configuration.vrf.output(of: proof, for: state.nextDraw.encoded) != nil else { return }
        }
        draw = proof
        if let round = agreement.awaitedRound { build(round: round) }
    }

    /// Without its draw this node builds as soon as that is there.
    private mutating func build(round: UInt32) {
        guard let state, let draw else { return }
        let elapsed = committedAt.map { now - $0 } ?? 0
        let builder = BlockBuilder(
            parent: state, builder: here, leadership: leadership,
            time: BlockTime.choose(after: state, wall: wallTime, elapsed: elapsed), draw: draw)
        let (header, body) = builder.build(
            reports: pool.newestReports, transactions: pool.entries.map { ($0.message, $0.transaction) })
        drive { $0.drafted(header, body) }
    }

    mutating func signed(_ tag: SigningTag, _ signature: Signature) {
        switch tag {
        case .genesis: genesisSigned(signature)
        case .recoveries(let count): isRecoveryKnown = isRecoveryKnown || count == founding.record?.recoveries.count
        case .header(let height, let round):
            guard let agreement, agreement.height == height, let state,
                let block = agreement.finished(round: round, signature)
            else { return }
            let candidate = judge(block, state, round: round)
            if case .failure(let refusal) = candidate.verdict {
                count("own-block-refused")
                effects.append(.log(.error, "the block this node built is invalid: \(refusal)"))
                return
            }
            drive { $0.offerFresh(candidate) }
        case .proposal(let height, _), .vote(let height, _, _):
            guard agreement?.height == height else { return }
            publishSigned(tag, signature)
        }
    }

    private mutating func publishSigned(_ tag: SigningTag, _ signature: Signature) {
        guard let before = agreement else { return }
        var after = before
        let actions = after.signed(tag, signature)
        switch tag {
        case .proposal:
            if let own = after.ownProposal, before.ownProposal == nil { publish(own) }
        case .vote(_, let round, let step):
            let ballot = Agreement.Ballot(round: round, step: step)
            if let vote = after.votes[ballot]?[here], before.cast[ballot]?.signature == nil { publish(vote) }
        default: break
        }
        drive {
            $0 = after
            return actions
        }
    }

    private mutating func publish(_ proposal: ProposalMessage) {
        effects.append(.publish(Publication(kind: .proposal, payload: proposal.encoded)))
    }

    private mutating func publish(_ vote: SignedVote) {
        effects.append(.publish(Publication(kind: .vote, payload: vote.encoded)))
    }

    /// Says again what a lost message may have kept from others.
    mutating func resendAgreement() {
        guard let agreement, agreement.isStarted else { return }
        for (tag, bytes) in agreement.unsigned { sign(tag, bytes) }
        if let proposal = agreement.ownProposal { publish(proposal) }
        for vote in agreement.ownVotes { publish(vote) }
        guard agreement.round > 0 else { return }
        for vote in agreement.polka + agreement.passage where vote.voter != here { publish(vote) }
    }

    private mutating func blame(round: UInt32) {
        guard round == 0, let agreement, let leadership, let leader = agreement.leader else { return }
        effects.append(.blame(leader: leader, term: leadership.term, height: agreement.height))
    }

    /// valid(v), and what only a fresh proposal, made in this round, must answer to.
    func judge(_ block: Block, _ parent: SiteState, round: UInt32) -> Agreement.Candidate {
        do throws(Refusal) {
            let after = try Validity.check(block, after: parent, deviation: deviation)
            let doubt =
                clock.doubt(block.header.time, after: parent, at: now) ?? contradictedAbsence(
                    after, parent, round: round)
                ?? leftOut(block, after, parent, round: round)
            return Agreement.Candidate(block: block, verdict: .success(after), doubt: doubt, arrived: now)
        } catch {
            return Agreement.Candidate(block: block, verdict: .failure(error), doubt: nil, arrived: now)
        }
    }

    /// A block that declares a node absent of which a newer report is here was built by someone who can't hear it.
    ///
    /// A liar can report to a single node, which then doubts what all others build; so this, too, holds a height up for no longer
    /// than until an honest node has had its turn.
    private func contradictedAbsence(_ after: SiteState, _ parent: SiteState, round: UInt32) -> Refusal? {
        guard round <= parent.quorum.oneHonest else { return nil }
        for member in after.members {
            guard let record = after.nodes[member.id], record.absent, parent.nodes[member.id]?.absent == false,
                let known = pool.reports[member.id], now - known.at <= after.parameters.absentAfter,
                record.reportSequence.map({ $0 < known.message.sequence }) ?? true
            else { continue }
            return Refusal(.absenceContradicted, "\(member.name) has reported to this node")
        }
        return nil
    }

    /// A leader can't keep a transaction out of the chain for ever: what has been here for so long that everybody has it,
    /// would have an effect and finds room must be in the block.
    ///
    /// A liar can give one to a single node and another to the next, and each then doubts whatever the others propose. So nodes
    /// also take up what proposals hold, and a height isn't held up by this for longer than until an honest node has had its
    /// turn: of the proposers of the rounds from 1 to f + 1 one is.
    private func leftOut(_ block: Block, _ after: SiteState, _ parent: SiteState, round: UInt32) -> Refusal? {
        guard round <= parent.quorum.oneHonest, block.body.transactions.count < BlockBody.transactionLimit else {
            return nil
        }
        var room = BlockBuilder.messageBudget - block.body.encoded.count
        for entry in pool.entries where now - entry.since >= Self.publicAfter {
            room -= BlockBuilder.size(of: entry.message)
            guard room >= 0 else { return nil }
            let (sender, sequence) = (entry.message.sender, entry.message.sequence)
            let isLeftOut = [parent, after].allSatisfy { state in
                (try? state.check(entry.transaction, sender: sender, sequence: sequence, at: state.time + 1)) != nil
            }
            guard isLeftOut else { continue }
            return Refusal(.transactionLeftOut, "\(entry.transaction.words) of \(parent.name(of: sender))")
        }
        return nil
    }

    /// Takes a decided block as the head.
    mutating func commit(_ block: Block, _ certificate: [UInt8], _ after: SiteState) {
        let bytes = block.encoded
        effects.append(
            .commit(CommittedBlock(height: after.height, id: after.head, block: bytes, certificate: certificate)))
        let last = CertifiedHeader(header: block.header, signature: block.signature, certificate: certificate)
        keepSnapshot(last, bytes: bytes.count + certificate.count, after)
        if let state, state.members != after.members {
            links.append(MembershipLink(block: last, members: after.members))
        }
        for message in block.body.transactions where message.sender == here {
            for id in requests.committed(message) { effects.append(.answer(id, nil)) }
        }
        take(after)
    }

    /// That this device is no member any more is for whoever reads its log. It goes on following the chain.
    private mutating func noteRemoval(_ after: SiteState) {
        guard let state, state.nodes[here] != nil, after.nodes[here] == nil else { return }
        effects.append(
            .log(.warning, "the chain has no member \(configuration.name) any more since block \(after.height)"))
    }

    /// Goes on from a state that is durable: the next height is open.
    mutating func take(_ durable: SiteState) {
        guard let after = following(durable) else { return }
        if let finished = agreement {
            for timer in finished.timers { effects.append(.cancelTimer(timer)) }
        }
        guard isOfInvitation(after) else { return }
        noteRemoval(after)
        let isRenamed = state.map { $0.genesis != after.genesis } ?? false
        clock.committed(after, at: now, offered: agreement?.arrival(ofDecided: after.head))
        state = after
        catchUp.progressed()
        if let stored = storedAgreement, stored.record.height <= after.height { storedAgreement = nil }
        for (entry, refusal) in pool.prune(after, isRenamed: isRenamed) {
            guard let refusal else {
                if entry.message.sender == here {
                    for id in requests.committed(entry.message) { effects.append(.answer(id, nil)) }
                }
                continue
            }
            count(refusal)
            requests.refused(entry.message, refusal).map { effects.append($0) }
        }
        if let sequence = after.nodes[here]?.reportSequence {
            touch.committed(sequence, absentAfter: after.parameters.absentAfter)
        }
        if isRenamed { noteRecovery(after) }
        sendHead()
        announce()
        tellCommit()
        openHeight()
    }
}
