import Contracts
import Machine
import Testing

@testable import MonitorCore

/// Invariants over invented devices. A failure prints the seed.
@Suite struct MonitorSeedTests {
    static let seeds: ClosedRange<UInt64> = 1...1_000

    /// Runs each seed's world for some samples through a machine, which `check` sees after every one.
    private func everySeed(
        latency: Int = 30, missing: Int = 10,
        _ check: (_ seed: UInt64, _ sample: Sample, _ matrix: LoadMatrix, _ previous: LoadMatrix?) throws -> Void
    ) throws {
        for seed in Self.seeds {
            var world = World(seed: seed)
            let machine = Bench()
            var previous: LoadMatrix?
            for _ in 0..<world.random.next(in: 0...5) { world.bear() }
            for _ in 0..<12 {
                world.live(milliseconds: world.random.next(in: 100...1_500))
                let sample = world.sample(latency: latency, missing: missing)
                let matrix = try #require(machine.matrix(sample), "seed \(seed)")
                try check(seed, sample, matrix, previous)
                previous = matrix
            }
        }
    }

    @Test("No figure is negative or more than the device has; rows are sorted, unique, valid; the wire takes them")
    func bounds() throws {
        try everySeed { seed, _, matrix, _ in
            let isWithin = (matrix.apps + matrix.services).map(\.score).allSatisfy { score in
                let shares = [score.cpu, score.ram].compactMap { $0 }
                let rates = [score.disk, score.network].compactMap { $0 }
                return shares.allSatisfy((0...1_000_000).contains) && rates.allSatisfy((0...1_000_000_000).contains)
            }
            #expect(isWithin, "seed \(seed): \(matrix)")
            for rows in [matrix.apps, matrix.services] {
                #expect(zip(rows, rows.dropFirst()).allSatisfy { $0.app < $1.app }, "seed \(seed)")
                #expect(rows.allSatisfy { AppSpecification.isValid(name: $0.app) }, "seed \(seed)")
            }
            let decoded = try LoadMatrix(encoded: matrix.encoded)
            #expect(decoded == matrix, "seed \(seed)")
        }
    }

    @Test("The device is the sum of all its containers, and labels change nobody's figures")
    func sums() throws {
        for seed in Self.seeds {
            var world = World(seed: seed)
            let machine = Bench()
            let plain = Bench()
            for _ in 0..<12 {
                world.live(milliseconds: 500)
                let sample = world.sample(latency: 20, missing: 10)
                let matrix = try #require(machine.matrix(sample))
                // The same device, each container an app of its own, paused ones too.
                var renamed = sample
                for index in renamed.containers.indices {
                    let reading = renamed.containers[index]
                    renamed.containers[index].labels = ["poise.app": "a\(reading.id)"]
                    if reading.state == "paused" { renamed.containers[index].state = "running" }
                }
                let all = try #require(plain.matrix(renamed))
                #expect(matrix.device == all.device, "seed \(seed)")
                #expect(matrix.device == Census.sum(all.apps.map(\.score)), "seed \(seed)")
                let known = Set(all.apps.map(\.score))
                let areKnown = (matrix.apps + matrix.services).allSatisfy { known.contains($0.score) }
                #expect(areKnown, "seed \(seed)")
            }
        }
    }

    @Test("A figure is there exactly if it could be had")
    func absence() throws {
        for seed in Self.seeds {
            var world = World(seed: seed)
            let machine = Bench()
            // When each container's CPU was last known, in nanoseconds.
            var known: [String: (created: Int64, at: Int64)] = [:]
            var doubtful: Set<String> = []
            for _ in 0..<12 {
                world.live(milliseconds: world.random.next(in: 100...1_500))
                let sample = world.sample(missing: 25)
                let present = sample.containers.filter { ["running", "paused"].contains($0.state) }
                let readable = present.filter { $0.counters?.cpuNanoseconds != nil }
                let isReset = machine.step(.sampled(sample)).contains { effect in
                    if case .countFigures(let fault, _) = effect { fault != .unread } else { false }
                }
                let device = try #require(machine.newest).device
                let hasRate = readable.contains { reading in
                    guard let last = known[reading.id], last.created == reading.created else { return false }
                    return world.nanoseconds - last.at <= 5_000_000_000
                }
                // A reset takes away what could be had, now or, where CPU wasn't readable, next time.
                let isCertain = !isReset && !readable.contains { doubtful.contains($0.id) }
                if isCertain {
                    #expect((device.cpu != nil) == (hasRate || present.isEmpty), "seed \(seed)")
                }
                let hasMemory = present.contains { $0.counters?.memoryBytes != nil }
                #expect((device.ram != nil) == (hasMemory || present.isEmpty), "seed \(seed)")
                for (id, last) in known where !present.contains(where: { $0.id == id && $0.created == last.created }) {
                    known[id] = nil
                }
                for reading in readable { known[reading.id] = (reading.created, world.nanoseconds) }
                doubtful.subtract(readable.map(\.id))
                if isReset { doubtful.formUnion(present.map(\.id).filter { id in !readable.contains { $0.id == id } }) }
            }
        }
    }

    @Test("Steady containers are measured to a thousandth, however late answers come and however clocks are set")
    func truth() throws {
        for seed in Self.seeds {
            var world = World(seed: seed)
            let machine = Bench()
            world.bear()
            world.containers[0].labels = ["poise.app": "steady"]
            var container = world.containers[0]
            let stepped = world.chance(30)
            for index in 0..<6 {
                world.nanoseconds += 500_000_000
                container.cpu += container.cpuPerSecond / 2
                container.disk += container.diskPerSecond / 2
                container.network += container.networkPerSecond / 2
                world.containers = [container]
                if stepped { world.wallOffset += Int64(world.random.next(in: -9...9)) * 1_000_000_000 }
                let answer = world.sample(latency: 40)
                let matrix = try #require(machine.matrix(answer))
                let score = try #require(matrix.apps.first).score
                guard index > 0 else {
                    #expect(score.cpu == nil && score.disk == nil && score.network == nil, "seed \(seed)")
                    continue
                }
                // Without the engine's clock the error is what both answers may have waited.
                let slack = stepped ? 0.2 : 0.001
                func agrees(_ figure: Int?, _ truth: Double) -> Bool {
                    guard let figure else { return false }
                    return abs(Double(figure) - truth) <= truth * slack + 2
                }
                let cpu = min(1_000_000, Double(container.cpuPerSecond) / 4_000)
                #expect(agrees(score.cpu, cpu), "seed \(seed): \(score) is not \(cpu)")
                #expect(agrees(score.disk, Double(container.diskPerSecond) / 50), "seed \(seed)")
                #expect(agrees(score.network, Double(container.networkPerSecond) / 125), "seed \(seed)")
            }
        }
    }

    @Test("The engine's order of containers decides nothing")
    func order() throws {
        for seed in Self.seeds {
            var world = World(seed: seed)
            let one = Bench()
            let other = Bench()
            for _ in 0..<5 { world.bear() }
            for _ in 0..<8 {
                world.live(milliseconds: 500)
                let sample = world.sample(missing: 10)
                var shuffled = sample
                shuffled.containers.shuffle(using: &world.random)
                #expect(one.step(.sampled(sample)) == other.step(.sampled(shuffled)), "seed \(seed)")
            }
        }
    }

    @Test("Any numbers at all: nothing traps, nothing is out of bounds")
    func garbage() throws {
        for seed in Self.seeds {
            var random = SplitMix64(seed: seed)
            func word() -> UInt64 {
                switch random.next(in: 0...3) {
                case 0: random.next()
                case 1: UInt64(random.next(in: 0...1_000))
                case 2: UInt64.max - UInt64(random.next(in: 0...1_000))
                default: random.next() >> UInt64(random.next(in: 0...63))
                }
            }
            func figure() -> UInt64? { random.next(in: 0...3) == 0 ? nil : word() }
            let machine = Bench(interval: Int64(random.next(in: 100...60_000)))
            for _ in 0..<10 {
                let containers = (0..<random.next(in: 0...4)).map { index in
                    ContainerReading(
                        id: "c\(index)", name: "", created: 0, state: "running", labels: ["poise.app": "a\(index)"],
                        counters: Counters(
                            at: Instant(
                                engineNanoseconds: figure().map { Int64(bitPattern: $0) },
                                askedNanoseconds: Int64(bitPattern: word()),
                                answeredNanoseconds: Int64(bitPattern: word())),
                            cpuNanoseconds: figure(), memoryBytes: figure(), inactiveFileBytes: figure(),
                            diskBytes: figure(), networkBytes: figure()))
                }
                var engine = World.engine
                engine.processors = figure().map { Int(truncatingIfNeeded: $0) }
                engine.memoryBytes = figure().map { Int(truncatingIfNeeded: $0) }
                let sample = Sample(
                    now: Int64(word() >> 2), timestamp: Int64(word() >> 1), engine: engine, containers: containers)
                _ = machine.step(.due(now: Int64(word() >> 2)))
                guard let matrix = machine.matrix(sample) else { continue }
                let decoded = try LoadMatrix(encoded: matrix.encoded)
                #expect(decoded.capacity == matrix.capacity, "seed \(seed)")
                let figures = matrix.apps.map(\.score).flatMap {
                    [$0.cpu, $0.ram, $0.disk, $0.network].compactMap { $0 }
                }
                let isWithin = figures.allSatisfy((0...1_000_000_000).contains)
                #expect(isWithin, "seed \(seed): \(matrix)")
            }
        }
    }
}
