import Contracts

/// What the engine says of the device it runs on.
public struct EngineDescription: Hashable, Sendable {
    /// Logical processors.
    public var processors: Int?
    /// Bytes of memory of the device.
    public var memoryBytes: Int?
    public var architecture: String
    public var kernel: String
    public var version: String
    public var storageDriver: String
    /// Whether the engine offers its experimental features, of which checkpoints are one.
    public var experimental: Bool
    /// Bytes.
    public var pageSize: Int

    public init(
        processors: Int?, memoryBytes: Int?, architecture: String, kernel: String, version: String,
        storageDriver: String, experimental: Bool, pageSize: Int
    ) {
        self.processors = processors
        self.memoryBytes = memoryBytes
        self.architecture = architecture
        self.kernel = kernel
        self.version = version
        self.storageDriver = storageDriver
        self.experimental = experimental
        self.pageSize = pageSize
    }
}

/// What the owner says of the device: what the engine can't know, and what it is to believe instead.
public struct StatedCapacity: Hashable, Sendable {
    /// Thousandths of a core; nil: as many as the engine has.
    public var cpuMillicores: Int?
    /// Nil: as many as the engine says.
    public var ramBytes: Int?
    public var diskBytesPerSecond: Int
    public var networkBytesPerSecond: Int

    public init(
        cpuMillicores: Int? = nil, ramBytes: Int? = nil, diskBytesPerSecond: Int, networkBytesPerSecond: Int
    ) {
        self.cpuMillicores = cpuMillicores
        self.ramBytes = ramBytes
        self.diskBytesPerSecond = diskBytesPerSecond
        self.networkBytesPerSecond = networkBytesPerSecond
    }
}

/// What the owner says of the device to apps' constraints.
public struct StatedFacts: Hashable, Sendable {
    public var labels: [String: String]
    /// What apps may use, in ascending order, each once.
    public var devices: [String]

    public init(labels: [String: String] = [:], devices: [String] = []) {
        self.labels = labels
        self.devices = devices
    }
}

/// The device's totals: turns amounts into parts per million of them.
struct Device: Hashable, Sendable {
    /// Of any total, as ``Capacity`` has it on the wire.
    static let totals: ClosedRange<Int> = 1...1 << 50

    let capacity: Capacity
    let facts: Facts
    /// The most CPU that can be had, in parts per million of the capacity: over 1,000,000 where less was stated
    /// than the engine has.
    let cpuCeiling: Int64
    /// The same of memory.
    let ramCeiling: Int64

    /// - Throws: ``Unmeasurable``, if a total is unknown or out of range.
    init(
        _ engine: EngineDescription, stated: StatedCapacity, facts statedFacts: StatedFacts
    ) throws(Unmeasurable) {
        let physicalMillicores = engine.processors.flatMap { (1...1 << 20).contains($0) ? $0 * 1_000 : nil }
        capacity = Capacity(
            cpuMillicores: try Self.total(
                stated.cpuMillicores ?? physicalMillicores, "how many processors", setting: "cpu-millicores"),
            ramBytes: try Self.total(
                stated.ramBytes ?? engine.memoryBytes, "how much memory", setting: "ram-bytes"),
            diskBytesPerSecond: try Self.total(
                stated.diskBytesPerSecond, "how fast a disk", setting: "disk-bytes-per-second"),
            networkBytesPerSecond: try Self.total(
                stated.networkBytesPerSecond, "how fast a network", setting: "network-bytes-per-second"))
        facts = Facts(
            architecture: Self.bounded(engine.architecture, bytes: 32),
            kernel: Self.bounded(engine.kernel, bytes: 128),
            engineVersion: Self.bounded(engine.version, bytes: 64),
            storageDriver: Self.bounded(engine.storageDriver, bytes: 32),
            checkpoints: engine.experimental, pageSize: engine.pageSize, labels: statedFacts.labels,
            devices: statedFacts.devices)
        cpuCeiling = Self.ceiling(physical: physicalMillicores, capacity: capacity.cpuMillicores)
        ramCeiling = Self.ceiling(physical: engine.memoryBytes, capacity: capacity.ramBytes)
    }

    func cpuPartsPerMillion(_ nanosecondsUsed: UInt64, nanoseconds: Int64) -> Int64 {
        Self.rate(nanosecondsUsed, times: 1_000_000_000, over: nanoseconds, capacity: capacity.cpuMillicores)
    }

    func ramPartsPerMillion(_ bytes: UInt64) -> Int64 {
        Self.rate(bytes, times: 1_000_000, over: 1, capacity: capacity.ramBytes)
    }

    func diskPartsPerMillion(_ bytes: UInt64, nanoseconds: Int64) -> Int64 {
        Self.rate(bytes, times: 1_000_000_000_000_000, over: nanoseconds, capacity: capacity.diskBytesPerSecond)
    }

    func networkPartsPerMillion(_ bytes: UInt64, nanoseconds: Int64) -> Int64 {
        Self.rate(bytes, times: 1_000_000_000_000_000, over: nanoseconds, capacity: capacity.networkBytesPerSecond)
    }

    /// `amount * times / (nanoseconds * capacity)`, rounded down; the largest number if it is larger.
    /// The products fit: 64 bits times 50 bits.
    private static func rate(_ amount: UInt64, times: UInt64, over nanoseconds: Int64, capacity: Int) -> Int64 {
        Int64(clamping: UInt128(amount) * UInt128(times) / (UInt128(max(1, nanoseconds)) * UInt128(capacity)))
    }

    private static func ceiling(physical: Int?, capacity: Int) -> Int64 {
        let parts = Int64(clamping: UInt128(max(physical ?? 0, 0)) * 1_000_000 / UInt128(capacity))
        return min(max(1_000_000, parts), Usage.rateCeiling)
    }

    private static func total(_ value: Int?, _ what: String, setting: String) throws(Unmeasurable) -> Int {
        guard let value, value > 0 else {
            throw Unmeasurable(
                reason: "the engine doesn't say \(what) the device has; say it by the setting \(setting)")
        }
        guard totals.contains(value) else {
            throw Unmeasurable(
                reason: "\(value) is beyond belief for \(what) the device has; say it by the setting \(setting)")
        }
        return value
    }

    /// At most `bytes` of UTF-8, cut between characters.
    private static func bounded(_ text: String, bytes: Int) -> String {
        var kept = String.UnicodeScalarView()
        var count = 0
        for scalar in text.unicodeScalars {
            count += UTF8.width(scalar)
            guard count <= bytes else { break }
            kept.append(scalar)
        }
        return String(kept)
    }
}

/// Why nothing on this device can be expressed in parts of its totals.
struct Unmeasurable: Error, Hashable {
    var reason: String
}
