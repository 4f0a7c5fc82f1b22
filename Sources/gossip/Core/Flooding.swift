import Contracts

// How messages reach the others: the flood of the paper's section 5, with "do you need this" (DYNT).
extension GossipMachine {
    /// Sends a message to all connected peers but those that have it: its origin and its sender.
    mutating func flood(_ message: SignedMessage, except origin: NodeID?) {
        for peer in connectedPeers where peer != origin && peer != message.sender { enqueue(message, to: peer) }
    }

    /// Sends a message to one node if it is connected. There is no relay through others yet: who wants it to
    /// arrive says it again.
    mutating func send(_ message: SignedMessage, toOnly peer: NodeID) {
        guard peers[peer]?.connected == true else {
            drop(.notConnected)
            return
        }
        let dropped = peers[peer]?.outbox.enqueue(Delivery(relay: false, message: message)) ?? 0
        drop(.queueFull, dropped)
        stirred.insert(peer)
    }

    /// Queues a message for a connected peer, behind a question where that costs less than sending in vain.
    ///
    /// What others say is always asked about: whoever said it has mostly sent it to this peer as well.
    mutating func enqueue(_ message: SignedMessage, to peer: NodeID) {
        let isOwn = message.sender == key.nodeID
        let dropped: Int?
        if isOwn, !Self.isAsked(message.kind) || message.encodedCount < GossipLimits.askFromBytes {
            dropped = peers[peer]?.outbox.enqueue(Delivery(relay: true, message: message))
        } else {
            dropped = peers[peer]?.outbox.offer(message)
            if isOwn { peers[peer]?.mayAsk = true }
        }
        drop(.queueFull, dropped ?? 0)
        stirred.insert(peer)
    }

    /// Kinds on which a round of agreement or an election waits skip the question: its round trip would add to
    /// every step.
    private static func isAsked(_ kind: MessageKind) -> Bool {
        switch kind {
        case .report, .genesis, .blocks, .transaction, .snapshot: true
        case .leave, .election, .status, .proposal, .vote: false
        }
    }

    mutating func deliver(_ message: SignedMessage) { effects.append(.deliver(feed.append(message))) }

    mutating func drop(_ reason: DropReason, _ count: Int = 1) {
        if count > 0 { effects.append(.count(.dropped(reason), count)) }
    }

    /// In ascending order.
    var connectedPeers: [NodeID] { peers.values.filter(\.connected).map(\.id).sorted() }

    /// Starts what may be under way to a peer: one batch, some of this node's urgent words beside it, and one question. What comes
    /// meanwhile goes together in the next ones, so that a slow peer gets larger batches rather than more requests.
    mutating func pump(_ id: NodeID) {
        guard let address = peers[id]?.address,
            let (batch, question) = peers[id]?.begin(ticket: &nextTicket, of: key.nodeID)
        else { return }
        if let (number, deliveries) = batch {
            let batch = Batch(site: site, from: key.nodeID, deliveries: deliveries)
            effects.append(.send(Ticket(peer: id, number: number), batch, to: address))
        }
        if let (number, messages) = question {
            let question = Question(site: site, from: key.nodeID, signatures: messages.map(\.signature))
            effects.append(.count(.asked, messages.count))
            effects.append(.ask(Ticket(peer: id, number: number), question, to: address))
        }
    }

    /// Takes the outcome of a batch or question. One that is no longer waited for changes nothing.
    mutating func settle(_ outcome: GossipEvent.Kind, now: Int64) {
        switch outcome {
        case .sent(let ticket):
            guard let sent = takeSending(ticket) else { return }
            for delivery in sent { effects.append(.count(.sent(delivery.message.kind), 1)) }
            succeeded(ticket.peer)
        case .answered(let ticket, let needed, let roundTrip):
            guard let offered = takeAsking(ticket) else { return }
            guard needed.count == offered.count else {
                drop(.refusedByPeer, offered.count)
                return
            }
            let wanted = zip(offered, needed).filter(\.1).map(\.0)
            effects.append(.count(.needed, wanted.count))
            for message in wanted {
                drop(.queueFull, peers[ticket.peer]?.outbox.enqueue(Delivery(relay: true, message: message)) ?? 0)
            }
            succeeded(ticket.peer, roundTrip)
        case .failed(let ticket, let reason):
            // Of several that fail at once one counts: it is one interruption.
            let isRepeated = peers[ticket.peer]?.waiting == true
            let sent = takeSending(ticket)
            let offered = sent == nil ? takeAsking(ticket) : nil
            if let sent { drop(.queueFull, peers[ticket.peer]?.outbox.putBack(sent) ?? 0) }
            if offered != nil { peers[ticket.peer]?.mayAsk = true }
            if let offered { drop(.queueFull, peers[ticket.peer]?.outbox.putBack(offers: offered) ?? 0) }
            if !isRepeated, sent != nil || offered != nil { failed(ticket.peer, reason, now: now) }
        case .refused(let ticket, let reason):
            guard let count = takeSending(ticket)?.count ?? takeAsking(ticket)?.count else { return }
            drop(.refusedByPeer, count)
            effects.append(.log(.warning, "\(describe(ticket.peer)) refused \(count) messages: \(reason)"))
            stirred.insert(ticket.peer)
        default: break
        }
    }

    private mutating func takeSending(_ ticket: Ticket) -> [Delivery]? {
        if let hurried = peers[ticket.peer]?.hurrying.removeValue(forKey: ticket.number) { return hurried }
        guard let sending = peers[ticket.peer]?.sending, sending.number == ticket.number else { return nil }
        peers[ticket.peer]?.sending = nil
        return sending.deliveries
    }

    private mutating func takeAsking(_ ticket: Ticket) -> [SignedMessage]? {
        guard let asking = peers[ticket.peer]?.asking, asking.number == ticket.number else { return nil }
        peers[ticket.peer]?.asking = nil
        return asking.messages
    }
}
