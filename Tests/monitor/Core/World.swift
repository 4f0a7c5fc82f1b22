import Contracts
import Machine

@testable import MonitorCore

/// A device invented from a seed: containers that come, go, restart, freeze and lose figures, on a clock that steps.
/// It knows the truth that the machine must find.
struct World {
    struct Container {
        var id: String
        var created: Int64
        var state = "running"
        var labels: [String: String]
        var cpuPerSecond: UInt64
        var diskPerSecond: UInt64
        var networkPerSecond: UInt64
        var cpu: UInt64 = 0
        var disk: UInt64 = 0
        var network: UInt64 = 0
        var memory: UInt64
        var inactive: UInt64?
    }

    static let processors = 4
    static let memory = 4 << 30
    static let engine = EngineDescription(
        processors: processors, memoryBytes: memory, architecture: "x86_64", kernel: "6.1", version: "26.1.5",
        storageDriver: "overlay2", experimental: true, pageSize: 4_096)
    static let stated = StatedCapacity(diskBytesPerSecond: 50_000_000, networkBytesPerSecond: 125_000_000)

    var random: SplitMix64
    var containers: [Container] = []
    /// Our monotonic clock.
    var nanoseconds: Int64 = 1_000_000_000
    /// What the engine's wall clock is off by; it changes when the clock is set.
    var wallOffset: Int64 = 1_700_000_000_000_000_000
    var born = 0

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    mutating func chance(_ percent: Int) -> Bool { random.next(in: 1...100) <= percent }

    mutating func bear() {
        born += 1
        let names = ["web", "db", "counter", "Bad Name", "", "burner", "x.y_z-1"]
        let name = names[random.next(in: 0...names.count - 1)]
        var labels: [String: String] = [:]
        switch random.next(in: 0...9) {
        case 0...4: labels["poise.app"] = name
        case 5...6: labels["poise.service"] = name
        case 7: labels = ["poise.app": name, "poise.service": name]
        default: break
        }
        let incarnations = ["0", "1", "2", "18446744073709551615", "18446744073709551616", "-1", "+1", "", "١", "1 "]
        if chance(60) { labels["poise.incarnation"] = incarnations[random.next(in: 0...incarnations.count - 1)] }
        let memory = UInt64(random.next(in: 0...Self.memory))
        containers.append(
            Container(
                id: String(random.next(), radix: 16), created: Int64(born), labels: labels,
                cpuPerSecond: UInt64(random.next(in: 0...Self.processors * 1_000_000_000)),
                diskPerSecond: UInt64(random.next(in: 0...100_000_000)),
                networkPerSecond: UInt64(random.next(in: 0...300_000_000)),
                memory: memory, inactive: chance(70) ? UInt64(random.next(in: 0...Self.memory)) : nil))
    }

    /// Lets time pass and things happen.
    mutating func live(milliseconds: Int) {
        nanoseconds += Int64(milliseconds) * 1_000_000
        for index in containers.indices where containers[index].state == "running" {
            let elapsed = UInt64(milliseconds)
            containers[index].cpu += containers[index].cpuPerSecond * elapsed / 1_000
            containers[index].disk += containers[index].diskPerSecond * elapsed / 1_000
            containers[index].network += containers[index].networkPerSecond * elapsed / 1_000
        }
        if chance(20) { bear() }
        if chance(3) { wallOffset += Int64(random.next(in: -3_600...3_600)) * 1_000_000_000 }
        guard !containers.isEmpty else { return }
        let index = random.next(in: 0...containers.count - 1)
        switch random.next(in: 0...39) {
        case 0: containers.remove(at: index)
        case 1: restart(index)
        case 2: containers[index].state = "paused"
        case 3: containers[index].state = "running"
        case 4: containers[index].state = "exited"
        case 5:  // Another container under the same identifier.
            restart(index)
            containers[index].created += 1_000
        default: break
        }
    }

    mutating func restart(_ index: Int) {
        containers[index].state = "running"
        (containers[index].cpu, containers[index].disk, containers[index].network) = (0, 0, 0)
    }

    /// What the engine would answer now, in any order, each container read at a moment of its own.
    ///
    /// - Parameter latency: most milliseconds that an answer waits before and after the moment it speaks of.
    mutating func sample(latency: Int = 0, missing: Int = 0) -> Sample {
        var readings = containers.map { container in
            let before = Int64(random.next(in: 0...latency * 1_000_000))
            let after = Int64(random.next(in: 0...latency * 1_000_000))
            var counters = Counters(
                at: Instant(
                    engineNanoseconds: chance(missing) ? nil : nanoseconds + wallOffset,
                    askedNanoseconds: nanoseconds - before, answeredNanoseconds: nanoseconds + after),
                // A process that runs has used some time.
                cpuNanoseconds: container.cpu + 1, memoryBytes: container.memory,
                inactiveFileBytes: container.inactive, diskBytes: container.disk, networkBytes: container.network)
            if chance(missing) { counters.cpuNanoseconds = nil }
            if chance(missing) { counters.memoryBytes = nil }
            if chance(missing) { counters.inactiveFileBytes = nil }
            if chance(missing) { counters.diskBytes = nil }
            if chance(missing) { counters.networkBytes = nil }
            return ContainerReading(
                id: container.id, name: "n\(container.created)", created: container.created, state: container.state,
                labels: container.labels, counters: chance(missing) ? nil : counters)
        }
        readings.shuffle(using: &random)
        return Sample(
            now: nanoseconds / 1_000_000, timestamp: (nanoseconds + wallOffset) / 1_000_000, engine: Self.engine,
            containers: readings)
    }
}

/// A machine as tests hold it: by reference, since an expectation can't change a value.
final class Bench {
    private var machine: MonitorMachine

    init(_ machine: MonitorMachine) { self.machine = machine }

    /// A machine of ``World``'s device.
    convenience init(interval: Int64 = 500) {
        self.init(MonitorMachine(MonitorParameters(interval: interval, capacity: World.stated)))
    }

    var newest: LoadMatrix? { machine.newest }
    func step(_ event: MonitorEvent) -> [MonitorEffect] { machine.step(event) }
    func checks(now: Int64) -> [String: HealthCheck] { machine.checks(now: now) }

    /// Takes a sample and gives the matrix published, if one was.
    func matrix(_ sample: Sample) -> LoadMatrix? {
        var published: LoadMatrix?
        for case .publish(let matrix) in step(.sampled(sample)) { published = matrix }
        return published
    }
}
