import Contracts

/// One reading of the whole engine.
public struct Sample: Hashable, Sendable {
    /// Milliseconds of our monotonic clock when it was complete.
    public var now: Int64
    /// Milliseconds since 1970-01-01 UTC by the device's clock.
    public var timestamp: Int64
    /// Nil if the engine wasn't asked to describe itself this time.
    public var engine: EngineDescription?
    /// In any order.
    public var containers: [ContainerReading]

    public init(now: Int64, timestamp: Int64, engine: EngineDescription?, containers: [ContainerReading]) {
        self.now = now
        self.timestamp = timestamp
        self.engine = engine
        self.containers = containers
    }
}

public enum MonitorEvent: Sendable {
    /// The service starts, or its timer fired. Milliseconds of our monotonic clock.
    case due(now: Int64)
    case sampled(Sample)
    /// The engine as a whole could not be read. The reason is for people.
    case failed(SampleFault, reason: String)
}
