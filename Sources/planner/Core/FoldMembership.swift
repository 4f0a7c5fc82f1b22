import Contracts
import Identity

/// An invitation that was used. It is remembered until it would be void by its time.
public struct SpentInvitation: ByteCodable, Hashable {
    public var key: PublicKey
    /// Block time, milliseconds.
    public var expires: Int64

    public init(key: PublicKey, expires: Int64) {
        self.key = key
        self.expires = expires
    }

    public func encode(to writer: inout ByteWriter) {
        writer.value(key)
        writer.integer(expires)
    }

    public init(from reader: inout ByteReader) throws {
        key = try reader.value()
        expires = try reader.integer()
    }
}

/// Parameters that hold from some block on.
public struct ScheduledParameters: ByteCodable, Hashable {
    public var parameters: SiteParameters
    public var height: UInt64

    public init(parameters: SiteParameters, height: UInt64) {
        self.parameters = parameters
        self.height = height
    }

    public func encode(to writer: inout ByteWriter) {
        writer.value(parameters)
        writer.integer(height)
    }

    public init(from reader: inout ByteReader) throws {
        parameters = try reader.value()
        height = try reader.integer()
    }
}

/// Who is a member, and what the operator orders.
extension SiteState {
    /// Milliseconds of block time that a leaving node's apps have to move away.
    public static let drainTime: Int64 = 600_000
    /// Blocks ahead for which parameters can be ordered at most.
    public static let scheduleLimit: UInt64 = 10_000_000

    /// Checks what a transaction says in others' names. It costs signatures, so it is done once where a message comes in and once
    /// in each block.
    /// - Throws: ``Refusal`` `another-genesis`, `bad-order-signature`, `bad-invitation` or `bad-evidence`.
    func authenticate(_ transaction: Transaction, sender: NodeID) throws(Refusal) {
        switch transaction {
        case .receipt, .leave: break
        case .order(let signed):
            guard signed.order.genesis == genesis else {
                throw Refusal(.anotherGenesis, "the order is for the chain \(signed.order.genesis.short)")
            }
            guard operatorKey.verifies(signed.signature, of: signed.order.signedBytes) else {
                throw Refusal(.badOrderSignature, "it is not signed with the operator's key \(operatorKey.short)")
            }
        case .join(let join): try authenticate(join, sender: sender)
        case .evidence(let evidence):
            guard evidence.first.vote.genesis == genesis else {
                throw Refusal(.anotherGenesis, "the votes are of the chain \(evidence.first.vote.genesis.short)")
            }
            guard evidence.first.isGenuine, evidence.second.isGenuine else {
                throw Refusal(.badEvidence, "one of the votes is not \(evidence.culprit.short)'s")
            }
        }
    }

    private func authenticate(_ join: Join, sender: NodeID) throws(Refusal) {
        let invitation = join.invitation
        guard invitation.genesis == genesis else {
            throw Refusal(.anotherGenesis, "the invitation is to the chain \(invitation.genesis.short)")
        }
        guard operatorKey.verifies(join.signature, of: invitation.signedBytes) else {
            throw Refusal(.badInvitation, "it is not signed with the operator's key \(operatorKey.short)")
        }
        guard join.member.id == sender, join.member.name == invitation.name,
            invitation.key.verifies(join.proof, of: join.provenBytes)
        else { throw Refusal(.badInvitation, "it is not \(sender.short)'s") }
    }

    /// - Throws: ``Refusal`` with why the node can't become a member at block time `time`.
    func check(_ join: Join, at time: Int64) throws(Refusal) {
        let invitation = join.invitation
        guard nodes[join.member.id] == nil else { throw Refusal(.alreadyMember, join.member.id.short) }
        guard invitation.expires > time, invitation.expires - time <= Invitation.longest else {
            throw Refusal(.invitationExpired, "that of \(invitation.name)")
        }
        guard !invitations.contains(where: { $0.key == invitation.key }) else {
            throw Refusal(.invitationUsed, "that of \(invitation.name)")
        }
        guard !members.contains(where: { $0.name == invitation.name }) else {
            throw Refusal(.nameTaken, invitation.name)
        }
        guard members.count < Genesis.memberLimit, invitations.count < Genesis.memberLimit else {
            throw Refusal(.tooManyMembers, "at most \(Genesis.memberLimit) are allowed")
        }
    }

    /// - Throws: ``Refusal`` if `node` is no member, or the only one.
    func check(removal node: NodeID) throws(Refusal) {
        guard nodes[node] != nil else { throw Refusal(.unknownNode, node.short) }
        guard members.count > 1 else { throw Refusal(.lastMember, "\(name(of: node)) is the only one") }
    }

    func check(_ evidence: Evidence) throws(Refusal) {
        let culprit = evidence.culprit
        guard let record = nodes[culprit], evidence.height > record.since, evidence.height <= height + 1 else {
            throw Refusal(.badEvidence, "\(culprit.short) was no member at height \(evidence.height)")
        }
        try check(removal: culprit)
    }

    /// - Throws: ``Refusal`` `replayed-order`, or with why the act has no effect.
    func check(_ order: Order) throws(Refusal) {
        guard !orders.contains(order.sequence) else {
            throw Refusal(.replayedOrder, "order \(order.sequence) was carried out before")
        }
        switch order.act {
        case .remove(let name): if apps[name] == nil { throw Refusal(.unknownApp, name) }
        case .submit(let apps): try check(apps)
        case .dismiss(let node): try check(removal: node)
        case .configure(let parameters, let height):
            if let fault = Founding.fault(in: parameters) { throw Refusal(.badParameters, fault) }
            guard parameters.quorum == self.parameters.quorum else {
                throw Refusal(.badParameters, "the quorum's rule is fixed in the genesis")
            }
            guard height > self.height + 1, height <= self.height + Self.scheduleLimit else {
                throw Refusal(
                    .badParameters,
                    "they can't hold from block \(height) on, at block \(self.height): choose one that is some blocks later, "
                        + "at most \(Self.scheduleLimit)")
            }
        }
    }

    // MARK: Changes

    mutating func admit(_ join: Join, at time: Int64) {
        let member = join.member
        let place = members.firstIndex { $0.id > member.id } ?? members.endIndex
        members.insert(member, at: place)
        nodes[member.id] = NodeRecord(since: height, at: time)
        membersSince = height
        let spent = SpentInvitation(key: join.invitation.key, expires: join.invitation.expires)
        invitations.insert(spent, at: invitations.firstIndex { $0.key > spent.key } ?? invitations.endIndex)
    }

    /// The node is no member from the next block on. What runs there is placed anew after the time to absence.
    /// - Precondition: it is a member, and not the only one.
    mutating func removeMember(_ node: NodeID, _ why: String, at time: Int64) {
        for name in apps.names {
            guard var app = apps[name] else { continue }
            if app.on == node { app.on = nil }
            app.exclusions.removeAll { $0.node == node }
            app.failedOn.removeAll { $0 == node }
            // Its volumes go with it: who wanted to wait for them would wait for ever.
            if app.home == node { app.home = nil }
            if app.phase.isPlaced, app.node == node {
                // What the device has said that it needs may be a lie, by which nobody could ever place it.
                app.demand = nil
                app.steadyDemand = nil
                // Nobody gets it before the device could hear of it or, cut off, must have frozen it: see Fold.look.
                app.stay(why, at: time)
            } else if app.isWaiting, app.node == node {
                app.requeue(why, at: time)
                queue.append(name)
            }
            // What was on its way there may run there already, so that the move ends as if the node were silent.
            if app.node == node, !app.phase.isPlaced { app.node = nil }
            if app != apps[name] { apps[name] = app }
        }
        members.removeAll { $0.id == node }
        nodes[node] = nil
        membersSince = height
    }

    /// From now on the node gets no apps, and those that run there and can move do. What can't is placed anew once the node is no
    /// member: it must have the time to stop.
    mutating func drain(_ node: NodeID, at time: Int64) { nodes[node]?.drainsUntil = time + Self.drainTime }

    /// Whether the app keeps a node that leaves from being gone.
    private func holds(_ app: AppRecord, _ node: NodeID) -> Bool {
        guard let move = app.move else { return app.node == node && app.phase == .running && app.movesLive }
        return app.node == node || move.to == node
    }

    /// Ends what time has ended: drained nodes leave, used invitations are forgotten, ordered parameters come to hold.
    mutating func settleMembership(at time: Int64) {
        for member in members {
            guard members.count > 1, let until = nodes[member.id]?.drainsUntil else { continue }
            let isEmpty = !apps.values.contains { holds($0, member.id) }
            if isEmpty || until <= time { removeMember(member.id, "\(member.name) has left", at: time) }
        }
        invitations.removeAll { $0.expires <= time }
        if let next = scheduled, next.height <= height + 1 {
            parameters = next.parameters
            scheduled = nil
        }
    }
}
