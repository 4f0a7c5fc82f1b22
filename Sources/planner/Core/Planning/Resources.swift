public import Contracts

/// What an app needs or a device has: four amounts that are weighed separately.
public struct Resources: ByteCodable, Hashable {
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
            Int64(clamping: Int128(max(0, ppm ?? 0)) * Int128(total) / 1_000_000)
        }
        self.init(
            cpu: EffectiveLoad.millicores(score.cpu ?? 0, of: Int64(capacity.cpuMillicores)),
            ram: amount(score.ram, capacity.ramBytes), disk: amount(score.disk, capacity.diskBytesPerSecond),
            network: amount(score.network, capacity.networkBytesPerSecond))
    }

    /// An eighth of the way from this to `newest`: what noise leaves of single samples.
    func approaching(_ newest: Resources) -> Resources {
        func step(_ old: Int64, _ new: Int64) -> Int64 { old + (new - old) / 8 }
        return Resources(
            cpu: step(cpu, newest.cpu), ram: step(ram, newest.ram), disk: step(disk, newest.disk),
            network: step(network, newest.network))
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
