import Contracts
import Testing

@testable import MonitorCore

@Suite struct MonitorMachineTests {
    /// A container after `cpu` ns of processor time at `milliseconds`.
    private func reading(
        _ id: String = "c1", app: String? = "web", at milliseconds: Int64, cpu: UInt64? = nil, memory: UInt64? = nil,
        disk: UInt64? = nil, state: String = "running", labels: [String: String] = [:], created: Int64 = 1
    ) -> ContainerReading {
        let moment = milliseconds * 1_000_000
        var all = labels
        all["poise.app"] = app
        return ContainerReading(
            id: id, name: "/\(id)", created: created, state: state, labels: all,
            counters: Counters(
                at: Instant(engineNanoseconds: moment, askedNanoseconds: moment, answeredNanoseconds: moment),
                cpuNanoseconds: cpu, memoryBytes: memory, diskBytes: disk))
    }

    private func sample(_ milliseconds: Int64, _ containers: [ContainerReading]) -> Sample {
        Sample(now: milliseconds, timestamp: milliseconds, engine: World.engine, containers: containers)
    }

    @Test("Half a core of four is 125,000 ppm")
    func cpu() throws {
        let machine = Bench()
        let first = try #require(machine.matrix(sample(1_000, [reading(at: 1_000, cpu: 7)])))
        #expect(first.apps.map(\.score.cpu) == [nil])
        let second = try #require(machine.matrix(sample(1_500, [reading(at: 1_500, cpu: 250_000_007)])))
        #expect(second.apps == [AppScore(app: "web", incarnation: 0, score: Score(cpu: 125_000))])
        #expect(second.device == Score(cpu: 125_000))
        #expect(second.capacity.cpuMillicores == 4_000)
    }

    @Test("What the owner says of the device is reported with what the engine says")
    func ownersWords() throws {
        let said = StatedFacts(labels: ["floor": "1"], devices: ["/dev/i2c-1"])
        let machine = Bench(MonitorMachine(MonitorParameters(interval: 500, capacity: World.stated, facts: said)))
        let facts = try #require(machine.matrix(sample(1_000, []))).facts
        #expect(facts.labels == said.labels && facts.devices == said.devices)
        #expect(facts.architecture == World.engine.architecture)
    }

    @Test("Of a restarted container the next sample has no rate, not even of a counter that is higher; then it has")
    func reset() throws {
        let machine = Bench()
        func take(_ at: Int64, _ cpu: UInt64, _ disk: UInt64) -> (score: Score?, effects: [MonitorEffect]) {
            let effects = machine.step(.sampled(sample(at, [reading(at: at, cpu: cpu, disk: disk)])))
            return (machine.newest?.apps.first?.score, effects)
        }
        _ = take(1_000, 900, 10)
        #expect(take(1_500, 1_000, 20).score?.cpu == 0)
        let restarted = take(2_000, 5, 30)
        #expect(restarted.score == Score())
        #expect(restarted.effects.contains(.countFigures(.reset, 1)))
        #expect(take(2_500, 1_000_000_005, 30).score?.cpu == 500_000)
    }

    @Test("More than the device has is no reading")
    func implausible() throws {
        let machine = Bench()
        _ = machine.step(.sampled(sample(1_000, [reading(at: 1_000, cpu: 1)])))
        let more = reading(at: 2_000, cpu: 60_000_000_000, memory: UInt64(World.memory) + 1_000_000)
        let effects = machine.step(.sampled(sample(2_000, [more])))
        #expect(machine.newest?.apps.first?.score == Score())
        #expect(effects.contains(.countFigures(.implausible, 2)))
        // A little more is the engine's counting in lumps.
        _ = machine.step(.sampled(sample(3_000, [reading(at: 3_000, cpu: 64_100_000_000)])))
        #expect(machine.newest?.apps.first?.score.cpu == 1_000_000)
    }

    @Test("A mean over a long gap is no news")
    func gap() throws {
        let machine = Bench()
        _ = machine.step(.sampled(sample(1_000, [reading(at: 1_000, cpu: 1)])))
        _ = machine.step(.sampled(sample(9_000, [reading(at: 9_000, cpu: 2)])))
        #expect(machine.newest?.apps.first?.score.cpu == nil)
        _ = machine.step(.sampled(sample(9_500, [reading(at: 9_500, cpu: 2)])))
        #expect(machine.newest?.apps.first?.score.cpu == 0)
    }

    @Test("A paused container is no running app, and holds the device's memory")
    func paused() throws {
        let machine = Bench()
        let half = UInt64(World.memory / 2)
        let matrix = try #require(
            machine.matrix(sample(1_000, [reading(at: 1_000, memory: half, state: "paused")])))
        #expect(matrix.apps.isEmpty)
        #expect(matrix.device.ram == 500_000)
        let gone = try #require(
            machine.matrix(sample(1_500, [reading(at: 1_500, memory: half, state: "exited")])))
        #expect(gone.device == Score(cpu: 0, ram: 0, disk: 0, network: 0))
    }

    @Test("Of two running copies the highest incarnation is the app; both are the device's load")
    func duplicate() throws {
        let machine = Bench()
        let tenth = UInt64(World.memory / 10)
        let old = reading("b", at: 1_000, memory: 2 * tenth, labels: ["poise.incarnation": "9"], created: 2)
        let new = reading("a", at: 1_000, memory: tenth, labels: ["poise.incarnation": "10"])
        let effects = machine.step(.sampled(sample(1_000, [old, new])))
        let matrix = try #require(machine.newest)
        #expect(matrix.apps.map(\.incarnation) == [10])
        #expect(matrix.apps.map(\.score.ram) == [99_999])
        #expect(matrix.device.ram == 99_999 + 199_999)
        #expect(effects.contains(.countLabel(.duplicate)))
        #expect(machine.checks(now: 1_000)["labels"]?.status == .warn)
    }

    @Test(
        "Bad labels are refused each for its reason",
        arguments: [
            (["poise.app": "Web"], LabelFault.app), (["poise.app": ""], .app),
            (["poise.app": String(repeating: "a", count: 64)], .app),
            (["poise.app": "a", "poise.incarnation": "-1"], .incarnation),
            (["poise.app": "a", "poise.incarnation": "18446744073709551616"], .incarnation),
            (["poise.app": "a", "poise.incarnation": ""], .incarnation),
            (["poise.service": "../x"], .service), (["poise.app": "a", "poise.service": "a"], .contradiction),
        ])
    func badLabels(labels: [String: String], fault: LabelFault) throws {
        let machine = Bench()
        var bad = reading("bad", app: nil, at: 1_000, memory: 1 << 30)
        bad.labels = labels
        let good = reading("good", app: "good", at: 1_000, memory: 1 << 30)
        let effects = machine.step(.sampled(sample(1_000, [bad, good])))
        #expect(effects.filter { $0 == .countLabel(fault) }.count == 1)
        let warnings = effects.filter { if case .log(.warning, _) = $0 { true } else { false } }
        #expect(warnings.count == 1)
        #expect(machine.newest?.apps.map(\.app) == ["good"])
        #expect(machine.newest?.device.ram == 500_000)
        // Said once, and still shown by health.
        let again = machine.step(.sampled(sample(1_500, [bad, good])))
        #expect(!again.contains(.countLabel(fault)))
        #expect(machine.checks(now: 1_500)["labels"]?.status == .warn)
        // Gone and back is news again.
        _ = machine.step(.sampled(sample(2_000, [good])))
        #expect(machine.checks(now: 2_000)["labels"]?.status == .pass)
        #expect(machine.step(.sampled(sample(2_500, [bad, good]))).contains(.countLabel(fault)))
    }

    @Test("A label can't write lines of its own into the log")
    func injection() throws {
        let machine = Bench()
        let bad = reading(app: "x\nERROR everything is lost" + String(repeating: "y", count: 5_000), at: 1_000)
        let effects = machine.step(.sampled(sample(1_000, [bad])))
        for case .log(_, let line) in effects {
            #expect(!line.contains("\n"))
            #expect(line.count < 400)
        }
    }

    @Test("More apps than the matrix holds are counted and left out, the last by name")
    func surplus() throws {
        let machine = Bench()
        let many = (0..<LoadMatrix.appLimit + 2).map { index in
            reading("c\(index)", app: "a\(10_000 + index)", at: 1_000)
        }
        let effects = machine.step(.sampled(sample(1_000, many)))
        #expect(effects.filter { $0 == .countLabel(.surplus) }.count == 2)
        #expect(machine.newest?.apps.count == LoadMatrix.appLimit)
        #expect(machine.newest?.apps.last?.app == "a\(10_000 + LoadMatrix.appLimit - 1)")
    }

    @Test("Samples keep to their series; a late one leaves out what it missed")
    func series() throws {
        let machine = Bench()
        #expect(machine.step(.due(now: 1_000)) == [.sample(describingEngine: true)])
        #expect(machine.step(.sampled(sample(1_020, []))).last == .arm(afterMilliseconds: 480))
        #expect(machine.step(.due(now: 1_500)) == [.sample(describingEngine: false)])
        #expect(machine.step(.sampled(sample(2_700, []))).last == .arm(afterMilliseconds: 300))
        #expect(machine.step(.due(now: 62_700)) == [.sample(describingEngine: true)])
    }

    @Test("An engine that fails is asked ever more seldom, and nothing stale is given out")
    func failure() throws {
        let machine = Bench()
        #expect(machine.checks(now: 0)["engine"]?.status == .fail)
        _ = machine.step(.due(now: 1_000))
        _ = machine.step(.sampled(sample(1_000, [])))
        #expect(machine.checks(now: 1_200)["engine"]?.status == .pass)
        var pauses: [Int64] = []
        var logs = 0
        for _ in 0..<6 {
            for effect in machine.step(.failed(.unreachable, reason: "refused")) {
                if case .arm(let pause) = effect { pauses.append(pause) }
                if case .log = effect { logs += 1 }
            }
            #expect(machine.newest == nil)
        }
        #expect(pauses == [500, 1_000, 2_000, 4_000, 5_000, 5_000])
        #expect(logs == 1)
        #expect(machine.checks(now: 2_000)["engine"]?.status == .warn)
        #expect(machine.checks(now: 7_000)["engine"]?.status == .fail)
        #expect(machine.checks(now: 7_000)["engine"]?.output?.contains("refused") == true)
        // Whoever answers next may be another engine.
        #expect(machine.step(.due(now: 9_000)) == [.sample(describingEngine: true)])
        let back = machine.step(.sampled(sample(9_010, [])))
        #expect(back.contains(.log(.info, "the engine can be read again")))
        #expect(back.last == .arm(afterMilliseconds: 490))
        #expect(machine.checks(now: 9_010)["engine"]?.status == .pass)
    }

    @Test("A total that nobody knows is a failure that names the setting; the owner's word stands above the engine's")
    func totals() throws {
        var unknown = World.engine
        unknown.memoryBytes = 0
        var machine = Bench()
        var first = sample(1_000, [])
        first.engine = unknown
        let effects = machine.step(.sampled(first))
        #expect(effects.contains(.withdraw))
        #expect(machine.checks(now: 1_000)["engine"]?.output?.contains("ram-bytes") == true)
        var stated = World.stated
        stated.ramBytes = 1 << 30
        stated.cpuMillicores = 500
        machine = Bench(MonitorMachine(MonitorParameters(interval: 500, capacity: stated)))
        first.containers = [reading(at: 1_000, cpu: 1)]
        _ = machine.step(.sampled(first))
        #expect(machine.newest?.capacity.ramBytes == 1 << 30)
        // A limit that isn't kept shows as more than all.
        _ = machine.step(.sampled(sample(2_000, [reading(at: 2_000, cpu: 1_000_000_001)])))
        #expect(machine.newest?.apps.first?.score.cpu == 2_000_000)
    }

    @Test("Facts fit the wire whatever the engine says")
    func facts() throws {
        var engine = World.engine
        engine.kernel = String(repeating: "ä", count: 100_000)
        engine.architecture = "e\u{301}" + String(repeating: "🏳️‍🌈", count: 40)
        let machine = Bench()
        var first = sample(1_000, [])
        first.engine = engine
        let matrix = try #require(machine.matrix(first))
        #expect(matrix.facts.kernel == String(repeating: "ä", count: 64))
        let decoded = try LoadMatrix(encoded: matrix.encoded)
        #expect(decoded == matrix)
    }

    @Test("Memory is what docker stats shows: without inactive page cache, if that is less")
    func memory() {
        let at = Instant(engineNanoseconds: nil, askedNanoseconds: 0, answeredNanoseconds: 0)
        #expect(Counters(at: at, memoryBytes: 100, inactiveFileBytes: 30).memoryInUse == 70)
        #expect(Counters(at: at, memoryBytes: 100, inactiveFileBytes: 100).memoryInUse == 100)
        #expect(Counters(at: at, memoryBytes: 100).memoryInUse == 100)
        #expect(Counters(at: at, inactiveFileBytes: 100).memoryInUse == nil)
    }
}
