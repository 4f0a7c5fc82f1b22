import Contracts

/// When a reading was taken: once by the engine's wall clock, and between which two moments of our own clock.
public struct Instant: Hashable, Sendable {
    /// Nanoseconds since 1970 by the engine's clock, which may step; nil if the engine didn't say.
    public var engineNanoseconds: Int64?
    /// Our monotonic clock when the question was sent, in nanoseconds.
    public var askedNanoseconds: Int64
    /// Our monotonic clock when the answer was there, in nanoseconds.
    public var answeredNanoseconds: Int64

    public init(engineNanoseconds: Int64?, askedNanoseconds: Int64, answeredNanoseconds: Int64) {
        self.engineNanoseconds = engineNanoseconds
        self.askedNanoseconds = askedNanoseconds
        self.answeredNanoseconds = answeredNanoseconds
    }

    /// Nanoseconds from `earlier` to this, or nil if it is not after it.
    ///
    /// The engine's stamp is the more exact, as it excludes what the request waited for; but only a difference that
    /// our own clock allows is believed, so that a stepped clock costs precision and never truth.
    func elapsed(since earlier: Instant) -> Int64? {
        let least = askedNanoseconds.subtractingReportingOverflow(earlier.answeredNanoseconds)
        let most = answeredNanoseconds.subtractingReportingOverflow(earlier.askedNanoseconds)
        guard !least.overflow, !most.overflow, most.partialValue > 0, least.partialValue <= most.partialValue else {
            return nil
        }
        let low = max(1, least.partialValue)
        let high = max(low, most.partialValue)
        if let now = engineNanoseconds, let then = earlier.engineNanoseconds {
            let difference = now.subtractingReportingOverflow(then)
            if !difference.overflow { return min(max(difference.partialValue, low), high) }
        }
        return low + (high - low) / 2
    }
}

/// What the engine says of one container at one moment. Nil is a figure that it doesn't have.
public struct Counters: Hashable, Sendable {
    public var at: Instant
    /// Nanoseconds of processor time since the container's start, on all cores together.
    public var cpuNanoseconds: UInt64?
    /// Bytes of memory charged to the container, page cache included.
    public var memoryBytes: UInt64?
    /// Bytes of page cache not used lately, which the kernel gives away first; nil if not said.
    public var inactiveFileBytes: UInt64?
    /// Bytes read and written on block devices since the start.
    public var diskBytes: UInt64?
    /// Bytes received and sent on all the container's interfaces since the start.
    public var networkBytes: UInt64?

    public init(
        at: Instant, cpuNanoseconds: UInt64? = nil, memoryBytes: UInt64? = nil, inactiveFileBytes: UInt64? = nil,
        diskBytes: UInt64? = nil, networkBytes: UInt64? = nil
    ) {
        self.at = at
        self.cpuNanoseconds = cpuNanoseconds
        self.memoryBytes = memoryBytes
        self.inactiveFileBytes = inactiveFileBytes
        self.diskBytes = diskBytes
        self.networkBytes = networkBytes
    }

    /// What `docker stats` shows as memory in use: the charge without inactive page cache.
    var memoryInUse: UInt64? {
        guard let memoryBytes else { return nil }
        guard let inactiveFileBytes, inactiveFileBytes < memoryBytes else { return memoryBytes }
        return memoryBytes - inactiveFileBytes
    }
}

/// One container of the engine's list, as read.
public struct ContainerReading: Hashable, Sendable {
    /// The engine's identifier.
    public var id: String
    /// For people; without the leading slash.
    public var name: String
    /// Seconds since 1970. With ``id`` it tells a container from a later one under the same identifier.
    public var created: Int64
    /// The engine's word: `running`, `paused`, …
    public var state: String
    /// As written by whoever made the container: nothing about them is certain.
    public var labels: [String: String]
    /// Nil if the container could not be read this time.
    public var counters: Counters?

    public init(
        id: String, name: String, created: Int64, state: String, labels: [String: String], counters: Counters?
    ) {
        self.id = id
        self.name = name
        self.created = created
        self.state = state
        self.labels = labels
        self.counters = counters
    }
}
