public import Contracts

/// What an app needs or a device has: four amounts that are weighed separately.
public struct Resources: ByteCodable, Hashable {
    /// More than any device has: sums of what a report may claim stay within 64 bits.
    private static let amountLimit: Int64 = 1 << 52

    /// Thousandths of a core.
    public var cpu: Int64
    /// Bytes.
    public var ram: Int64
    /// Bytes a second, reads and writes together.
    public var disk: Int64
    /// Bytes a second, both directions together.
    public var network: Int64

    public init(cpu: Int64 = 0, ram: Int64 = 0, disk: Int64 = 0, network: Int64 = 0) {
        self.cpu = cpu
        self.ram = ram
        self.disk = disk
        self.network = network
    }

    init(_ capacity: Capacity) {
        self.init(
            cpu: Int64(capacity.cpuMillicores), ram: Int64(capacity.ramBytes),
            disk: Int64(capacity.diskBytesPerSecond), network: Int64(capacity.networkBytesPerSecond))
    }

    /// A score in absolute units. A figure that is not known counts as zero.
    init(_ score: Score, of capacity: Capacity) {
        func amount(_ ppm: Int?, _ total: Int) -> Int64 {
            // Through 128 bits: a score is up to 2^31, a capacity up to 2^50.
            min(Self.amountLimit, Int64(clamping: Int128(max(0, ppm ?? 0)) * Int128(total) / 1_000_000))
        }
        self.init(
            cpu: EffectiveLoad.millicores(score.cpu ?? 0, of: Int64(capacity.cpuMillicores)),
            ram: amount(score.ram, capacity.ramBytes), disk: amount(score.disk, capacity.diskBytesPerSecond),
            network: amount(score.network, capacity.networkBytesPerSecond))
    }

    /// What a device carries beside the apps that `isManaged` names.
    init(_ load: LoadMatrix, beside isManaged: (String) -> Bool) {
        var rest = Resources(load.device, of: load.capacity)
        for app in load.apps where isManaged(app.app) {
            let part = Resources(app.score, of: load.capacity)
            rest = rest.map(part) { max(0, $0 - $1) }
        }
        self = rest
    }

    /// Each amount by `change`.
    func map(_ other: Resources, _ change: (Int64, Int64) -> Int64) -> Resources {
        Resources(
            cpu: change(cpu, other.cpu), ram: change(ram, other.ram), disk: change(disk, other.disk),
            network: change(network, other.network))
    }

    /// An eighth of the way from this to `newest`: what noise leaves of single samples.
    func approaching(_ newest: Resources) -> Resources {
        map(newest) { $0 + ($1 - $0) / 8 }
    }

    public func encode(to writer: inout ByteWriter) {
        for amount in [cpu, ram, disk, network] { writer.integer(amount) }
    }

    public init(from reader: inout ByteReader) throws {
        cpu = try reader.integer()
        ram = try reader.integer()
        disk = try reader.integer()
        network = try reader.integer()
    }
}

/// A long mean of what jumps about: of the first samples all alike, later on of about the last 64.
public struct SteadyResources: ByteCodable, Hashable {
    private static let length: Int64 = 64

    /// 64 times the mean, so that small steps are not lost, and 64 times the mean distance from it.
    private var sum: Resources
    private var distance: Resources
    private var samples: UInt32

    public init(_ first: Resources) {
        sum = first.map(first) { amount, _ in amount * Self.length }
        distance = Resources()
        samples = 1
    }

    public var mean: Resources { sum.map(sum) { sum, _ in sum / Self.length } }

    /// How far samples are from the mean, on average.
    public var deviation: Resources { distance.map(distance) { distance, _ in distance / Self.length } }

    mutating func take(_ newest: Resources) {
        samples = min(UInt32(Self.length), samples + 1)
        let weight = Int64(samples)
        let newest = newest.map(newest) { amount, _ in amount * Self.length }
        let distances = newest.map(sum) { abs($0 - $1) }
        distance = distance.map(distances) { $0 + ($1 - $0) / weight }
        sum = sum.map(newest) { $0 + ($1 - $0) / weight }
    }

    public func encode(to writer: inout ByteWriter) {
        writer.value(sum)
        writer.value(distance)
        writer.integer(samples)
    }

    public init(from reader: inout ByteReader) throws {
        sum = try reader.value()
        distance = try reader.value()
        samples = try reader.integer()
        guard (1...UInt32(Self.length)).contains(samples) else {
            throw ByteCodingError.invalid(what: "the samples of a mean", value: "\(samples)")
        }
    }
}
