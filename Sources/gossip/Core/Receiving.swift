import Contracts
import Identity

// What others say: what is taken, and why the rest is not.
extension GossipMachine {
    mutating func take(_ batch: Batch, _ request: RequestNumber, now: Int64) {
        var dropped = batch.unreadable.count
        for reason in batch.unreadable { drop(reason) }
        if batch.site != site {
            drop(.foreignSite, batch.deliveries.count)
            dropped += batch.deliveries.count
        } else {
            // who sends a message has it
            peers[batch.from]?.outbox.remove(batch.deliveries.lazy.map(\.message.signature), butOf: key.nodeID)
            for delivery in batch.deliveries where receive(delivery, from: batch.from, now: now) != nil { dropped += 1 }
        }
        let count = batch.deliveries.count + batch.unreadable.count
        effects.append(.answer(request, .received(accepted: count - dropped, dropped: dropped)))
    }

    /// DYNT: what was seen is not needed. Who asks about a message has it.
    mutating func answer(_ question: Question, _ request: RequestNumber) {
        guard question.site == site else {
            answer(request, Self.foreign)
            return
        }
        peers[question.from]?.outbox.remove(question.signatures, butOf: key.nodeID)
        effects.append(.answer(request, .needed(question.signatures.map { !seen.contains($0) })))
    }

    static let foreign = Problem(409, "foreign-site", "this node is of another site; compare POISE_SITE of the two")

    /// Takes one message: delivers it here and passes it on, or counts why not.
    ///
    /// - Returns: why it went no further, or nil.
    mutating func receive(_ delivery: Delivery, from origin: NodeID?, now: Int64) -> DropReason? {
        let message = delivery.message
        let reason = check(message, now: now)
        if let reason {
            drop(reason)
            return reason
        }
        effects.append(.count(.received(message.kind), 1))
        if message.kind == .leave { forget(message.sender, now: now) }
        deliver(message)
        if delivery.relay { flood(message, except: origin) }
        return nil
    }

    /// Checks a message and remembers it, in an order in which nobody can spend what is another's: nothing is
    /// remembered before the signature is known to be good.
    private mutating func check(_ message: SignedMessage, now: Int64) -> DropReason? {
        if seen.contains(message.signature) { return .duplicate }
        guard message.sender.verifies(message.signature, of: message.signedBytes(site: site)) else {
            return .illSigned
        }
        if message.sender == key.nodeID {
            hear(own: message)
            return .own
        }
        let admission = senders.admit(message.sender, now: now)
        if let evicted = admission.evicted { feed.forgetReport(of: evicted) }
        guard admission.admitted else { return .tooManySenders }
        seen.insert(message.signature)
        var report: Report?
        if message.kind == .report {
            do {
                report = try Report(encoded: message.payload.bytes)
            } catch {
                return .malformedReport
            }
        }
        switch senders.take(message) {
        case .fresh: break
        case .replayed: return .replayed
        case .stale: return .stale
        }
        guard let report else { return nil }
        if let reason = senders.pool(message, report, now: now) { return reason }
        effects.append(.pooled(senders.poolCount))
        learn(report.gossipAddress, now: now)
        return nil
    }

    /// A message of this node's key that it did not remember: either from before its restart, or another device
    /// has the key.
    private mutating func hear(own message: SignedMessage) {
        guard message.sequence >= sequences.upcoming(message.kind), !cloned else { return }
        cloned = true
        effects.append(
            .log(
                .error,
                "another device signs with this device's key (a \(message.kind.name) numbered \(message.sequence) "
                    + "was never sent from here): stop one of the two and remove its gossip state directory"))
    }

    /// A node left: its report goes, and it is no peer any more until it is heard of again.
    mutating func forget(_ node: NodeID, now: Int64) {
        senders.leave(node, now: now)
        feed.forgetReport(of: node)
        effects.append(.pooled(senders.poolCount))
        removePeer(node, now: now)
    }

    mutating func take(_ change: SharedRequest, _ request: RequestNumber, now: Int64) {
        let message = change.message
        let kind = change.verb.kind(of: message)
        guard message.sender == change.node,
            message.sender.verifies(message.signature, of: message.signedBytes(site: site))
        else {
            drop(.illSigned)
            answer(
                request,
                Problem(
                    403, "not-the-owner",
                    "the entry of \(change.node.short) changes only by a message of this site signed with its own key"))
            return
        }
        guard message.kind == kind else {
            answer(
                request, Problem(400, "wrong-kind", "this takes a \(kind.name) message, not a \(message.kind.name)"))
            return
        }
        let known = senders.pooled(change.node) != nil
        if case .replace = change.verb, !known {
            answer(
                request,
                Problem(404, "unknown-node", "no report of \(change.node.short) is here: introduce it with POST first"))
            return
        }
        let reason = receive(Delivery(relay: true, message: message), from: nil, now: now)
        switch reason {
        case nil, .duplicate:
            if case .introduce(let address?) = change.verb { learn(address, now: now) }
            effects.append(.answer(request, .shared(created: kind == .report && !known)))
        case .malformedReport:
            answer(request, Problem(400, "malformed-report", "the message's payload is no report"))
        case .tooManySenders:
            answer(request, Problem(503, "too-many-nodes", "\(GossipLimits.senders) nodes are known here already"))
        case let reason?:
            answer(
                request,
                Problem(409, reason.rawValue, "the message changes nothing (\(reason.rawValue)): sign a newer one"))
        }
    }
}

extension SharedRequest.Verb {
    /// What a message must be to make this change. Whoever joins or leaves a site that has a chain says so to the chain, which the
    /// message then reaches as any other transaction.
    fileprivate func kind(of message: SignedMessage) -> MessageKind {
        guard message.kind == .transaction else {
            if case .leave = self { return .leave } else { return .report }
        }
        switch (self, try? Transaction(encoded: message.payload.bytes)) {
        case (.introduce, .join), (.leave, .leave): return .transaction
        case (.leave, _): return .leave
        default: return .report
        }
    }
}
