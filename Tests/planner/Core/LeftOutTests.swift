import Contracts
import Testing

@testable import PlannerCore

/// That nobody can keep a transaction out of the chain, and that this doesn't keep the chain from going on.
@Suite struct LeftOutTests {
    private func app(_ name: String) -> SubmittedApp { SubmittedApp(specification: .test(name)) }

    /// A liar that says the same thing in hundreds of transactions, of which one has an effect.
    @Test func transactionsWithoutEffectKeepNoOtherOut() throws {
        var chain = TestChain(nodes: 4)
        try chain.grow(reports: chain.reports())
        let leave = Ask.other(.leave(since: 0))
        var messages: [SignedMessage] = []
        for _ in 0..<BlockBody.transactionLimit + 50 { messages.append(chain.transaction(leave, by: 3)) }
        messages.append(chain.transaction(.submit([app("late")]), by: 1))
        let block = chain.block(transactions: messages)
        #expect(block.body.transactions.count == 2)
        #expect(try Validity.check(block, after: chain.state).apps["late"] != nil)
    }

    /// What found no room for the copies of a long order does as soon as they are seen to have no effect.
    @Test func copiesOfALongOrderTakeNoRoom() throws {
        var chain = TestChain(nodes: 4)
        try chain.grow(reports: chain.reports())
        func long(_ name: String) -> [SubmittedApp] {
            (0..<3).map { number in
                var app = app("\(name)\(number)")
                for key in 0..<15 {
                    app.specification.environment["X\(key)"] = String(repeating: "x", count: 4_000)
                }
                return app
            }
        }
        let order = chain.order(.submit(long("long")))
        var messages = (0..<8).map { chain.transaction(.other(order), by: $0 % 4) }
        messages.append(chain.transaction(.submit(long("late")), by: 1))
        #expect(messages.map(BlockBuilder.size).reduce(0, +) > BlockBuilder.messageBudget)
        let block = chain.block(transactions: messages)
        #expect(try Validity.check(block, after: chain.state).apps.names.count == 6)
    }

    /// Of those that have an effect the oldest go first, as many as a block may hold.
    @Test func theOldestGoFirst() throws {
        var chain = TestChain(nodes: 4)
        try chain.grow(reports: chain.reports())
        var messages: [SignedMessage] = []
        for number in 0..<BlockBody.transactionLimit + 50 {
            // Each second time somebody wants the app of before once more.
            messages.append(chain.transaction(.submit([app("app\(number / 2)")]), by: number % 4))
        }
        let block = chain.block(transactions: messages)
        let after = try Validity.check(block, after: chain.state)
        #expect(after.apps.count == (BlockBody.transactionLimit + 50) / 2)
        var unlike: [SignedMessage] = []
        for number in 0..<BlockBody.transactionLimit + 50 {
            unlike.append(chain.transaction(.submit([app("unlike\(number)")]), by: number % 4))
        }
        let full = chain.block(transactions: unlike)
        #expect(full.body.transactions.count == BlockBody.transactionLimit)
        #expect(Set(full.body.transactions) == Set(unlike.prefix(BlockBody.transactionLimit)))
    }

    /// All devices start anew, and one keeps saying what has no effect: that must not put off the first block.
    @Test func nothingThatComesInPutsABlockOff() throws {
        for seed in UInt64(1)...5 {
            var site = SimulatedSite(
                nodes: 4, seed: seed, parameters: SiteParameters(quorum: .byzantine, idleInterval: 3_000))
            #expect(site.run(until: 20_000) { $0.nodes.allSatisfy { $0.disk.height >= 2 } })
            for index in 0..<4 { site.crash(index, for: nil) }
            for index in 0..<3 { site.boot(index) }
            let height = site.heights[0]
            for _ in 0..<150 {
                let message = site.seal(.transaction, Transaction.leave(since: 0).encoded, 3)
                for index in 0..<3 { site.step(index, .message(message)) }
                site.run(until: site.now + 100)
            }
            #expect(site.heights[0] > height, "seed \(seed)")
        }
    }

    /// A liar reports to one node alone. That node's doubts hold up no more rounds than an honest node needs for its turn.
    @Test func oneNodesDoubtOfAnAbsenceEnds() throws {
        var site = SimulatedSite(
            nodes: 4, seed: 3, parameters: SiteParameters(quorum: .byzantine, idleInterval: 1_000))
        #expect(site.run(until: 20_000) { $0.nodes.allSatisfy { $0.disk.height >= 2 } })
        site.crash(3, for: nil)
        let report = Report(
            name: site.nodes[3].name, gossipAddress: "10.0.0.3:7700", migratorAddress: "10.0.0.3:7701",
            vrf: site.nodes[3].key.vrf.publicKey,
            load: LoadMatrix(
                timestamp: 1, device: Score(cpu: 20_000), apps: [], services: [], capacity: .test, facts: .test))
        var doubted: Block?
        for step in 0..<600 where doubted == nil {
            if step % 10 == 0 {
                let message = site.seal(.report, report.encoded, 3)
                site.step(0, .message(message))
            }
            site.run(until: site.now + 50)
            let candidates = site.nodes[0].machine?.agreement?.candidates.values
            doubted = candidates?.first { $0.doubt?.reason == .absenceContradicted }?.block
        }
        let block = try #require(doubted)
        let machine = try #require(site.nodes[0].machine)
        let parent = try #require(machine.state)
        for round in 0..<6 as Range<UInt32> {
            let doubt = machine.judge(block, parent, round: round).doubt?.reason
            #expect((doubt == .absenceContradicted) == (round <= parent.quorum.oneHonest), "round \(round)")
        }
    }

    /// A liar gave one transaction to one node and another to another, and is silent then. Each of the two doubts what doesn't
    /// hold its own, and the quorum needs all three that are left.
    @Test func unlikePoolsBecomeAlike() throws {
        for seed in UInt64(1)...10 {
            var site = SimulatedSite(
                nodes: 4, seed: seed,
                parameters: SiteParameters(quorum: .byzantine, idleInterval: 1_000, absentAfter: 15_000))
            #expect(site.run(until: 20_000) { $0.nodes.allSatisfy { $0.disk.height >= 2 } })
            // The two are old before the third node is there.
            site.crash(3, for: nil)
            site.crash(1, for: nil)
            let genesis = try #require(site.nodes[0].machine?.state?.genesis)
            for (node, sequence) in [(0, 900_000), (2, 900_001)] as [(Int, UInt64)] {
                let order = SignedOrder.test(.submit([app("to\(node)")]), genesis: genesis, sequence: sequence)
                site.nodes[3].sequence = sequence
                let message = site.seal(.transaction, Transaction.order(order).encoded, 3)
                site.step(node, .message(message))
            }
            site.run(until: site.now + PlannerMachine.publicAfter + 5_000)
            let stood = site.nodes[0].disk.height
            site.boot(1)
            // A rotation of rounds that fail, and what went before.
            let limit = site.now + 90_000
            let isWell = site.run(until: limit) { site in
                [0, 1, 2].allSatisfy {
                    let apps = site.nodes[$0].machine?.state?.apps
                    return apps?["to0"] != nil && apps?["to2"] != nil
                }
            }
            #expect(isWell, "seed \(seed): at \(stood), then \(site.nodes[0].disk.height)")
            #expect(site.violations.isEmpty, "seed \(seed): \(site.violations)")
        }
    }
}
