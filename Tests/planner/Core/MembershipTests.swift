import Contracts
import Identity
import Machine
import Testing

@testable import PlannerCore

/// Who becomes a member and who stops being one, and that only the operator's word does it.
@Suite struct MembershipTests {
    static let stranger = SigningKey(seed: [UInt8](repeating: 77, count: 32))!
    static let ticket = SigningKey(seed: [UInt8](repeating: 78, count: 32))!

    static func invitation(_ chain: TestChain, name: String = "pi9", lasting: Int64 = 60_000) -> Invitation {
        Invitation(
            genesis: chain.genesis.hash, site: "lab", height: chain.state.height, head: chain.state.head,
            members: .members(chain.state.members), name: name, expires: chain.state.time + lasting,
            key: ticket.publicKey)
    }

    static func join(
        _ invitation: Invitation, by node: SigningKey = stranger, signer: SigningKey = .testOperator,
        ticket: SigningKey = ticket, name: String? = nil
    ) -> Join {
        let member = Member(id: node.nodeID, name: name ?? invitation.name, vrf: node.vrf.publicKey)
        return Join(
            invitation: invitation, signature: signer.sign(invitation.signedBytes), member: member,
            proof: ticket.sign(Join.provenBytes(invitation, member)))
    }

    static func seal(_ transaction: Transaction, by key: SigningKey, sequence: UInt64) -> SignedMessage {
        let signed = SignedMessage.signedBytes(
            site: .site(named: "lab"), kind: .transaction, sequence: sequence, payload: transaction.encoded)
        return SignedMessage(
            kind: .transaction, sender: key.nodeID, sequence: sequence, payload: transaction.encoded,
            signature: key.sign(signed))
    }

    /// Its strategy finds no move worth while.
    static func chain(nodes: Int = 4) throws -> TestChain {
        var chain = TestChain(nodes: nodes, parameters: SiteParameters(absentAfter: 15_000, margin: 1_000_000))
        try chain.grow(reports: chain.reports())
        return chain
    }

    /// What validity says of a block with these messages, whoever built it.
    private func refusal(_ messages: [SignedMessage], _ chain: TestChain) -> Refusal.Reason? {
        var body = BlockBody(plan: chain.state.nextPlan ?? Plan(), transactions: messages)
        body.reports = []
        var header = chain.block().header
        header.body = body.hash
        do throws(Refusal) {
            _ = try Validity.check(chain.sign(header, body, by: 0), after: chain.state)
            return nil
        } catch {
            // The test's header states no root that could be right: whoever gets there was not refused.
            return [.wrongStateRoot, .wrongMembersHash].contains(error.reason) ? nil : error.reason
        }
    }

    @Test func theInvitedJoinAndVoteFromTheNextBlockOn() throws {
        var chain = try Self.chain()
        let join = Self.join(Self.invitation(chain))
        let message = Self.seal(.join(join), by: Self.stranger, sequence: 1)
        let block = chain.block(transactions: [message])
        #expect(block.body.transactions == [message])
        let before = chain.state
        chain.state = try Validity.check(block, after: before)
        #expect(chain.state.members.count == 5)
        #expect(chain.state.members == chain.state.members.sorted { $0.id < $1.id })
        #expect(chain.state.membersSince == 2 && chain.state.nodes[Self.stranger.nodeID]?.since == 2)
        #expect(block.header.nextMembers == .members(chain.state.members))
        #expect(Quorum(members: 5, rule: .byzantine).votes == 4)
        // The one who joins can't decide the block by which it does.
        #expect(!before.memberIDs.contains(Self.stranger.nodeID))
        #expect(refusal([Self.seal(.join(join), by: Self.stranger, sequence: 2)], chain) == .alreadyMember)
    }

    /// One member that lies can neither bring in a voter nor an app.
    @Test func onlyTheOperatorInvitesAndSubmits() throws {
        var chain = try Self.chain()
        let invitation = Self.invitation(chain)
        let liar = chain.keys[1]
        func refused(_ join: Join, by key: SigningKey = Self.stranger) -> Refusal.Reason? {
            refusal([Self.seal(.join(join), by: key, sequence: 1)], chain)
        }
        #expect(refused(Self.join(invitation)) == nil)
        #expect(refused(Self.join(invitation, signer: liar)) == .badInvitation)
        // It has seen the invitation on its way, and wants it for a node of its own.
        let seen = Self.join(invitation)
        let own = SigningKey(seed: [UInt8](repeating: 79, count: 32))!
        var stolen = seen
        stolen.member = Member(id: own.nodeID, name: "pi9", vrf: own.vrf.publicKey)
        #expect(refused(stolen, by: own) == .badInvitation)
        #expect(refused(seen, by: own) == .badInvitation)
        stolen.proof = own.sign(stolen.provenBytes)
        #expect(refused(stolen, by: own) == .badInvitation)
        var longer = invitation
        longer.expires += 1
        var changed = seen
        changed.invitation = longer
        #expect(refused(changed) == .badInvitation)
        #expect(refused(Self.join(invitation, name: "pi8")) == .badInvitation)
        var foreign = invitation
        foreign.genesis = .zero
        #expect(refused(Self.join(foreign)) == .anotherGenesis)

        func order(_ act: Order.Act, by key: SigningKey, genesis: Digest) -> Transaction {
            let order = Order(genesis: genesis, sequence: 5, act: act)
            return .order(SignedOrder(order: order, signature: key.sign(order.signedBytes)))
        }
        let acts: [Order.Act] = [
            .submit([SubmittedApp(specification: .test("evil"))]), .dismiss(chain.id(2)),
            .configure(SiteParameters(blockInterval: 60_000, absentAfter: 3_600_000), from: 100),
        ]
        for act in acts {
            for (key, genesis, reason) in [
                (liar, chain.genesis.hash, Refusal.Reason.badOrderSignature),
                (.testOperator, Digest.zero, .anotherGenesis),
            ] {
                let message = chain.transaction(.other(order(act, by: key, genesis: genesis)), by: 1)
                #expect(refusal([message], chain) == reason, "\(act.words)")
            }
        }
    }

    @Test func invitationsAreUsedOnceAndEnd() throws {
        var chain = try Self.chain()
        let invitation = Self.invitation(chain)
        let first = chain.block(transactions: [Self.seal(.join(Self.join(invitation)), by: Self.stranger, sequence: 1)])
        let before = chain.state
        chain.state = try Validity.check(first, after: chain.state)
        let another = SigningKey(seed: [UInt8](repeating: 80, count: 32))!
        func again(_ state: SiteState) -> Refusal.Reason? {
            var copy = chain
            copy.state = state
            return refusal([Self.seal(.join(Self.join(invitation, by: another)), by: another, sequence: 1)], copy)
        }
        #expect(again(before) == nil)
        #expect(again(chain.state) == .invitationUsed)
        // Also once the node that used it is gone.
        chain.state = try Validity.check(
            chain.block(transactions: [
                chain.transaction(.other(chain.order(.dismiss(Self.stranger.nodeID))), by: 0)
            ]), after: chain.state)
        #expect(chain.state.members.count == 4 && again(chain.state) == .invitationUsed)
        for _ in 0..<20 { try chain.grow(after: 3_400) }
        #expect(chain.state.invitations.isEmpty)
        #expect(again(chain.state) == .invitationExpired)
        #expect(
            refusal(
                [
                    Self.seal(
                        .join(Self.join(Self.invitation(chain, lasting: Invitation.longest + 5_000))),
                        by: Self.stranger,
                        sequence: 1)
                ], chain) == .invitationExpired)
        #expect(
            refusal(
                [Self.seal(.join(Self.join(Self.invitation(chain, name: "pi2"))), by: Self.stranger, sequence: 1)],
                chain) == .nameTaken)
    }

    /// A node that leaves is relieved of its apps first, live. What can't move is placed anew once the node has gone and stopped it.
    @Test func leavingDrainsFirst() throws {
        var chain = try Self.chain()
        try chain.run("live", on: 1)
        var fixed = AppSpecification.test("fixed")
        fixed.move = .never
        try chain.grow([.submit([SubmittedApp(specification: fixed, on: chain.id(1))])])
        try chain.grow(reports: chain.reports())
        let placed = try #require(chain.state.apps["fixed"])
        try chain.grow(
            [.receipt(Receipt(app: "fixed", incarnation: placed.incarnation, outcome: .running))], by: 1,
            reports: chain.reports())
        let old = chain.transaction(.other(.leave(since: 7)), by: 1)
        #expect(refusal([old], chain) == .replayedMessage)
        try chain.grow([.other(.leave(since: 0))], by: 1)
        #expect(chain.state.nodes[chain.id(1)]?.isPresent == false)
        #expect(chain.state.apps["fixed"]?.node == chain.id(1))
        let block = try chain.grow(reports: chain.reports())
        #expect(block.body.plan.moves.map(\.app) == ["live"] && block.body.plan.moves.first?.from == chain.id(1))
        let move = try #require(chain.state.apps["live"]?.move)
        #expect(chain.state.members.count == 4, "it still has an app")
        let target = try #require(chain.keys.firstIndex { $0.nodeID == move.to })
        try chain.grow(
            [.receipt(Receipt(app: "live", incarnation: move.incarnation, outcome: .running))], by: target)
        #expect(chain.state.members.count == 3 && chain.state.nodes[chain.id(1)] == nil)
        #expect(chain.state.apps["live"]?.node == move.to)
        #expect(try SiteState(snapshot: chain.state.snapshot, genesis: chain.genesis) == chain.state)
        #expect(chain.state.apps["fixed"]?.incarnation == placed.incarnation)
        for _ in 0..<8 { try chain.grow(reports: [chain.report(by: 0)], after: 3_000) }
        #expect(chain.state.apps["fixed"].map { $0.incarnation > placed.incarnation } == true)
    }

    /// What was to start on a node that leaves may run there: nobody else gets it before the node must have stopped it.
    @Test func whatStartsOnALeavingNodeIsNotStartedTwice() throws {
        var chain = try Self.chain()
        try chain.grow([.submit([SubmittedApp(specification: .test("young"), on: chain.id(1))])])
        try chain.grow(reports: chain.reports())
        let placed = try #require(chain.state.apps["young"])
        #expect(placed.phase == .placed && placed.node == chain.id(1))
        try chain.grow([.other(.leave(since: 0))], by: 1)
        #expect(chain.state.nodes[chain.id(1)] == nil && chain.state.placement(for: chain.id(1)).apps.isEmpty)
        try chain.grow(reports: [chain.report(by: 0)])
        #expect(chain.state.apps["young"]?.incarnation == placed.incarnation)
        for _ in 0..<8 { try chain.grow(reports: [chain.report(by: 0)], after: 3_000) }
        #expect(chain.state.apps["young"].map { $0.incarnation > placed.incarnation } == true)
    }

    /// A drain that comes to nothing ends all the same.
    @Test func aDrainEnds() throws {
        var chain = try Self.chain(nodes: 2)
        try chain.run("stuck", on: 1)
        chain.facts[0] = Facts(
            architecture: "x86_64", kernel: "6.12", engineVersion: "28", storageDriver: "overlay2", checkpoints: true,
            pageSize: 4_096)
        try chain.grow([.other(.leave(since: 0))], by: 1, reports: chain.reports())
        var blocks = 0
        while chain.state.members.count == 2, blocks < 300 {
            try chain.grow(reports: chain.reports(), after: 3_000)
            blocks += 1
        }
        #expect((190...210).contains(blocks))
        for _ in 0..<8 { try chain.grow(reports: [chain.report(by: 0)], after: 3_000) }
        #expect(chain.state.apps["stuck"]?.node == chain.id(0))
    }

    @Test func whoVotesTwiceIsRemoved() throws {
        var chain = try Self.chain()
        try chain.run("counter", on: 2)
        func vote(_ block: Digest?, height: UInt64, by key: SigningKey) -> SignedVote {
            let vote = Vote(genesis: chain.genesis.hash, height: height, round: 0, step: .prevote, block: block)
            return SignedVote(voter: key.nodeID, vote: vote, signature: key.sign(vote.encoded))
        }
        let (a, b) = (vote(.zero, height: 3, by: chain.keys[2]), vote(nil, height: 3, by: chain.keys[2]))
        let evidence = try #require(Evidence(a, b))
        #expect(evidence == Evidence(b, a))
        #expect(Evidence(a, a) == nil)
        #expect(Evidence(a, vote(nil, height: 4, by: chain.keys[2])) == nil)
        #expect(Evidence(a, vote(nil, height: 3, by: chain.keys[1])) == nil)
        var forged = b
        forged.signature = .zero
        let lie = chain.transaction(.other(.evidence(try #require(Evidence(a, forged)))), by: 0)
        #expect(refusal([lie], chain) == .badEvidence)
        let future = try #require(
            Evidence(vote(.zero, height: 99, by: chain.keys[2]), vote(nil, height: 99, by: chain.keys[2])))
        #expect(refusal([chain.transaction(.other(.evidence(future)), by: 0)], chain) == .badEvidence)
        try chain.grow([.other(.evidence(evidence))], by: 0)
        #expect(chain.state.members.count == 3 && chain.state.nodes[chain.id(2)] == nil)
        #expect(chain.state.placement(for: chain.id(0)).apps.isEmpty)
        #expect(refusal([chain.transaction(.other(.evidence(evidence)), by: 0)], chain) == .badEvidence)
        for _ in 0..<8 { try chain.grow(reports: [chain.report(by: 0)], after: 3_000) }
        #expect(chain.state.apps["counter"]?.node == chain.id(0))
    }

    /// What may not run twice gets no other node before it must be frozen on the one that was removed.
    @Test func aFrozenAppWaitsForAWhile() throws {
        var chain = try Self.chain()
        var app = AppSpecification.test("single")
        app.isolated = .freeze
        try chain.grow([.submit([SubmittedApp(specification: app, on: chain.id(2))])])
        try chain.grow(reports: chain.reports())
        let placed = try #require(chain.state.apps["single"])
        try chain.grow([.receipt(Receipt(app: "single", incarnation: placed.incarnation, outcome: .running))], by: 2)
        try chain.grow([.other(chain.order(.dismiss(chain.id(2))))])
        for _ in 0..<15 {
            #expect(chain.state.apps["single"]?.incarnation == placed.incarnation)
            try chain.grow(reports: [chain.report(by: 0), chain.report(by: 1), chain.report(by: 3)])
        }
        try chain.grow(reports: [chain.report(by: 0), chain.report(by: 1), chain.report(by: 3)])
        try chain.grow(reports: [chain.report(by: 0), chain.report(by: 1), chain.report(by: 3)])
        #expect(chain.state.apps["single"].map { $0.incarnation > placed.incarnation } == true)
        #expect(chain.state.apps["single"]?.node.map { $0 != chain.id(2) } == true)
    }

    /// A target that is removed may hold a running copy already, so its move ends no sooner than that of a silent one.
    @Test func aMoveOutlivesItsTarget() throws {
        var chain = try Self.chain()
        // The builder of all of a test's blocks can't be the target.
        chain.facts[0] = Facts(
            architecture: "x86_64", kernel: "6.12", engineVersion: "28", storageDriver: "overlay2", checkpoints: true,
            pageSize: 4_096)
        try chain.run("live", on: 1)
        try chain.grow([.other(.leave(since: 0))], by: 1, reports: chain.reports())
        try chain.grow(reports: chain.reports())
        let move = try #require(chain.state.apps["live"]?.move)
        try chain.grow([.other(chain.order(.dismiss(move.to)))], by: 1)
        #expect(chain.state.nodes[move.to] == nil && chain.state.apps["live"]?.move == move)
        while chain.state.time + 3_000 < move.deadline { try chain.grow(after: 3_000) }
        #expect(chain.state.apps["live"]?.move == move)
        try chain.grow(after: 3_000)
        #expect(chain.state.apps["live"]?.move == nil)
    }

    @Test func theLastMemberStays() throws {
        var chain = TestChain(nodes: 1)
        try chain.grow(reports: chain.reports())
        for ask in [Ask.other(.leave(since: 0)), .other(chain.order(.dismiss(chain.id(0))))] {
            #expect(refusal([chain.transaction(ask, by: 0)], chain) == .lastMember)
        }
    }

    @Test func ordersCountOnceWhoeverBringsThem() throws {
        var chain = try Self.chain()
        let order = chain.order(.submit([SubmittedApp(specification: .test("counter"))]))
        let messages = [chain.transaction(.other(order), by: 0), chain.transaction(.other(order), by: 1)]
        #expect(refusal(messages, chain) == .replayedOrder)
        try chain.grow([.other(order)], by: 0)
        try chain.grow([.remove(app: "counter")])
        #expect(refusal([chain.transaction(.other(order), by: 2)], chain) == .replayedOrder)
    }

    @Test func parametersChangeAtTheirBlock() throws {
        var chain = try Self.chain()
        var parameters = chain.state.parameters
        parameters.blockInterval = 700
        try chain.grow([.other(chain.order(.configure(parameters, from: 5)))])
        #expect(chain.state.height == 2 && chain.state.parameters.blockInterval == 1_000)
        try chain.grow()
        #expect(chain.state.parameters.blockInterval == 1_000)
        try chain.grow()
        #expect(chain.state.parameters.blockInterval == 700 && chain.state.scheduled == nil)
        #expect(try SiteState(snapshot: chain.state.snapshot, genesis: chain.genesis) == chain.state)
        for (change, reason) in [
            ({ $0.quorum = .byzantine }, Refusal.Reason.badParameters), ({ $0.absentAfter = 3_000 }, .badParameters),
            ({ $0.strategy = "magic" }, .badParameters),
        ] as [((inout SiteParameters) -> Void, Refusal.Reason)] {
            var parameters = parameters
            change(&parameters)
            let message = chain.transaction(.other(chain.order(.configure(parameters, from: 50))), by: 0)
            #expect(refusal([message], chain) == reason)
        }
        let (first, last) = (chain.state.height + 3, chain.state.height + 1 + SiteState.scheduleLimit)
        for (height, reason) in [
            (first - 1, Refusal.Reason.badParameters), (first, nil), (last, nil), (last + 1, .badParameters),
        ] {
            let message = chain.transaction(.other(chain.order(.configure(parameters, from: height))), by: 0)
            #expect(refusal([message], chain) == reason, "from block \(height)")
        }
    }

    /// The state's root covers everything that a snapshot holds.
    @Test func theRootCoversTheState() throws {
        var chain = try Self.chain()
        try chain.run("counter", on: 1)
        let root = chain.state.root
        let changes: [(inout SiteState) -> Void] = [
            { $0.height += 1 }, { $0.time += 1 }, { $0.term += 1 }, { $0.seed = .zero }, { $0.epochSeed = .zero },
            { $0.parameters.margin += 1 }, { $0.membersSince += 1 }, { $0.orders.insert(9_999) },
            { $0.invitations.append(SpentInvitation(key: .zero, expires: 1)) }, { $0.members.removeLast() },
            { $0.scheduled = ScheduledParameters(parameters: SiteParameters(), height: 9) },
            { $0.nodes[chain.id(0)]?.drainsUntil = 5 }, { $0.nodes[chain.id(0)]?.seenAt += 1 },
            { $0.apps["counter"]?.incarnation += 1 }, { $0.apps["counter"] = nil }, { $0.queue.append("x") },
            { $0.nextIncarnation += 1 },
        ]
        for (index, change) in changes.enumerated() {
            var state = chain.state
            change(&state)
            #expect(state.root != root, "change \(index)")
        }
        #expect(
            Set(
                changes.map { change in
                    var state = chain.state; change(&state); return state.root
                }
            ).count == 17)
    }
}
