import Contracts
import Identity

/// The machine's part in going on after a permanent loss of quorum.
extension PlannerMachine {
    /// Milliseconds without a block after which a quorum is taken to decide nothing.
    private static let standstill: Int64 = 30_000
    /// How a device whose chain has ended becomes a member again. Its gossip would sign no vote of the other way.
    public static let wayBack =
        "dismiss it where `planner nodes` lists it, empty the state of its services, which gives it a new key (docker compose "
        + "down --volumes), and start it with an invitation (planner invite)"

    /// Why the operator can't have the chain go on without these members now.
    ///
    /// - Parameters:
    ///   - lost: names of members.
    ///   - rule: nil for what a site of so many nodes usually has.
    ///   - force: also without members that answer, and with a quorum if that decides nothing.
    /// - Returns: what the operator has to sign.
    /// - Throws: `Problem` with what to do instead.
    public func recoveryDraft(without lost: [String], rule: QuorumRule?, force: Bool) throws(Problem) -> Genesis {
        if let halted { throw Problem(503, "halted", halted) }
        guard let state else { throw Problem(503, "not-founded", "the site is not founded: there is no chain yet") }
        let names = state.members.map(\.name)
        if let unknown = lost.first(where: { !names.contains($0) }) {
            let former = founding.record.map { [$0.genesis] + $0.recoveries.map(\.genesis) } ?? []
            let wasOne = former.contains { $0.members.contains { $0.name == unknown } }
            throw Problem(
                404, "unknown-node",
                "no member is named \"\(unknown.prefix(80))\"\(wasOne ? " any more" : ""): there are \(names.sorted().joined(separator: ", "))"
            )
        }
        let survivors = state.members.filter { !lost.contains($0.name) }
        guard survivors.contains(where: { $0.id == here }) else {
            let why = state.nodes[here] == nil ? "this device is no member" : "this device itself is not to go on"
            throw Problem(409, "not-among-them", "\(why): ask one that is to go on")
        }
        let fresh = peers.fresh(at: now)
        try force ? checkStandstill(state, fresh, patience: Self.standstill) : checkLoss(of: lost, state, fresh)
        for member in survivors where member.id != here {
            guard let peer = fresh[member.id] else {
                throw Problem(
                    409, "survivor-silent",
                    "nothing is heard from \(member.name), which would have to agree: start it, or name it as lost too")
            }
            guard peer.height == state.height, peer.head == state.head else {
                throw Problem(
                    409, "survivor-elsewhere",
                    "\(member.name) stands at block \(peer.height) (\(peer.head.short)), this device at \(state.height) "
                        + "(\(state.head.short)): wait some seconds for the one to get the other's blocks")
            }
        }
        var parameters = state.parameters
        parameters.quorum = rule ?? .usual(members: survivors.count)
        return Genesis(
            site: configuration.site, operatorKey: state.operatorKey, parameters: parameters, members: survivors,
            predecessor: state.predecessor)
    }

    private func checkLoss(of lost: [String], _ state: SiteState, _ fresh: [NodeID: Peers.Peer]) throws(Problem) {
        for member in state.members where lost.contains(member.name) {
            if fresh[member.id] != nil {
                throw Problem(
                    409, "not-lost",
                    "\(member.name) answers, so it is not lost. If it must go in spite of that, say --force")
            }
            if let rival, rival.isHeard(member.id, at: now) {
                throw Problem(
                    409, "not-lost",
                    "\(member.name) answers, so it is not lost: it follows \(rival.words). One of the two has to come back: "
                        + "\(Self.wayBack). If \(member.name) shall go in spite of that, say --force"
                )
            }
        }
        try checkStandstill(state, fresh, patience: .max)
    }

    /// Nobody else can be kept from deciding the next block meanwhile, and whoever did would have to stop.
    private func checkStandstill(
        _ state: SiteState, _ fresh: [NodeID: Peers.Peer], patience: Int64
    ) throws(Problem) {
        // Not one alone: a liar must not keep the operator from going on.
        let ahead = state.members.filter { (fresh[$0.id]?.height ?? 0) > state.height }
        guard ahead.count < state.quorum.oneHonest else {
            throw Problem(
                409, "behind",
                "\(ahead.map(\.name).joined(separator: ", ")) say that there are blocks after \(state.height), where this "
                    + "device stands: wait until it has them, or ask one of those")
        }
        let heard = state.members.count { $0.id == here || fresh[$0.id] != nil }
        guard heard >= state.quorum.votes, now - (committedAt ?? startedAt ?? now) < patience else { return }
        throw Problem(
            409, "quorum-there",
            "\(heard) of \(state.members.count) members answer and \(state.quorum.votes) decide: the chain can go on by "
                + "itself. To remove a device: planner dismiss")
    }

    /// The operator's word. It takes effect here at once, and on the others as soon as they hear of it.
    ///
    /// - Parameter force: as of ``recoveryDraft(without:rule:force:)``, whose conditions must still hold.
    mutating func recover(_ id: RequestID, _ recovery: Recovery, force: Bool) {
        guard let state = chain(for: id), var record = founding.record else { return }
        guard !record.names.contains(recovery.genesis.hash) else { return effects.append(.answer(id, nil)) }
        do throws(Refusal) {
            guard recovery.genesis.members.contains(where: { $0.id == here }) else {
                throw Refusal(.badRecovery, "this device is not among those who go on")
            }
            try record.add(recovery)
            _ = try record.following(state)
        } catch {
            return effects.append(.answer(id, Problem(error)))
        }
        do throws(Problem) {
            let survivors = Set(recovery.genesis.members.map(\.id))
            let lost = state.members.filter { !survivors.contains($0.id) }.map(\.name)
            _ = try recoveryDraft(without: lost, rule: recovery.genesis.parameters.quorum, force: force)
        } catch {
            return effects.append(.answer(id, error))
        }
        follow(record)
        effects.append(.answer(id, halted.map { Problem(503, "halted", $0) }))
    }

    /// What another node knows of recoveries.
    /// - Returns: whether the bytes are a founding document, so that they are nothing else.
    mutating func receiveRecoveries(_ bytes: [UInt8], from sender: NodeID) -> Bool {
        guard state != nil, FoundingRecord.begins(bytes) else { return false }
        guard let known = founding.record, known.isComplete, peers.mayTellHere(sender, at: now), bytes != known.encoded
        else { return true }
        do {
            guard let record = try known.retold(by: bytes) else {
                count(Refusal.Reason.anotherGenesis.rawValue)
                return true
            }
            learn(record)
        } catch {
            count(Refusal.Reason.badRecovery.rawValue)
        }
        return true
    }

    /// Follows a longer list of recoveries of this chain.
    mutating func learn(_ record: FoundingRecord) {
        guard let known = founding.record, record.genesis == known.genesis, record.isComplete,
            record.recoveries != known.recoveries
        else { return }
        guard record.recoveries.starts(with: known.recoveries) else {
            if !known.recoveries.starts(with: record.recoveries) { meet(record) }
            return
        }
        follow(record)
    }

    /// - Precondition: the record's recoveries begin with those that are known, and are more.
    private mutating func follow(_ record: FoundingRecord) {
        guard let state, let known = founding.record else { return }
        let next = record.recoveries[known.recoveries.count].predecessor
        let isPassed = next.height < state.height || (next.height == state.height && next.head != state.head)
        if next.genesis == state.genesis, isPassed { return overrun(next) }
        founding.adopt(record)
        isRecoveryKnown = false
        effects.append(.persistGenesis(record.encoded))
        effects.append(.publish(Publication(kind: .genesis, payload: record.encoded)))
        if next.height == state.height { return take(state) }
        effects.append(
            .log(
                .warning,
                "the operator has had the chain go on after block \(next.height), which this node, at \(state.height), has yet "
                    + "to get"))
    }

    /// The state with which this node goes on after a block; nil, and it halts, if a recovery of the operator doesn't fit.
    mutating func following(_ state: SiteState) -> SiteState? {
        do throws(Refusal) {
            return try founding.record?.following(state) ?? state
        } catch {
            halt(
                "the operator's recovery doesn't fit the block that it goes on from: \(error). Move the chain's files away "
                    + "and start this device with a new invitation (planner invite)")
            return nil
        }
    }

    /// After it took effect here.
    mutating func noteRecovery(_ after: SiteState) {
        if let recovery = founding.record?.recoveries.last(where: { $0.genesis.hash == after.genesis }) {
            let names = recovery.genesis.members.map(\.name).joined(separator: ", ")
            effects.append(
                .log(
                    .warning,
                    "by the operator's word the chain goes on after block \(recovery.predecessor.height) with \(names), as "
                        + after.genesis.short))
        }
        // The same block, but not the same placement.
        announced = nil
        isRecoveryKnown = false
        showRecoveries()
    }

    /// Until gossip has answered: without these it signs no vote under the chain's newest name.
    mutating func showRecoveries() {
        guard !isRecoveryKnown, let recoveries = founding.record?.recoveries, !recoveries.isEmpty,
            state?.genesis == recoveries.last?.genesis.hash
        else { return }
        sign(.recoveries(recoveries.count), RecoveryPath(recoveries).encoded)
    }

    /// This node has blocks that the operator's word leaves out. Its copies may run elsewhere soon.
    private mutating func overrun(_ predecessor: Predecessor) {
        guard let state else { return }
        stop(
            "the operator has had the chain go on after block \(predecessor.height), and this device has another block after "
                + "that, or the last of them, \(state.height)")
    }

    /// Sets aside what runs here, and halts, also after a start.
    mutating func stop(_ why: String) {
        guard let state else { return }
        if stopped == nil { effects.append(.persistStop(why)) }
        var placement = state.placement(for: here)
        // Out of the placement they would be taken for removed.
        for index in placement.apps.indices {
            placement.apps[index].node = .zero
            placement.apps[index].move = nil
        }
        lastPlacement = placement
        effects.append(.placement(placement))
        if let agreement { for timer in agreement.timers { effects.append(.cancelTimer(timer)) } }
        halt(
            "\(why). What runs here is stopped and kept for a day. To bring the device back: \(Self.wayBack)")
    }

    /// A member that knows the chain by another name.
    mutating func hear(_ status: ChainStatus, of node: NodeID, _ state: SiteState) {
        let names = founding.record?.names ?? []
        guard let theirs = names.firstIndex(of: status.genesis), let own = names.firstIndex(of: state.genesis) else {
            count(Refusal.Reason.anotherGenesis.rawValue)
            return hearRival(status, of: node)
        }
        if theirs > own { return peers.heard(node, status, at: now) }
        if let record = founding.record, peers.mayTell(node, at: now) {
            effects.append(.publish(Publication(kind: .genesis, payload: record.encoded, to: node)))
        }
        if status.asks == here, status.height < state.height,
            peers.mayServe(node, from: status.height + 1, at: now)
        {
            effects.append(.sendCommitted(from: status.height + 1, to: node))
        }
    }
}
