import Contracts
import Identity
import Testing

@testable import PlannerCore

/// The operator's way back from a permanent loss of quorum.
@Suite struct RecoveryTests {
    private func site(_ seed: UInt64, interval: UInt64 = 1_000, faults: Faults = Faults()) -> SimulatedSite {
        var site = SimulatedSite(
            nodes: 4, seed: seed, faults: faults,
            parameters: SiteParameters(quorum: .byzantine, idleInterval: 1_000, absentAfter: 15_000),
            snapshotInterval: interval)
        site.run(until: 25_000)
        for node in 1...4 {
            site.submit([Submission(specification: .test("app\(node)"), on: "pi\(node)")], at: 0)
        }
        site.run(until: site.now + 20_000)
        return site
    }

    /// Two of four are lost, so that three of four can't agree any more.
    private func lose(_ site: inout SimulatedSite) {
        site.crash(2, for: nil)
        site.crash(3, for: nil)
        site.run(until: site.now + 20_000)
    }

    private func draft(
        _ site: SimulatedSite, at index: Int = 0, without lost: [String] = ["pi3", "pi4"], force: Bool = false
    ) throws -> Genesis {
        try #require(site.nodes[index].machine).recoveryDraft(without: lost, rule: nil, force: force)
    }

    private func recovery(_ genesis: Genesis, by key: SigningKey = .testOperator) throws -> Recovery {
        try #require(Recovery(genesis: genesis, signature: key.sign(genesis.signedBytes)))
    }

    private func recover(
        _ site: inout SimulatedSite, _ recovery: Recovery, at index: Int = 0, force: Bool = false
    ) -> RecoveredAnswer {
        site.requests += 1
        let id = RequestID(site.requests)
        site.step(index, .recover(id, recovery, force: force))
        return site.nodes[index].answers[id] ?? nil
    }

    private typealias RecoveredAnswer = Problem?

    private func runs(_ name: String, _ site: SimulatedSite, at index: Int = 0) -> Bool {
        site.nodes[index].machine?.appStatuses.first { $0.name == name }?.phase == .running
    }

    /// Those left decide again, what ran on the lost ones runs anew, and the whole chain holds for whoever checks it.
    @Test func thoseLeftGoOn() throws {
        for seed in 0..<8 as Range<UInt64> {
            let faults = seed % 2 == 1 ? Faults(loss: 30, duplication: 30, delay: 80, crashes: 2) : Faults()
            var site = site(seed, interval: seed % 4 < 2 ? 5 : 1_000, faults: faults)
            lose(&site)
            site.faults = Faults()
            site.run(until: site.now + 6_000)
            let before = try #require(site.nodes[0].machine?.state)
            let genesis = try draft(site)
            #expect(genesis.parameters.quorum == .crash, "two can't bear a liar")
            let recovery = try recovery(genesis)
            #expect(recover(&site, recovery) == nil)
            #expect(recover(&site, recovery) == nil, "once more changes nothing")
            let goesOn = site.run(until: site.now + 60_000) { site in
                [0, 1].allSatisfy { site.heights[$0] > before.height }
            }
            #expect(goesOn, "seed \(seed): \(site.heights)")
            let after = try #require(site.nodes[1].machine?.state)
            #expect(after.genesis == genesis.hash)
            #expect(after.members == before.members.filter { ["pi1", "pi2"].contains($0.name) })
            #expect(after.nextIncarnation >= before.nextIncarnation)
            let allRun = site.run(until: site.now + 60_000) { site in before.apps.names.allSatisfy { runs($0, site) } }
            let phases = site.nodes[0].machine?.appStatuses.map { "\($0.name) \($0.phase) \($0.reason)" } ?? []
            #expect(allRun, "seed \(seed): \(phases.joined(separator: ", "))")
            #expect(site.violations == [], "seed \(seed)")
            #expect(site.verifyChains() == nil, "seed \(seed)")
        }
    }

    /// It learns what happened from those who went on, and that it is no member.
    @Test func whoComesBackStopsAndFollows() throws {
        for seed in 10..<16 as Range<UInt64> {
            var site = site(seed, interval: seed % 2 == 0 ? 5 : 1_000)
            if seed % 2 == 0 { site.forgetful = [0, 1] }
            lose(&site)
            #expect(recover(&site, try recovery(try draft(site))) == nil)
            site.run(until: site.now + 60_000)
            for index in [2, 3] { site.boot(index) }
            let follows = site.run(until: site.now + 30_000) { site in
                [2, 3].allSatisfy { site.heights[$0] + 2 >= site.heights[0] }
            }
            #expect(follows, "seed \(seed): \(site.heights)")
            for index in [2, 3] {
                let placement = try #require(site.nodes[index].placements.last)
                let here = site.nodes[index].key.nodeID
                #expect(!placement.apps.contains { $0.node == here || $0.move?.to == here }, "seed \(seed)")
                #expect(site.nodes[index].machine?.state?.nodes[here] == nil)
            }
            #expect(site.violations == [], "seed \(seed)")
            #expect(site.verifyChains() == nil, "seed \(seed)")
        }
    }

    /// One that was off lags; it gets the blocks of the old chain, then goes on with the new one.
    @Test func aSurvivorThatLagsCatchesUp() throws {
        for interval in [5, 1_000] as [UInt64] {
            var site = site(20, interval: interval)
            site.crash(1, for: nil)
            site.run(until: site.now + 30_000)
            lose(&site)
            site.boot(1)
            #expect(site.run(until: site.now + 20_000) { $0.heights[1] == $0.heights[0] })
            site.run(until: site.now + 3_000)
            let recovery = try recovery(try draft(site))
            // It hears of it when it is up again.
            site.crash(1, for: 5_000)
            #expect(recover(&site, recovery) == nil)
            let height = site.heights[0]
            #expect(site.run(until: site.now + 60_000) { $0.heights[1] > height + 2 })
            #expect(site.violations == [] && site.verifyChains() == nil)
        }
    }

    /// Killed at any moment, also between what is stored and what is sent, it goes on under the new name after a start.
    @Test func aStartGoesOnUnderTheNewName() throws {
        var site = site(30)
        lose(&site)
        let recovery = try recovery(try draft(site))
        site.crash(1, for: nil)
        #expect(recover(&site, recovery) == nil)
        site.crash(0, for: nil)
        for index in [0, 1] { site.boot(index) }
        let height = site.heights[0]
        #expect(site.run(until: site.now + 60_000) { $0.heights[0] > height + 2 && $0.heights[1] > height + 2 })
        for index in [0, 1] {
            site.crash(index, for: nil)
            site.boot(index)
        }
        let later = site.heights[0]
        #expect(site.run(until: site.now + 60_000) { $0.heights[0] > later + 2 })
        #expect(site.violations == [] && site.verifyChains() == nil)
    }

    /// Of the two that went on one is lost as well.
    @Test func aChainCanBeRecoveredAgain() throws {
        for isAtOnce in [true, false] {
            var site = site(40)
            lose(&site)
            #expect(recover(&site, try recovery(try draft(site))) == nil)
            if !isAtOnce { site.run(until: site.now + 30_000) }
            site.crash(1, for: nil)
            site.run(until: site.now + 10_000)
            #expect(recover(&site, try recovery(try draft(site, without: ["pi2"]))) == nil)
            let height = site.heights[0]
            #expect(site.run(until: site.now + 30_000) { $0.heights[0] > height + 2 })
            for index in 1...3 { site.boot(index) }
            #expect(site.run(until: site.now + 60_000) { site in (1...3).allSatisfy { site.heights[$0] > height + 2 } })
            #expect(site.violations == [] && site.verifyChains() == nil)
        }
    }

    @Test func whoIsInvitedAfterwardsSeesTheWholeChain() throws {
        for interval in [5, 1_000] as [UInt64] {
            var site = site(50, interval: interval)
            if interval == 5 { site.forgetful = [0, 1] }
            lose(&site)
            #expect(recover(&site, try recovery(try draft(site))) == nil)
            site.run(until: site.now + 20_000)
            let invited = site.invite("pi5")
            let index = try #require(invited)
            #expect(site.run(until: site.now + 60_000) { $0.nodes[0].machine?.state?.members.count == 3 })
            let height = site.heights[0]
            #expect(site.run(until: site.now + 60_000) { $0.heights[index] > height + 2 })
            #expect(site.violations == [] && site.verifyChains() == nil)
        }
    }

    /// Orders and joins that name the old chain must keep nobody from building or accepting the next block.
    @Test func whatWaitedBeforeIsVoid() throws {
        for seed in 55..<59 as Range<UInt64> {
            var site = site(seed)
            lose(&site)
            let order = site.submit([Submission(specification: .test("late"))], at: Int(seed % 2))
            let invited = site.invite("pi5")
            let guest = try #require(invited)
            site.run(until: site.now + 20_000)
            #expect(recover(&site, try recovery(try draft(site))) == nil)
            let height = site.heights[0]
            let goesOn = site.run(until: site.now + 60_000) { site in
                [0, 1].allSatisfy { site.heights[$0] > height + 5 }
            }
            #expect(goesOn, "seed \(seed): \(site.heights)")
            #expect(
                site.nodes[0].machine?.state?.apps["late"] == nil
                    && site.nodes[Int(seed % 2)].answers[order] != .some(nil))
            #expect(site.nodes[guest].machine?.joiningObstacle?.contains("doesn't help any more") == true)
            #expect(site.nodes[0].machine?.state?.members.count == 2 && site.violations == [])
        }
    }

    /// The chain was recovered twice while it was away, and comes to it as a snapshot; its vote is needed.
    @Test func aSnapshotBringsRecoveriesAndTheVote() throws {
        var site = site(65, interval: 5)
        site.forgetful = [0, 1, 2]
        site.crash(3, for: nil)
        site.run(until: site.now + 8_000)
        site.crash(2, for: nil)
        site.run(until: site.now + 8_000)
        #expect(recover(&site, try recovery(try draft(site))) == nil)
        site.run(until: site.now + 20_000)
        let invited = site.invite("pi5")
        let guest = try #require(invited)
        #expect(site.run(until: site.now + 60_000) { $0.nodes[guest].machine?.state?.nodes.count == 3 })
        // Of three two decide. The one that is away is named as going on.
        site.run(until: site.now + 5_000)
        site.crash(1, for: nil)
        site.run(until: site.now + 30_000)
        let away = site.heights[1]
        #expect(site.heights[0] > away + 5)
        site.boot(1)
        site.run(until: site.now + 20_000)
        site.crash(guest, for: nil)
        let height = site.heights[0]
        #expect(site.run(until: site.now + 60_000) { $0.heights[0] > height + 3 }, "\(site.heights)")
        #expect(site.violations == [] && site.verifyChains() == nil)
    }

    /// A founding document of somebody else costs no signature and changes nothing.
    @Test func othersFoundingDocumentsAreNotRead() throws {
        var site = site(66)
        let known = try #require(site.nodes[0].disk.genesis)
        let record = try FoundingRecord(encoded: known)
        #expect(try record.retold(by: known) == record)
        var other = FoundingRecord(genesis: record.genesis)
        #expect(try record.retold(by: other.encoded) == nil, "not all have signed it")
        other = FoundingRecord(genesis: Genesis(site: "lab", operatorKey: .zero, parameters: .lively, members: []))
        #expect(try record.retold(by: other.encoded) == nil)
        #expect(throws: ByteCodingError.self) { try record.retold(by: known + [0]) }
        #expect(throws: ByteCodingError.self) { try record.retold(by: known.dropLast(1) + []) }
        site.publish(Publication(kind: .genesis, payload: other.encoded), 1)
        site.run(until: site.now + 5_000)
        #expect(site.counts["another-genesis", default: 0] > 0 && site.violations == [])
    }

    // MARK: What is not allowed

    @Test func noRecoveryWithoutNeed() throws {
        var site = site(60)
        #expect(throws: Problem.self) { try draft(site) }
        site.crash(3, for: nil)
        site.run(until: site.now + 10_000)
        let problem = #expect(throws: Problem.self) { try draft(site, without: ["pi4"]) }
        #expect(problem?.code == "quorum-there")
        site.crash(2, for: nil)
        site.run(until: site.now + 10_000)
        #expect((try? draft(site)) != nil)
        #expect(#expect(throws: Problem.self) { try draft(site, without: ["pi2", "pi3", "pi4"]) }?.code == "not-lost")
        #expect((try? draft(site, without: ["pi2", "pi3", "pi4"], force: true)) != nil)
        #expect(#expect(throws: Problem.self) { try draft(site, without: ["pi3"]) }?.code == "survivor-silent")
        #expect(#expect(throws: Problem.self) { try draft(site, without: ["pi9"]) }?.code == "unknown-node")
        #expect(
            #expect(throws: Problem.self) { try draft(site, without: ["pi1", "pi3", "pi4"], force: true) }?.code
                == "not-among-them")
    }

    /// A member alone can't take a chain over, nor can an operator's word for another block or chain be used again.
    @Test func onlyTheOperatorsWordForThisBlockCounts() throws {
        var site = site(70)
        lose(&site)
        let genesis = try draft(site)
        let height = site.heights[0]
        #expect(recover(&site, try recovery(genesis, by: site.nodes[0].key))?.code == "bad-order-signature")
        var wrongs: [Genesis] = []
        for change in [
            { $0.height -= 1 }, { $0.head = .zero }, { $0.stateRoot = .zero }, { $0.genesis = .zero },
        ] as [(inout Predecessor) -> Void] {
            var predecessor = try #require(genesis.predecessor)
            change(&predecessor)
            var wrong = genesis
            wrong.predecessor = predecessor
            wrongs.append(wrong)
        }
        var stranger = genesis
        stranger.members[0].name = "pi9"
        var elsewhere = genesis
        elsewhere.site = "attic"
        var odd = genesis
        odd.parameters.strategy = "odd"
        wrongs += [stranger, elsewhere, odd]
        for wrong in wrongs { #expect(recover(&site, try recovery(wrong)) != nil) }
        site.run(until: site.now + 20_000)
        #expect(site.heights[0] == height && site.nodes[0].machine?.state?.genesis == genesis.predecessor?.genesis)
        #expect(site.violations == [])
    }

    /// Those cut off were a quorum and went on. The operator's word counts, and what they have decided since is given up.
    @Test func whoWentOnWithoutTheOperatorStops() throws {
        var site = site(80)
        site.cut = [0]
        site.run(until: site.now + 20_000)
        let genesis = try draft(site, without: ["pi2", "pi3", "pi4"])
        #expect(site.heights[1] > site.heights[0])
        #expect(recover(&site, try recovery(genesis)) == nil)
        site.run(until: site.now + 20_000)
        site.cut = []
        runForked(&site, for: 20_000)
        // After a start as well, heard by nobody.
        for isRestarted in [false, true] {
            if isRestarted {
                site.cut = [1, 2, 3]
                for index in 1...3 {
                    site.crash(index, for: nil)
                    site.boot(index)
                }
                runForked(&site, for: 1_000)
            }
            #expect((1...3).allSatisfy { site.nodes[$0].machine?.halted?.contains("has had the chain go on") == true })
            for index in 1...3 { expectAllSetAside(site, index) }
            #expect(site.nodes[0].machine?.halted == nil)
        }
    }

    /// Nothing is the device's any more, and nothing is taken for removed.
    private func expectAllSetAside(_ site: SimulatedSite, _ index: Int) {
        let apps = site.nodes[index].placements.last?.apps ?? []
        #expect(!apps.isEmpty && apps.allSatisfy { $0.node == .zero && $0.move == nil })
    }

    /// The judge sees the fork that the operator has made, and that nodes halt.
    private func runForked(_ site: inout SimulatedSite, for duration: Int64) {
        let expected = ["two blocks at height", "has had the chain go on", "others go on by", "some follow"]
        for _ in 0..<duration / 100 {
            site.run(until: site.now + 100)
            #expect(
                site.violations.allSatisfy { text in expected.contains { text.contains($0) } }, "\(site.violations)")
            site.violations = []
        }
    }

    /// The operator has two halves of the site go on without each other. When they meet, one of them stops.
    @Test func ofTwoWaysThatGoOnOneStays() throws {
        for seed in 84..<88 as Range<UInt64> {
            var site = site(seed)
            lose(&site)
            #expect(recover(&site, try recovery(try draft(site))) == nil)
            site.run(until: site.now + 20_000)
            for index in [0, 1] { site.crash(index, for: nil) }
            for index in [2, 3] { site.boot(index) }
            site.run(until: site.now + 10_000)
            let height = site.heights[2]
            #expect(recover(&site, try recovery(try draft(site, at: 2, without: ["pi1", "pi2"])), at: 2) == nil)
            runForked(&site, for: 20_000)
            #expect(site.heights[2] > height + 2)
            for index in [0, 1] { site.boot(index) }
            runForked(&site, for: 30_000)
            let halted = site.nodes.indices.filter { site.nodes[$0].machine?.halted != nil }
            #expect(halted == [0, 1] || halted == [2, 3], "seed \(seed): \(halted)")
            for index in halted {
                expectAllSetAside(site, index)
                site.crash(index, for: nil)
                site.boot(index)
                #expect(site.nodes[index].machine?.halted?.contains("others go on by") == true)
                expectAllSetAside(site, index)
            }
            let stays = halted == [0, 1] ? 2 : 0
            #expect(site.nodes[stays].machine?.rivalObstacle != nil)
            let now = site.heights[stays]
            runForked(&site, for: 20_000)
            #expect(site.heights[stays] > now + 2)
            // Whoever didn't hear of the others is told by them, though they have stopped.
            site.crash(stays, for: nil)
            site.boot(stays)
            runForked(&site, for: 10_000)
            #expect(site.nodes[stays].machine?.rivalObstacle != nil)
        }
    }

    /// At the same moment the operator signs one recovery on one device and another on the other: neither goes on.
    @Test func twoRecoveriesAtOnceAreNamed() throws {
        var site = site(89)
        lose(&site)
        let genesis = try draft(site)
        let other = try #require(site.nodes[1].machine).recoveryDraft(
            without: ["pi3", "pi4"], rule: .byzantine, force: false)
        #expect(recover(&site, try recovery(genesis)) == nil)
        #expect(recover(&site, try recovery(other), at: 1) == nil)
        runForked(&site, for: 20_000)
        let height = site.heights[0]
        for index in [0, 1] {
            #expect(site.nodes[index].machine?.rivalObstacle?.contains("has not gone on") == true)
            #expect(site.nodes[index].machine?.halted == nil)
        }
        // The other follows another word, but it is there.
        #expect(#expect(throws: Problem.self) { try draft(site, without: ["pi2"]) }?.code == "not-lost")
        let alone = try recovery(try draft(site, without: ["pi2"], force: true))
        #expect(recover(&site, alone, force: true) == nil)
        runForked(&site, for: 20_000)
        #expect(site.heights[0] > height + 2 && site.nodes[0].machine?.halted == nil)
        #expect(site.nodes[1].machine?.halted?.contains("others go on by") == true)
        expectAllSetAside(site, 1)
    }

    /// While blocks come nothing may take the chain another way: whoever decides the next one meanwhile would have to stop.
    @Test func noForceWhileTheChainGoesOn() throws {
        var site = site(91)
        func code() -> String? {
            #expect(throws: Problem.self) { try draft(site, without: ["pi4"], force: true) }?.code
        }
        #expect(code() == "quorum-there")
        // Who has just started hasn't seen a block yet.
        site.crash(0, for: nil)
        site.boot(0)
        var codes: Set<String> = []
        for _ in 0..<200 {
            site.run(until: site.now + 20)
            codes.insert(code() ?? "")
        }
        #expect(codes.contains("quorum-there") && codes.isSubset(of: ["quorum-there", "behind", "survivor-silent"]))
    }

    @Test func aFoundingDocumentHoldsItsRecoveries() throws {
        var site = site(90)
        lose(&site)
        let recovery = try recovery(try draft(site))
        #expect(recover(&site, recovery) == nil)
        let record = try FoundingRecord(encoded: try #require(site.nodes[0].disk.genesis))
        #expect(record.recoveries == [recovery])
        #expect(record.names == [try #require(recovery.genesis.predecessor).genesis, recovery.genesis.hash])
        var other = record
        #expect(throws: Refusal.self) { try other.add(recovery) }
        // One bit of the operator's signature.
        var bytes = record.encoded
        bytes[bytes.count - 1] ^= 1
        #expect(throws: ByteCodingError.self) { try FoundingRecord(encoded: bytes) }
    }
}
