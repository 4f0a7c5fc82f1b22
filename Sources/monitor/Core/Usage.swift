import Contracts

/// Turns one container's counters into a score: keeps the counters before, for the rates.
struct Usage: Sendable {
    /// A counter as it stood at a moment.
    private struct Mark: Sendable {
        var value: UInt64
        var at: Instant
    }

    /// A rate above this multiple of the stated capacity is a broken counter, not a fast device.
    static let rateCeiling: Int64 = 1_000_000_000

    let created: Int64
    private var cpu: Mark?
    private var disk: Mark?
    private var network: Mark?

    init(created: Int64) { self.created = created }

    /// The score since the last counters, which these replace.
    ///
    /// - Parameter memory: how long counters are remembered, in nanoseconds: a mean over a longer gap would be
    ///   no news, so it is absent.
    mutating func take(_ counters: Counters, device: Device, memory: Int64) -> (score: Score, faults: [FigureFault]) {
        var faults: [FigureFault] = []
        let next = [
            counters.cpuNanoseconds.map { Mark(value: $0, at: counters.at) },
            counters.diskBytes.map { Mark(value: $0, at: counters.at) },
            counters.networkBytes.map { Mark(value: $0, at: counters.at) },
        ]
        let past = [cpu, disk, network]
        let isReset = zip(past, next).contains { past, next in
            guard let past, let next else { return false }
            return next.value < past.value
        }
        // After a restart every rate would be one of two lives mixed, also where the counter happens to be higher.
        if isReset { faults.append(.reset) }
        func change(_ index: Int) -> (amount: UInt64, nanoseconds: Int64)? {
            guard !isReset, let past = past[index], let next = next[index],
                let elapsed = next.at.elapsed(since: past.at), elapsed <= memory
            else { return nil }
            return (next.value - past.value, elapsed)
        }
        func figure(_ ratio: Int64?, ceiling: Int64) -> Int? {
            guard let ratio else { return nil }
            guard ratio <= ceiling else {
                faults.append(.implausible)
                return nil
            }
            return Int(ratio)
        }
        var score = Score()
        score.cpu = figure(
            change(0).map { device.cpuPartsPerMillion($0.amount, nanoseconds: $0.nanoseconds) },
            // The engine updates the counter of each core by itself: a lump may double a short interval.
            ceiling: 2 * device.cpuCeiling)
        score.cpu = score.cpu.map { min($0, Int(device.cpuCeiling)) }
        score.ram = figure(counters.memoryInUse.map(device.ramPartsPerMillion), ceiling: device.ramCeiling)
        score.disk = figure(
            change(1).map { device.diskPartsPerMillion($0.amount, nanoseconds: $0.nanoseconds) },
            ceiling: Self.rateCeiling)
        score.network = figure(
            change(2).map { device.networkPartsPerMillion($0.amount, nanoseconds: $0.nanoseconds) },
            ceiling: Self.rateCeiling)
        // A figure that is absent once doesn't cost the next sample its rate: the older mark stays.
        cpu = next[0] ?? (isReset ? nil : cpu)
        disk = next[1] ?? (isReset ? nil : disk)
        network = next[2] ?? (isReset ? nil : network)
        return (score, faults)
    }
}
