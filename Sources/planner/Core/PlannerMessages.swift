import Contracts
import Identity

/// What arrives from gossip.
extension PlannerMachine {
    mutating func receive(_ message: SignedMessage) {
        switch message.kind {
        case .report: receiveReport(message)
        case .genesis: receiveGenesis(message)
        case .status: receiveStatus(message)
        case .proposal: receiveProposal(message)
        case .vote: receiveVote(message)
        case .blocks: receiveBlocks(message)
        case .snapshot: receiveSnapshot(message)
        case .transaction: receiveTransaction(message)
        case .leave, .election: break
        }
    }

    private mutating func receiveReport(_ message: SignedMessage) {
        guard message.payload.bytes.count <= Validity.payloadLimit else {
            count(Refusal.Reason.messageTooLarge.rawValue)
            return
        }
        guard let report = try? Report(encoded: message.payload.bytes) else {
            count("undecodable-report")
            return
        }
        if let state {
            guard state.nodes[message.sender] != nil else {
                count(Refusal.Reason.senderNotMember.rawValue)
                return
            }
            pool.take(report: message, at: now)
            if message.sender == here {
                touch.reported(message.sequence, age: wallTime &- report.load.timestamp, at: now)
            }
        } else if configuration.invitation == nil {
            founding.saw(report, of: message.sender, at: now)
            found()
        }
    }

    private mutating func receiveTransaction(_ message: SignedMessage) {
        guard let state else { return }
        take(message, state)
        guard message.sender == here else { return }
        for id in requests.echoed(message) { effects.append(.answer(id, nil)) }
    }

    /// - Precondition: the message's signature was checked.
    private mutating func take(_ message: SignedMessage, _ state: SiteState) {
        guard message.payload.bytes.count <= Validity.payloadLimit else {
            count(Refusal.Reason.messageTooLarge.rawValue)
            return
        }
        guard let transaction = try? Transaction(encoded: message.payload.bytes) else {
            count("undecodable-transaction")
            return
        }
        do throws(Refusal) {
            // What has no effect costs no signature.
            try state.check(transaction, sender: message.sender, sequence: message.sequence, at: state.time + 1)
            try state.authenticate(transaction, sender: message.sender)
        } catch {
            // Gossip says everything again after an interruption: what the chain holds already is no fault.
            if error.reason != .replayedMessage { count(error) }
            requests.refused(message, error).map { effects.append($0) }
            return
        }
        switch pool.take(message, transaction, at: now) {
        case .taken: pace()
        case .known: break
        case .full: count("pool-full")
        }
    }

    private mutating func receiveStatus(_ message: SignedMessage) {
        guard message.sender != here else { return }
        guard let status = try? ChainStatus(encoded: message.payload.bytes) else {
            count("undecodable-status")
            return
        }
        guard let state else { return hearAsInvited(status, of: message.sender) }
        guard state.nodes[message.sender] != nil else { return serveStranger(message.sender, status) }
        guard status.genesis == state.genesis else { return hear(status, of: message.sender, state) }
        if status.height == state.height, status.head != state.head {
            count("fork")
            effects.append(.log(.error, "\(state.name(of: message.sender)) has another block \(state.height)"))
        }
        peers.heard(message.sender, status, at: now)
        for pending in status.pending where pending.kind == .transaction {
            guard pending.sender.verifies(pending.signature, of: pending.signedBytes(site: state.site)) else {
                count(Refusal.Reason.badMessageSignature.rawValue)
                continue
            }
            take(pending, state)
        }
        if status.asks == here, status.height < state.height,
            peers.mayServe(message.sender, from: status.height + 1, at: now)
        {
            effects.append(.sendCommitted(from: status.height + 1, to: message.sender))
        }
        announce()
    }

    private mutating func receiveVote(_ message: SignedMessage) {
        guard let agreement else { return }
        guard let vote = try? SignedVote(encoded: message.payload.bytes) else {
            count("undecodable-vote")
            return
        }
        guard vote.vote.genesis == agreement.genesis else {
            count(Refusal.Reason.anotherGenesis.rawValue)
            return
        }
        guard vote.vote.height == agreement.height else { return }
        guard agreement.members.contains(vote.voter) else {
            count(Refusal.Reason.senderNotMember.rawValue)
            return
        }
        guard !agreement.knows(vote) else { return }
        guard vote.isGenuine else {
            count("bad-vote-signature")
            return
        }
        drive { $0.take(vote) }
    }

    private mutating func receiveProposal(_ message: SignedMessage) {
        guard let agreement, let state, message.sender != here else { return }
        guard let offered = try? ProposalMessage(encoded: message.payload.bytes) else {
            count("undecodable-proposal")
            return
        }
        let proposal = offered.proposal
        guard proposal.genesis == agreement.genesis else {
            count(Refusal.Reason.anotherGenesis.rawValue)
            return
        }
        guard proposal.height == agreement.height else { return }
        guard agreement.members.contains(message.sender) else {
            count(Refusal.Reason.senderNotMember.rawValue)
            return
        }
        if !agreement.knows(proposal, by: message.sender) {
            if let objection = agreement.objection(to: proposal, by: message.sender) { return count(objection) }
            guard message.sender.verifies(offered.signature, of: proposal.encoded) else {
                count("bad-proposal-signature")
                return
            }
            guard let candidate = candidate(offered, state) else { return }
            if case .success = candidate.verdict { takeUp(candidate.block.body, state) }
            drive { $0.take(proposal, by: message.sender, signature: offered.signature, candidate) }
        }
        take(offered.prevotes, of: proposal)
        guard let agreement = self.agreement, agreement.height == proposal.height,
            agreement.isDue(proposal, by: message.sender)
        else { return }
        isProposed = true
        pace()
    }

    private mutating func candidate(_ offered: ProposalMessage, _ state: SiteState) -> Agreement.Candidate? {
        if let known = agreement?.candidates[offered.proposal.block] { return known }
        do throws(Refusal) {
            let block = try Block.decode(offered.block)
            guard block.id == offered.proposal.block else {
                throw Refusal(.undecodableBlock, "the block is not the one proposed")
            }
            return judge(block, state, round: offered.proposal.round)
        } catch {
            count(error)
            effects.append(.log(.warning, "a proposal is refused: \(error)"))
            return nil
        }
    }

    /// What a valid block holds is authentic. Should the block not be decided, a later one will hold it.
    private mutating func takeUp(_ body: BlockBody, _ state: SiteState) {
        for message in body.transactions {
            guard let transaction = try? Transaction(encoded: message.payload.bytes),
                (try? state.check(transaction, sender: message.sender, sequence: message.sequence, at: state.time + 1))
                    != nil
            else { continue }
            if pool.take(message, transaction, at: now) == .full { count("pool-full") }
        }
    }

    /// The prevotes that make a block worth proposing again.
    private mutating func take(_ prevotes: [MemberSignature], of proposal: Proposal) {
        guard proposal.validRound >= 0, proposal.validRound < Int64(proposal.round) else { return }
        let vote = Vote(
            genesis: proposal.genesis, height: proposal.height, round: UInt32(proposal.validRound), step: .prevote,
            block: proposal.block)
        for entry in prevotes {
            let signed = SignedVote(voter: entry.member, vote: vote, signature: entry.signature)
            guard let agreement, agreement.height == vote.height, agreement.members.contains(entry.member),
                !agreement.knows(signed)
            else { continue }
            guard signed.isGenuine else {
                count("bad-vote-signature")
                continue
            }
            drive { $0.take(signed) }
        }
    }
}
