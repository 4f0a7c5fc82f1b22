import Contracts
import Machine
import Testing

@testable import PlannerCore

/// An app's life in the chain.
@Suite struct FoldTests {
    /// Four nodes that have reported, with `counter` running on the first.
    func chain() throws -> TestChain {
        var chain = TestChain(nodes: 4)
        try chain.grow(reports: chain.reports())
        try chain.run("counter", on: 0)
        return chain
    }

    /// `counter` and `redis` on the first node, and the larger one on its way from there.
    func moving() throws -> (chain: TestChain, move: RunningMove) {
        var chain = try chain()
        try chain.run("redis", on: 0)
        try chain.grow(reports: chain.reports(demand: ["counter": 800, "redis": 400]))
        try chain.grow(reports: chain.reports(demand: ["counter": 800, "redis": 400]))
        return (chain, try #require(chain.state.apps["counter"]?.move))
    }

    @Test func aSubmittedAppIsPlacedThenRuns() throws {
        var chain = TestChain(nodes: 2)
        try chain.grow(reports: chain.reports())
        try chain.grow([.submit([SubmittedApp(specification: .test("counter"), on: chain.id(1))])])
        #expect(chain.state.apps["counter"]?.phase == .pending)
        #expect(chain.state.queue == ["counter"])
        try chain.grow()
        #expect(chain.state.apps["counter"]?.phase == .placed)
        #expect(chain.state.apps["counter"]?.node == chain.id(1))
        #expect(chain.state.queue == [])
        try chain.grow([.receipt(Receipt(app: "counter", incarnation: 1, outcome: .running))], by: 1)
        #expect(chain.state.apps["counter"]?.phase == .running)
        try chain.grow([.receipt(Receipt(app: "counter", incarnation: 1, outcome: .completed))], by: 1)
        #expect(chain.state.apps["counter"]?.phase == .completed)
        #expect(chain.state.placement(for: chain.id(0)).apps == [])
    }

    @Test func submissionsAreAllOrNone() throws {
        var chain = try chain()
        let apps = ["a", "counter", "b"].map { SubmittedApp(specification: .test($0)) }
        try chain.grow([.submit(apps)])
        #expect(chain.state.apps.names == ["counter"])
    }

    @Test func aMoveEndsAtItsTarget() throws {
        var (chain, move) = try moving()
        #expect(chain.state.apps["counter"]?.phase == .moving)
        #expect(chain.state.apps["counter"]?.node == chain.id(0))
        let target = try #require(chain.keys.firstIndex { $0.nodeID == move.to })
        let other = (1...3).first { $0 != target } ?? 0
        // Nobody else can say so, nor for another incarnation.
        try chain.grow([.receipt(Receipt(app: "counter", incarnation: move.incarnation, outcome: .running))], by: other)
        try chain.grow([.receipt(Receipt(app: "counter", incarnation: 1, outcome: .running))], by: target)
        #expect(chain.state.apps["counter"]?.phase == .moving)
        try chain.grow(
            [.receipt(Receipt(app: "counter", incarnation: move.incarnation, outcome: .running))], by: target)
        #expect(chain.state.apps["counter"]?.phase == .running)
        #expect(chain.state.apps["counter"]?.node == move.to)
        #expect(chain.state.apps["counter"]?.incarnation == move.incarnation)
        #expect(chain.state.apps["counter"]?.demand?.cpu == 800)
    }

    /// What a move has shown of its target's bandwidth counts, what somebody else says of it doesn't.
    @Test func movesShowBandwidth() throws {
        var (chain, move) = try moving()
        let target = try #require(chain.keys.firstIndex { $0.nodeID == move.to })
        func running(_ shipment: Shipment) -> Ask {
            .receipt(
                Receipt(app: "counter", incarnation: move.incarnation, outcome: .running, shipment: shipment))
        }
        let shipment = Shipment(bytes: 80_000_000, milliseconds: 4_000)
        try chain.grow([running(shipment)], by: (1...3).first { $0 != target } ?? 0)
        #expect(chain.state.nodes.values.allSatisfy { $0.received == nil })
        try chain.grow([running(shipment)], by: target)
        #expect(chain.state.nodes[move.to]?.measuredBandwidth == 20_000_000)
        #expect(chain.state.nodes.values.filter { $0.received != nil }.count == 1)
        // A small app that came slowly changes little.
        chain.state.nodes[move.to]?.take(Shipment(bytes: 1_000_000, milliseconds: 1_000))
        #expect(chain.state.nodes[move.to]?.measuredBandwidth == 15_777_777)
        #expect(try SiteState(snapshot: chain.state.snapshot, genesis: chain.genesis) == chain.state)
    }

    @Test func aRefusedMoveLeavesTheAppAndIsNotRepeatedAtOnce() throws {
        for byTarget in [true, false] {
            var (chain, move) = try moving()
            let sender = byTarget ? try #require(chain.keys.firstIndex { $0.nodeID == move.to }) : 0
            let before = try #require(chain.state.apps["counter"]?.incarnation)
            let refused = Receipt(app: "counter", incarnation: move.incarnation, outcome: .refused, reason: "no room")
            try chain.grow([.receipt(refused)], by: sender)
            let app = try #require(chain.state.apps["counter"])
            #expect(app.phase == .running && app.node == chain.id(0) && app.incarnation == before)
            #expect(app.reason == "no room")
            for _ in 0..<50 {
                try chain.grow(reports: chain.reports(demand: ["counter": 800, "redis": 400]))
                if let move = chain.state.apps["counter"]?.move { #expect(move.to != app.exclusions[0].node) }
            }
        }
    }

    @Test func aMoveEndsAtItsDeadline() throws {
        var (chain, move) = try moving()
        while chain.state.time < move.deadline { try chain.grow(reports: chain.reports()) }
        let app = try #require(chain.state.apps["counter"])
        #expect(app.node == chain.id(0) && app.incarnation < move.incarnation)
        #expect(app.move?.incarnation != move.incarnation)
        let late = Receipt(app: "counter", incarnation: move.incarnation, outcome: .running)
        let target = try #require(chain.keys.firstIndex { $0.nodeID == move.to })
        try chain.grow([.receipt(late)], by: target)
        #expect(chain.state.apps["counter"]?.node == chain.id(0))
    }

    @Test func anAppCanBeRemovedWhileItMoves() throws {
        var (chain, move) = try moving()
        try chain.grow([.remove(app: "counter")], by: 3)
        #expect(chain.state.apps["counter"] == nil)
        let target = try #require(chain.keys.firstIndex { $0.nodeID == move.to })
        try chain.grow(
            [.receipt(Receipt(app: "counter", incarnation: move.incarnation, outcome: .running))], by: target)
        #expect(chain.state.apps["counter"] == nil)
        // A new app of the same name is none of the old copies.
        try chain.grow([.submit([SubmittedApp(specification: .test("counter"))])])
        try chain.grow()
        #expect(try #require(chain.state.apps["counter"]?.incarnation) > move.incarnation)
    }

    @Test func aPlacementThatFailsGoesElsewhereAndAtLastNowhere() throws {
        var chain = TestChain(nodes: 3)
        try chain.grow(reports: chain.reports())
        try chain.grow([.submit([SubmittedApp(specification: .test("broken"), on: chain.id(1))])])
        var tried: Set<NodeID> = []
        for _ in 0..<3 {
            try chain.grow(reports: chain.reports())
            let app = try #require(chain.state.apps["broken"])
            let node = try #require(app.node)
            #expect(tried.insert(node).inserted)
            let index = try #require(chain.keys.firstIndex { $0.nodeID == node })
            let failed = Receipt(app: "broken", incarnation: app.incarnation, outcome: .failed, reason: "no such image")
            try chain.grow([.receipt(failed)], by: index)
        }
        #expect(chain.state.apps["broken"]?.phase == .failed)
        #expect(chain.state.apps["broken"]?.reason == "no such image")
        #expect(chain.state.queue == [])
    }

    @Test func appsOfASilentNodeAreplacedElsewhere() throws {
        var chain = try chain()
        let since = chain.state.time
        while chain.state.nodes[chain.id(0)]?.absent == false {
            try chain.grow(reports: chain.reports(silent: [0]))
            #expect(chain.state.time - since < 30_000)
        }
        #expect(chain.state.time - since > chain.state.parameters.absentAfter - 4_000)
        #expect(chain.state.apps["counter"]?.phase == .pending)
        try chain.grow(reports: chain.reports(silent: [0]))
        let app = try #require(chain.state.apps["counter"])
        #expect(app.node != chain.id(0) && app.phase == .placed && app.incarnation == 2)
        // It still counts as a member, and its next report ends the absence.
        #expect(chain.state.members.count == 4)
        try chain.grow(reports: chain.reports())
        #expect(chain.state.nodes[chain.id(0)]?.absent == false)
        #expect(chain.state.apps["counter"]?.node == app.node)
    }

    /// After a long interruption nobody is absent for want of a chance to report.
    @Test func timeCatchesUpWithoutAbsence() throws {
        var chain = try chain()
        for _ in 0..<40 {
            let time = BlockTime.choose(
                after: chain.state, wall: chain.state.time + 86_400_000, elapsed: 86_400_000)
            try chain.grow(reports: chain.reports(), after: time - chain.state.time)
            #expect(chain.state.nodes.values.allSatisfy { !$0.absent })
        }
    }

    /// Whatever the wall clock says, and however long there was no block: a move isn't cut short.
    @Test func timeNeverRunsMuchFasterThanTime() throws {
        var chain = try chain()
        let began = chain.state.time
        var real: Int64 = 0
        for seed in 0..<1_000 as Range<UInt64> {
            var random = SplitMix64(seed: seed)
            let elapsed = Int64(random.next(in: 0...12_000))
            real += elapsed
            chain.state.time = BlockTime.choose(
                after: chain.state, wall: began + Int64(random.next(in: -9_000_000...9_000_000)), elapsed: elapsed)
            #expect(chain.state.time - began <= real + real / 10 + Int64(seed) + 1, "seed \(seed)")
        }
    }

    @Test func anAppWithoutAnyPresentNodeWaits() throws {
        var chain = TestChain(nodes: 1)
        try chain.grow([.submit([SubmittedApp(specification: .test("counter"))])])
        try chain.grow()
        #expect(chain.state.apps["counter"]?.phase == .pending)
        try chain.grow(reports: chain.reports())
        try chain.grow()
        #expect(chain.state.apps["counter"]?.phase == .placed)
    }

    @Test func windowsRememberWhatTheyMust() {
        for seed in 0..<200 as Range<UInt64> {
            var random = SplitMix64(seed: seed)
            var window = ReplayWindow()
            var used: Set<UInt64> = []
            for _ in 0..<600 {
                let sequence = random.next(below: 2_000)
                if used.contains(sequence) { #expect(window.contains(sequence), "seed \(seed)") }
                window.insert(sequence)
                used.insert(sequence)
                #expect(window.used.count <= ReplayWindow.size, "seed \(seed)")
            }
        }
    }

    @Test func snapshotsHoldTheWholeState() throws {
        var (chain, _) = try moving()
        try chain.grow([.submit([SubmittedApp(specification: .test("queued"))])])
        let restored = try SiteState(snapshot: chain.state.snapshot, genesis: chain.genesis)
        #expect(restored == chain.state)
        #expect(restored.root == chain.state.root)
        var other = chain.genesis
        other.site = "another"
        #expect(throws: ByteCodingError.self) { try SiteState(snapshot: chain.state.snapshot, genesis: other) }
    }
}
