import Contracts

/// One event with the moment at which it reached the migrator.
public struct MigratorEvent: Sendable {
    public enum Kind: Sendable {
        /// The first event. `boot` names the system's run since it was switched on.
        case started(boot: String)
        case placement(Placement)
        /// A block was committed here.
        case committed(Commit)
        /// The engine's answer to ``MigratorEffect/observe(_:)``: every copy on this device; nil if it didn't answer.
        case observed(UInt64, [Copy]?)
        /// Something happened to a container.
        case engineChanged
        /// An operation ended. With the app's copies as they are after it; nil if the engine didn't say.
        case finished(OperationID, OperationOutcome, [Copy]?)
        case offered(RequestID, Offer)
        /// The source has shipped all parts and asks for the restore.
        case restoreAsked(RequestID, HandoffKey, from: NodeID, [PartDigest])
        case timer
    }

    /// Milliseconds of this device's monotonic clock.
    public var now: Int64
    /// Milliseconds since 1970 by this device's wall clock: for people, and for keeping what is set aside a day.
    public var wallTime: Int64
    public var kind: Kind

    public init(now: Int64, wallTime: Int64, _ kind: Kind) {
        self.now = now
        self.wallTime = wallTime
        self.kind = kind
    }
}

/// Names a request of another migrator until it is answered.
public struct RequestID: Hashable, Sendable, Comparable {
    public var number: UInt64
    public init(_ number: UInt64) { self.number = number }
    public static func < (a: Self, b: Self) -> Bool { a.number < b.number }
}

/// What a source says before it ships: the body of `POST /handoffs`.
public struct Offer: Codable, Hashable, Sendable {
    public var app: String
    /// Of the app at its target.
    public var incarnation: UInt64
    public var from: NodeID
    /// The engine's ID of the image's configuration.
    public var imageID: String
    /// Digests of the image's uncompressed layers, lowest first.
    public var layers: [String]
    /// Milliseconds that the source still gives the move.
    public var remaining: Int64

    public init(
        app: String, incarnation: UInt64, from: NodeID, imageID: String, layers: [String], remaining: Int64
    ) {
        self.app = app
        self.incarnation = incarnation
        self.from = from
        self.imageID = imageID
        self.layers = layers
        self.remaining = remaining
    }

    public var key: HandoffKey { HandoffKey(app: app, incarnation: incarnation) }
}

/// How an operation ended. Each one may be asked for again after a crash: what is done already counts as done.
public enum OperationOutcome: Hashable, Sendable {
    case done(OperationMeasures)
    /// Worth another try: a peer or the engine is away or busy.
    case delayed(String)
    /// It can't be done, and what it was to change is as it was: an app that was to be frozen still runs.
    case refused(String)
    /// ``Operation/checkpoint(_:)``: the app ended and left no complete checkpoint.
    case lost(String)
    /// ``Operation/askRestore(_:peer:)``: the target lacks parts, or has damaged ones.
    case incomplete(String)
}

public struct OperationMeasures: Hashable, Sendable {
    public var imageBytes: Int64 = 0
    public var parts: [PartDigest] = []
    /// What happened otherwise than wished, though it is done.
    public var remark = ""

    public init(imageBytes: Int64 = 0, parts: [PartDigest] = [], remark: String = "") {
        self.imageBytes = imageBytes
        self.parts = parts
        self.remark = remark
    }
}
