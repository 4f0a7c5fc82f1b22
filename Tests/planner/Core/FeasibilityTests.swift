import Contracts
import Machine
import Testing

@testable import PlannerCore

@Suite struct FeasibilityTests {
    private func facts(_ labels: [String: String] = [:], devices: [String] = []) -> Facts {
        var facts = Facts.test
        (facts.labels, facts.devices) = (labels, devices)
        return facts
    }

    private func obstacle(_ constraints: [String], devices: [String] = [], _ facts: Facts) throws -> String? {
        var app = AppSpecification.test("app")
        app.constraints = try constraints.map { text throws(PlacementConstraint.Fault) in
            try PlacementConstraint(parsing: text)
        }
        app.devices = devices.map { DeviceMapping(source: $0) }
        return Feasibility.obstacle(to: app, on: "attic", facts)?.description
    }

    @Test func anObstacleIsNamed() throws {
        let here = facts(["floor": "1", "camera": ""], devices: ["/dev/i2c-1"])
        #expect(try obstacle([], here) == nil)
        #expect(try obstacle(["node.hostname==attic", "node.labels.floor==1", "node.labels.camera=="], here) == nil)
        #expect(try obstacle(["node.hostname==cellar"], here) == "its name is attic, not cellar")
        #expect(try obstacle(["node.hostname!=attic"], here) == "its name is attic")
        #expect(try obstacle(["node.platform.arch==x86_64"], here) == "it is aarch64, not x86_64")
        #expect(try obstacle(["node.platform.arch!=aarch64"], here) == "it is aarch64")
        #expect(try obstacle(["node.labels.camera!=", "node.labels.floor==1"], here) == "its label camera is empty")
        #expect(try obstacle(["node.labels.floor==1", "node.labels.floor==2"], here) == "its label floor is 1, not 2")
        // Without the label nothing is equal, and every other value is as good as none.
        #expect(try obstacle(["node.labels.roof==1"], here) == "it has no label roof")
        #expect(try obstacle(["node.labels.roof!=1", "node.labels.roof!="], here) == nil)
        #expect(try obstacle([], devices: ["/dev/i2c-1"], here) == nil)
        #expect(try obstacle([], devices: ["/dev/i2c-1", "/dev/i2c-10"], here) == "it doesn't offer /dev/i2c-10")
        let long = facts(["floor": String(repeating: "x", count: 200) + "\n"])
        #expect((try obstacle(["node.labels.floor==1"], long)?.count ?? 0) < 80)
    }

    @Test func bothEndsOfAMoveMustBeAlike() {
        let all = [
            Facts.test, changed { $0.architecture = "x86_64" }, changed { $0.pageSize = 16_384 },
            changed { $0.storageDriver = "btrfs" }, changed { $0.checkpoints = false },
        ]
        for (i, a) in all.enumerated() {
            for (j, b) in all.enumerated() {
                #expect(Feasibility.canRestore(a, b) == (i == j && a.checkpoints), "\(a) \(b)")
            }
        }
        #expect(Feasibility.canRestore(.test, changed { $0.labels = ["a": "b"] }))
    }

    private func changed(_ change: (inout Facts) -> Void) -> Facts {
        var facts = Facts.test
        change(&facts)
        return facts
    }

    @Test func aWishThatCannotBeIsRefused() throws {
        var chain = TestChain(nodes: 2)
        var app = AppSpecification.test("app")
        app.constraints = [PlacementConstraint(.hostname, "pi2")]
        // Before its first report nothing is known of a node.
        try chain.grow([.submit([SubmittedApp(specification: .test("early"), on: chain.id(0))])])
        try chain.grow(reports: chain.reports())
        let refused = SubmittedApp(specification: app, on: chain.id(0))
        let taken = SubmittedApp(specification: app, on: chain.id(1))
        #expect(throws: Refusal(.nodeUnfit, "pi1 may not run app: its name is pi1, not pi2")) {
            try chain.state.check([refused])
        }
        try chain.state.check([taken])
        // A builder leaves it out.
        #expect(try chain.grow([.submit([refused])]).body.transactions.isEmpty)
        #expect(try !chain.grow([.submit([taken])]).body.transactions.isEmpty)
    }

    /// The only node that may run it can't: that is nowhere.
    @Test func anAppThatItsOnlyNodeCannotStartFails() throws {
        var chain = TestChain(nodes: 3)
        try chain.grow(reports: chain.reports())
        for (name, constraints) in [("pinned", [PlacementConstraint(.hostname, "pi2")]), ("free", [])] {
            var app = AppSpecification.test(name)
            app.constraints = constraints
            try chain.grow([.submit([SubmittedApp(specification: app, on: chain.id(1))])])
        }
        try chain.grow(reports: chain.reports())
        for name in ["pinned", "free"] {
            let incarnation = try #require(chain.state.apps[name]?.incarnation)
            try chain.grow(
                [.receipt(Receipt(app: name, incarnation: incarnation, outcome: .failed, reason: "no"))], by: 1)
        }
        #expect(chain.state.apps["pinned"]?.phase == .failed)
        #expect(chain.state.apps["free"]?.phase != .failed)
    }

    @Test func nowhereIsExplained() throws {
        var chain = TestChain(nodes: 7)
        var app = AppSpecification.test("app")
        app.devices = [DeviceMapping(source: "/dev/i2c-1")]
        #expect(chain.state.whyNowhere(app) == nil)
        chain.facts[1] = changed { $0.labels = ["floor": "1"] }
        try chain.grow(reports: [chain.report(by: 0), chain.report(by: 1)])
        #expect(
            chain.state.whyNowhere(app)
                == "no present device may run it: pi1: it doesn't offer /dev/i2c-1; pi2: it doesn't offer /dev/i2c-1")
        #expect(chain.state.whyNowhere(.test("free")) == nil)
        try chain.grow(reports: chain.reports())
        #expect(chain.state.whyNowhere(app)?.hasSuffix("pi4: it doesn't offer /dev/i2c-1; and 3 more") == true)
        chain.facts[6] = changed { $0.devices = ["/dev/i2c-1"] }
        try chain.grow(reports: chain.reports())
        #expect(chain.state.whyNowhere(app) == nil)
    }

    @Test func aPendingAppSaysThatItHasNowhereToGo() {
        var site = SimulatedSite(nodes: 3, seed: 11)
        site.run(until: 15_000)
        var app = AppSpecification.test("lost")
        app.constraints = [PlacementConstraint(.label("floor"), "9")]
        site.submit([Submission(specification: app)], at: 0)
        let refused = site.submit([Submission(specification: app, on: "pi2")], at: 1)
        #expect(site.nodes[1].answers[refused]??.code == "node-unfit")
        #expect(site.nodes[1].answers[refused]??.detail == "pi2 may not run lost: it has no label floor")
        site.run(until: site.now + 10_000)
        let status = site.nodes[0].machine?.appStatuses.first
        #expect(status?.phase == .pending)
        #expect(
            status?.reason == "no present device may run it: pi1: it has no label floor; pi2: it has no label floor; "
                + "pi3: it has no label floor")
        #expect(site.violations == [])
    }
}
