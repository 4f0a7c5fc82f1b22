import Contracts
import GossipCore
import Identity
import PlannerCore

/// What a liar wants that it has no right to: orders, invitations, and words in others' names.
extension Liar {
    /// A transaction that must never be in a block, as the message that would carry it.
    struct Contraband {
        var message: SignedMessage
        var transaction: Transaction
    }

    func usurp(_ state: SiteState) {
        guard let victim = honest.isEmpty ? nil : honest[Int(time.draw(0...honest.count - 1))] else { return }
        switch time.draw(0...7) {
        case 0, 1: say(.order(ownOrder(victim, state)), "orders what only the operator may")
        case 2:
            guard let order = orders.isEmpty ? nil : orders[Int(time.draw(0...orders.count - 1))],
                state.orders.contains(order.order.sequence)
            else { return }
            say(.order(order), "brings order \(order.order.sequence) again")
        case 3, 4: bringAccomplice(state)
        case 5:
            let leave = Transaction.leave(since: state.nodes[victim.id]?.since ?? 0)
            smuggle(leave, signed(leave, as: victim.id, by: device.key), "has \(victim.name) leave")
        case 6:
            guard let evidence = inventedEvidence(against: victim, state) else { return }
            say(.evidence(evidence), "accuses \(victim.name) of two votes")
        default:
            guard let receipt = othersReceipt(state) else { return }
            say(.receipt(receipt), "says of \(receipt.app), which is not here, that it is \(receipt.outcome.rawValue)")
        }
    }

    private func ownOrder(_ victim: SimulatedDevice, _ state: SiteState) -> SignedOrder {
        let act: Order.Act
        switch time.draw(0...3) {
        case 0:
            act = .submit([
                SubmittedApp(specification: AppSpecification(name: "stolen", image: "busybox"), on: device.id)
            ])
        case 1: act = .remove(app: state.apps.names.first ?? "app0")
        case 2: act = .dismiss(victim.id)
        default:
            var parameters = state.parameters
            parameters.idleInterval += 1_000
            act = .configure(parameters, from: state.height + 5)
        }
        let order = Order(genesis: state.genesis, sequence: UInt64(time.draw(100_000...200_000)), act: act)
        return SignedOrder(order: order, signature: device.key.sign(order.signedBytes))
    }

    /// A node of its own that is to get a vote, by an invitation that is forged, void by its time or used.
    private func bringAccomplice(_ state: SiteState) {
        guard let key = SigningKey(seed: noise().bytes) else { return }
        let token: InvitationToken?
        let what: String
        switch time.draw(0...2) {
        case 0:
            what = "of its own"
            var forged = SimulatedSite.outdatedInvitation(of: state, site: site.name, to: "mole", seed: noise().bytes)
            forged?.invitation.expires += 600_000
            if let bytes = forged?.invitation.signedBytes { forged?.signature = device.key.sign(bytes) }
            token = forged
        case 1:
            what = "of long ago"
            token = SimulatedSite.outdatedInvitation(of: state, site: site.name, to: "mole", seed: noise().bytes)
        default:
            what = "that was used"
            token = site.devices.compactMap(\.invitation).first { token in
                state.invitations.contains { $0.key == token.invitation.key }
            }
        }
        guard let token, let secret = SigningKey(seed: token.seed) else { return }
        let member = Member(id: key.nodeID, name: token.invitation.name, vrf: key.vrf.publicKey)
        let join = Transaction.join(
            Join(
                invitation: token.invitation, signature: token.signature, member: member,
                proof: secret.sign(Join.provenBytes(token.invitation, member))))
        smuggle(join, signed(join, as: key.nodeID, by: key), "brings a node by an invitation \(what)")
    }

    /// Two votes that contradict each other, of which the victim made none.
    private func inventedEvidence(against victim: SimulatedDevice, _ state: SiteState) -> Evidence? {
        let votes = [noise(), noise()].map { block in
            let vote = Vote(genesis: state.genesis, height: state.height, round: 0, step: .precommit, block: block)
            let signature = time.chance(perMille: 500) ? falseSignature() : device.key.sign(vote.encoded)
            return SignedVote(voter: victim.id, vote: vote, signature: signature)
        }
        return Evidence(votes[0], votes[1])
    }

    private func othersReceipt(_ state: SiteState) -> Receipt? {
        let others = state.apps.ascending.filter { app in
            app.phase.isPlaced && app.node != device.id && app.move?.to != device.id
        }
        guard !others.isEmpty else { return nil }
        let app = others[Int(time.draw(0...others.count - 1))]
        let outcomes = Receipt.Outcome.allCases
        return Receipt(
            app: app.specification.name, incarnation: app.move?.incarnation ?? app.incarnation,
            outcome: outcomes[Int(time.draw(0...outcomes.count - 1))], reason: "simulated lie")
    }

    // MARK: - How it gets out

    /// In its own name, by its own gossip, whose numbers it must not confuse.
    private func say(_ transaction: Transaction, _ what: String) {
        site.note(device, "LIES: \(what)")
        let publication = Publication(kind: .transaction, payload: transaction.encoded)
        device.gossip.request({ .publish($0, publication) }) { [self] answer in
            guard case .published(let message) = answer else { return }
            contraband = Contraband(message: message, transaction: transaction)
        }
    }

    /// In another's name.
    private func smuggle(_ transaction: Transaction, _ message: SignedMessage, _ what: String) {
        site.note(device, "LIES: \(what)")
        hand(message, to: others, relayed: true)
        contraband = Contraband(message: message, transaction: transaction)
    }

    private func signed(_ transaction: Transaction, as sender: NodeID, by key: SigningKey) -> SignedMessage {
        let (sequence, payload) = (UInt64(time.draw(0...5_000)), transaction.encoded)
        let bytes = SignedMessage.signedBytes(
            site: GossipMachine.siteDigest(site.name), kind: .transaction, sequence: sequence, payload: payload)
        return SignedMessage(
            kind: .transaction, sender: sender, sequence: sequence, payload: payload, signature: key.sign(bytes))
    }

    /// A block of its own that holds what it has no right to, with the effect if it can have one.
    func blockWithContraband(like block: Block, _ state: SiteState) -> Block? {
        guard let contraband else { return nil }
        self.contraband = nil
        func order(_ message: SignedMessage, _ transaction: Transaction) -> TransactionOrder {
            TransactionOrder(transaction, sender: message.sender, sequence: message.sequence)
        }
        var made = build(state, like: block, with: contraband)
        guard !made.body.transactions.contains(contraband.message) else { return made }
        let own = order(contraband.message, contraband.transaction)
        let index = made.body.transactions.firstIndex { message in
            (try? Transaction(encoded: message.payload.bytes)).map { own < order(message, $0) } ?? false
        }
        made.body.transactions.insert(contraband.message, at: index ?? made.body.transactions.endIndex)
        made.header.body = made.body.hash
        return signed(made.header, made.body)
    }
}
