import Contracts
import Testing

@testable import PlannerCore

/// What becomes of apps whose devices are away, or no longer have them.
@Suite struct AbsenceTests {
    private func withVolume(_ name: String, _ recovery: RecoveryPolicy = .wait) -> AppSpecification {
        var app = AppSpecification.test(name)
        app.volumes = [VolumeMount(kind: .volume, source: "data", target: "/data")]
        app.recovery = recovery
        return app
    }

    /// Three nodes, and `store`, which runs on the first and has a volume there.
    private func chain(_ recovery: RecoveryPolicy = .wait, strategy: String = "balance") throws -> TestChain {
        var chain = TestChain(nodes: 3, parameters: SiteParameters(strategy: strategy))
        try chain.grow(reports: chain.reports())
        try chain.grow([.submit([SubmittedApp(specification: withVolume("store", recovery), on: chain.id(0))])])
        try chain.grow(reports: chain.reports())
        let running = Receipt(
            app: "store", incarnation: try #require(chain.state.apps["store"]).incarnation, outcome: .running)
        try chain.grow([.receipt(running)])
        #expect(chain.state.apps["store"]?.phase == .running)
        return chain
    }

    private func lose(_ node: Int, _ chain: inout TestChain) throws {
        for _ in 0..<40 where chain.state.nodes[chain.id(node)]?.absent == false {
            try chain.grow(reports: chain.reports(silent: [node]))
        }
        #expect(chain.state.nodes[chain.id(node)]?.absent == true)
    }

    @Test(arguments: ["balance", "paper"]) func anAppWaitsForTheDeviceThatHasItsVolumes(_ strategy: String) throws {
        var chain = try chain(strategy: strategy)
        let before = try #require(chain.state.apps["store"])
        try lose(0, &chain)
        for _ in 0..<100 {
            try chain.grow(reports: chain.reports(silent: [0]))
            let app = try #require(chain.state.apps["store"])
            #expect(app.phase == .pending && app.isWaiting && app.node == chain.id(0))
            #expect(app.incarnation == before.incarnation && app.reason == "waits for pi1, which has its volumes")
            #expect(chain.state.queue == [])
        }
        // It may go on there meanwhile, and is expected back as it was.
        let placed = try #require(chain.state.placement(for: chain.id(0)).apps.first)
        #expect(placed.node == chain.id(0) && placed.incarnation == before.incarnation && placed.running)
        #expect(try SiteState(snapshot: chain.state.snapshot, genesis: chain.genesis) == chain.state)
        try chain.grow(reports: chain.reports())
        let back = try #require(chain.state.apps["store"])
        #expect(back.phase == .running && back.node == before.node && back.incarnation == before.incarnation)
        #expect(back.reason == "" && back.seenAt == chain.state.time)
    }

    /// A device that is back may bring a transaction before its first report.
    @Test func whoeverSaysAnythingIsBackWithItsApps() throws {
        var chain = try chain()
        let before = try #require(chain.state.apps["store"])
        try lose(0, &chain)
        try chain.grow([.submit([SubmittedApp(specification: .test("other"))])], by: 0)
        let back = try #require(chain.state.apps["store"])
        #expect(chain.state.nodes[chain.id(0)]?.absent == false)
        #expect(back.phase == .running && back.node == before.node && back.incarnation == before.incarnation)
    }

    @Test func aFreshStartIsMadeElsewhere() throws {
        var chain = try chain(.fresh)
        try lose(0, &chain)
        try chain.grow(reports: chain.reports(silent: [0]))
        let app = try #require(chain.state.apps["store"])
        #expect(app.phase == .placed && app.node != chain.id(0) && app.home == nil)
    }

    /// Nothing is in its volumes yet.
    @Test func anAppThatNeverRanWaitsForNobody() throws {
        var chain = TestChain(nodes: 3)
        try chain.grow(reports: chain.reports())
        try chain.grow([.submit([SubmittedApp(specification: withVolume("store"), on: chain.id(0))])])
        try chain.grow(reports: chain.reports())
        #expect(chain.state.apps["store"]?.node == chain.id(0))
        try lose(0, &chain)
        try chain.grow(reports: chain.reports(silent: [0]))
        #expect(chain.state.apps["store"]?.node.map { $0 != chain.id(0) } == true)
    }

    @Test(arguments: ["balance", "paper"]) func noStrategyPlacesAnAppAwayFromItsVolumes(_ strategy: String) throws {
        var chain = try chain(strategy: strategy)
        // In the queue, with its volumes on the first node, which is full or away.
        chain.base[0] = 990_000
        try chain.grow(reports: chain.reports())
        let time = chain.state.time
        chain.state.apps["store"]?.requeue("a test", at: time)
        chain.state.queue.append("store")
        let app = try #require(chain.state.apps["store"])
        #expect(chain.state.candidates(for: app) == [chain.id(0)])
        #expect(chain.state.placementObstacle(to: app, on: chain.id(1)) == .volumes(on: "pi1"))
        #expect(chain.state.whyNowhere(app) == nil)
        let strategy = try #require(Strategies.of(chain.state.parameters))
        #expect(strategy.plan(for: chain.state).assignments == [Assignment(app: "store", node: chain.id(0))])
        chain.state.nodes[chain.id(0)]?.absent = true
        #expect(strategy.plan(for: chain.state).assignments == [])
        #expect(chain.state.whyNowhere(app) == "waits for pi1, which has its volumes")
        chain.state.nodes[chain.id(0)]?.absent = false
        var bound = AppRecord(specification: withVolume("bound"), on: nil, since: 0)
        bound.home = chain.id(2)
        #expect(chain.state.candidates(for: bound) == [chain.id(2)])
    }

    /// A start that fails where the volumes are is neither tried elsewhere nor given up.
    @Test func anAppIsTriedAgainWhereItsVolumesAre() throws {
        var chain = try chain()
        let time = chain.state.time
        chain.state.apps["store"]?.requeue("a test", at: time)
        chain.state.queue.append("store")
        for _ in 0..<3 {
            for _ in 0..<70 where chain.state.apps["store"]?.phase == .pending {
                try chain.grow(reports: chain.reports())
            }
            let app = try #require(chain.state.apps["store"])
            #expect(app.phase == .placed && app.node == chain.id(0))
            let failed = Receipt(app: "store", incarnation: app.incarnation, outcome: .failed, reason: "no")
            try chain.grow([.receipt(failed)])
            #expect(chain.state.apps["store"]?.phase == .pending)
        }
    }

    // MARK: Reports that contradict the chain

    /// Reports of all nodes in which nobody has `counter`.
    private func reportsWithout(_ chain: inout TestChain, silent: Int? = nil) -> [SignedMessage] {
        var messages: [SignedMessage] = []
        for index in chain.keys.indices where index != silent { messages.append(chain.report(by: index)) }
        return messages
    }

    private func counting() throws -> TestChain {
        var chain = TestChain(nodes: 3)
        try chain.grow(reports: chain.reports())
        try chain.run("counter", on: 0)
        return chain
    }

    @Test func anAppThatItsNodeNoLongerReportsIsPlacedAnew() throws {
        var chain = try counting()
        try chain.grow(reports: chain.reports())
        let seen = try #require(chain.state.apps["counter"]?.seenAt)
        #expect(seen == chain.state.time)
        while chain.state.time - seen < SiteState.missingAfter {
            #expect(chain.state.apps["counter"]?.phase == .running)
            try chain.grow(reports: reportsWithout(&chain))
        }
        let app = try #require(chain.state.apps["counter"])
        #expect(app.phase == .pending && app.reason == "pi1 no longer reports it" && chain.state.queue == ["counter"])
        try chain.grow(reports: reportsWithout(&chain))
        #expect(try #require(chain.state.apps["counter"]).incarnation > 1)
    }

    @Test func oneReportOfTheAppIsEnough() throws {
        var chain = try counting()
        for number in 1...200 {
            try chain.grow(reports: number % 50 == 0 ? chain.reports() : reportsWithout(&chain))
            #expect(chain.state.apps["counter"]?.phase == .running && chain.state.apps["counter"]?.incarnation == 1)
        }
    }

    /// A silent node's reports lack nothing, and after a silence it gets the time to start what it has.
    @Test func silenceIsNoWordThatAnAppIsGone() throws {
        var chain = TestChain(nodes: 3, parameters: SiteParameters(absentAfter: 600_000))
        try chain.grow(reports: chain.reports())
        try chain.run("counter", on: 0)
        for _ in 0..<120 { try chain.grow(reports: reportsWithout(&chain, silent: 0)) }
        #expect(chain.state.apps["counter"]?.phase == .running)
        for _ in 0..<59 { try chain.grow(reports: reportsWithout(&chain)) }
        #expect(chain.state.apps["counter"]?.phase == .running)
        for _ in 0..<3 { try chain.grow(reports: reportsWithout(&chain)) }
        #expect(chain.state.apps["counter"]?.phase != .running)
    }

    @Test func whatIsPlacedOrMovesIsNotMissing() throws {
        var chain = TestChain(nodes: 3, parameters: SiteParameters(moveDeadline: 300_000))
        try chain.grow(reports: chain.reports())
        try chain.run("counter", on: 0)
        try chain.grow([.submit([SubmittedApp(specification: .test("slow"), on: chain.id(1))])])
        try chain.grow()
        let (height, time, target) = (chain.state.height, chain.state.time, chain.id(2))
        chain.state.apps["counter"]?.phase = .moving
        chain.state.apps["counter"]?.move = RunningMove(
            to: target, incarnation: 50, height: height, deadline: time + 300_000)
        for _ in 0..<100 { try chain.grow(reports: reportsWithout(&chain)) }
        #expect(chain.state.apps["counter"]?.phase == .moving)
        #expect(chain.state.apps["slow"]?.phase == .placed)
        // Its time begins when the move has ended.
        while chain.state.apps["counter"]?.phase == .moving { try chain.grow(reports: reportsWithout(&chain)) }
        #expect(chain.state.apps["counter"]?.phase == .running)
        #expect(chain.state.apps["counter"]?.seenAt == chain.state.time)
    }

    /// The highest incarnation is the app, and of that one the copy of the chain's assignee.
    @Test func ofSeveralCopiesTheAssigneesCounts() throws {
        var chain = try counting()
        try lose(0, &chain)
        try chain.grow(reports: reportsWithout(&chain, silent: 0))
        let placed = try #require(chain.state.apps["counter"])
        let holder = try #require(chain.keys.firstIndex { $0.nodeID == placed.node })
        try chain.grow(
            [.receipt(Receipt(app: "counter", incarnation: placed.incarnation, outcome: .running))], by: holder)
        let before = try #require(chain.state.apps["counter"])
        #expect(!before.isHeld(by: chain.id(0), as: 1) && !before.isHeld(by: chain.id(0), as: before.incarnation))
        #expect(
            !before.isHeld(by: chain.id(holder), as: 1) && before.isHeld(by: chain.id(holder), as: before.incarnation))
        // The old copy in its old incarnation, and in the new one: both say nothing of the app.
        let newest = chain.report(by: 0, apps: ["counter": 900])
        var old = chain
        old.state.apps["counter"]?.incarnation = 1
        let superseded = old.report(by: 0, apps: ["counter": 900])
        for message in [newest, superseded] {
            var other = chain
            try other.grow(reports: [message])
            #expect(other.state.apps["counter"] == before)
        }
        try chain.grow(reports: [chain.report(by: holder, apps: ["counter": 300])])
        #expect(chain.state.apps["counter"]?.demand?.cpu == 300)
        #expect(chain.state.apps["counter"]?.seenAt == chain.state.time)
    }

    // MARK: In touch

    @Test func aBlockWithAnOwnReportKeepsInTouch() {
        var touch = Touch()
        touch.committed(7, absentAfter: 5_000)
        #expect(touch.until == nil)
        touch.reported(8, age: 400, at: 10_000)
        touch.reported(9, age: 400, at: 11_000)
        touch.committed(8, absentAfter: 5_000)
        #expect(touch.until == 14_000)
        // A block without a newer report says nothing new, however late it comes.
        touch.committed(8, absentAfter: 5_000)
        #expect(touch.until == 14_000)
        touch.committed(9, absentAfter: 5_000)
        #expect(touch.until == 15_000)
        // This one was made long before it was heard here.
        touch.reported(10, age: 3_500, at: 16_000)
        touch.committed(10, absentAfter: 5_000)
        #expect(touch.until == 17_000)
        // A clock that was set back makes no report younger than now, one that was set on older.
        touch.reported(11, age: .min, at: 18_000)
        touch.committed(11, absentAfter: 5_000)
        #expect(touch.until == 22_000)
    }

    /// Whatever happens, a node that has just been in touch is not absent for as long as it was told.
    @Test func nobodyIsAbsentWhileInTouch() throws {
        var chain = TestChain(nodes: 3, parameters: SiteParameters(absentAfter: 6_000))
        try chain.grow(reports: chain.reports())
        try chain.grow(reports: chain.reports())
        var touch = Touch()
        touch.reported(1, age: 0, at: 0)
        touch.committed(1, absentAfter: 6_000)
        var real: Int64 = 0
        while chain.state.nodes[chain.id(0)]?.absent == false {
            let elapsed: Int64 = 1_000
            let time = BlockTime.choose(after: chain.state, wall: .max / 4, elapsed: elapsed)
            real += elapsed
            try chain.grow(reports: chain.reports(silent: [0]), after: time - chain.state.time)
        }
        let until = try #require(touch.until)
        #expect(real > until)
    }

    /// The target of a move was cut off after it had restored the app. Its receipt is in a block before its report is.
    @Test func whoSendsAReceiptIsThere() throws {
        var chain = TestChain(nodes: 3, parameters: SiteParameters(moveDeadline: 300_000))
        try chain.grow(reports: chain.reports())
        try chain.run("counter", on: 0)
        let (height, time, target) = (chain.state.height, chain.state.time, chain.id(2))
        chain.state.apps["counter"]?.phase = .moving
        chain.state.apps["counter"]?.move = RunningMove(
            to: target, incarnation: 50, height: height, deadline: time + 300_000)
        for _ in 0..<6 { try chain.grow(reports: chain.reports(silent: [2]), after: 3_000) }
        #expect(chain.state.nodes[target]?.absent == true && chain.state.apps["counter"]?.phase == .moving)
        let arrived = Receipt(app: "counter", incarnation: 50, outcome: .running)
        try chain.grow([.receipt(arrived)], by: 2, reports: chain.reports(silent: [2]))
        #expect(chain.state.nodes[target]?.absent == false)
        #expect(chain.state.apps["counter"]?.phase == .running && chain.state.apps["counter"]?.node == target)
    }
}
