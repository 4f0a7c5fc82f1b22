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
        } else {
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
            try state.check(transaction, sender: message.sender, sequence: message.sequence, at: state.time + 1)
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
        guard let state, message.sender != here else { return }
        guard let status = try? ChainStatus(encoded: message.payload.bytes) else {
            count("undecodable-status")
            return
        }
        guard state.nodes[message.sender] != nil else {
            count(Refusal.Reason.senderNotMember.rawValue)
            return
        }
        guard status.genesis == state.genesis else {
            count(Refusal.Reason.anotherGenesis.rawValue)
            return
        }
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
            guard message.sender.verifies(offered.signature, of: proposal.encoded) else {
                count("bad-proposal-signature")
                return
            }
            guard let candidate = candidate(offered, state) else { return }
            drive { $0.take(proposal, by: message.sender, signature: offered.signature, candidate) }
        }
        take(offered.prevotes, of: proposal)
        if self.agreement?.height == proposal.height { drive { $0.start() } }
    }

    private mutating func candidate(_ offered: ProposalMessage, _ state: SiteState) -> Agreement.Candidate? {
        if let known = agreement?.candidates[offered.proposal.block] { return known }
        do throws(Refusal) {
            let block = try Block.decode(offered.block)
            guard block.id == offered.proposal.block else {
                throw Refusal(.undecodableBlock, "the block is not the one proposed")
            }
            return judge(block, state)
        } catch {
            count(error)
            effects.append(.log(.warning, "a proposal is refused: \(error)"))
            return nil
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

    private mutating func receiveBlocks(_ message: SignedMessage) {
        guard let before = state?.height, message.sender != here else { return }
        guard let blocks = try? CommittedBlocks(encoded: message.payload.bytes) else {
            count("undecodable-blocks")
            return
        }
        for entry in blocks.entries {
            guard halted == nil, let state else { return }
            do throws(Refusal) {
                let block = try Block.decode(entry.block)
                guard block.header.height == state.height + 1 else { continue }
                try Chain.check(
                    entry.certificate, of: block.id, height: block.header.height, state,
                    trusting: deviation.contains(.wrongCertificate))
                conclude(block, entry.certificate)
            } catch {
                count(error)
                return
            }
        }
        guard let state, state.height > before, let peer = peers.all[message.sender], peer.height > state.height else {
            return
        }
        sendStatus(asking: message.sender)
    }

    /// Commits a block that a certificate proves decided.
    private mutating func conclude(_ block: Block, _ certificate: [UInt8]) {
        guard let state else { return }
        do throws(Refusal) {
            commit(block, certificate, try Validity.check(block, after: state, deviation: deviation))
        } catch {
            halt(
                "a quorum decided block \(block.header.height) (\(block.id.short)), which this node finds invalid: "
                    + "\(error). Do all nodes run the same version?")
        }
    }
}
