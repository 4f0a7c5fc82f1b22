import Contracts

/// What the migrator must still know after a crash. It is durable before anything that follows from it is done.
public struct Journal: Codable, Hashable, Sendable {
    public static let historyLimit = 200

    /// Names the system's run between two boots: times by the monotonic clock mean nothing in another one.
    public var boot = ""
    /// Set while the engine has not been looked at since that boot.
    var isUnseen: Bool?
    /// Apps that a boot ended, not they themselves, until they are started again; in ascending order.
    var interrupted: [HandoffKey]?
    /// Of the newest placement acted upon. An older one is never acted upon again.
    public var height: UInt64 = 0
    /// The moves that the chain has in flight.
    public var learned: [LearnedMove] = []
    public var outgoing: [Outgoing] = []
    public var incoming: [Incoming] = []
    /// Fresh placements that could not be started, until the chain has taken note.
    public var failures: [StartFailure] = []
    public var setAside: [SetAside] = []
    /// Ended moves, newest last, at most ``historyLimit``.
    public var history: [MoveRecord] = []

    public init() {}
}

public struct LearnedMove: Codable, Hashable, Sendable {
    public var key: HandoffKey
    /// When the chain gives up the move, in milliseconds of the monotonic clock of ``Journal/boot``. The chain's own
    /// clock may be a little ahead.
    public var endsAt: Int64
    /// How long that was when this device learned of it.
    public var length: Int64

    /// Until when the source may ask for the restore, and an unconfirmed copy may run at the target: well before the
    /// chain may give the app back to its source.
    var safeUntil: Int64 { endsAt - margin }
    /// The share of a move's time that is kept back.
    var margin: Int64 { max(2_000, length / 5) }
}

/// The source's half of a handoff.
public struct Outgoing: Codable, Hashable, Sendable {
    public enum Phase: String, Codable, Sendable, CaseIterable {
        /// The target is told, and gets the image's layers that it lacks, while the app runs.
        case preparing
        /// The engine is asked to write a checkpoint and stop the app: it may be frozen from here on.
        case checkpointing
        /// Checkpoint, writable layer and volumes are on their way.
        case shipping
        /// The target is asked to restore. From here on only the chain knows who holds the app.
        case restoring
        /// The target has answered; the chain has not.
        case deciding
        /// The app is started again from its checkpoint.
        case resuming
        /// The app runs here; the chain is being told that the move can't be.
        case refused
        /// The app is at its target: what is left of it here goes.
        case removing

        /// Whether it keeps other moves away from this device waiting.
        var isBusy: Bool { self != .refused && self != .removing }
    }

    public var app: String
    /// Of the copy here.
    public var incarnation: UInt64
    public var order: MoveOrder
    public var phase: Phase
    /// The engine's name of the copy.
    public var copy: String
    /// Monotonic milliseconds after which the target is not asked any more.
    public var askUntil: Int64
    /// Why the move can't be, where it can't.
    public var reason = ""
    /// What was shipped, for the target to compare.
    public var parts: [PartDigest] = []
    /// Whether the target was ever asked to restore. From then on the source alone can't end the handoff.
    public var wasAsked = false
    /// How often in a row the present phase failed.
    public var attempts = 0
    public var measures = MoveMeasures()

    public var key: HandoffKey { HandoffKey(app: app, incarnation: order.incarnation) }
    /// The checkpoint's name is the same after a crash, so that one that is there already is found.
    public var checkpoint: String { "poise-\(order.incarnation)" }
}

/// The target's half of a handoff.
public struct Incoming: Codable, Hashable, Sendable {
    public enum Phase: String, Codable, Sendable, CaseIterable {
        /// Takes layers, checkpoint and files.
        case receiving
        case restoring
        /// It runs here, or is frozen because the chain was silent for too long.
        case restored
        /// It won't run here: the chain is being told so.
        case refused
    }

    public var key: HandoffKey
    public var from: NodeID
    public var order: MoveOrder
    public var phase: Phase
    /// Monotonic milliseconds until which a copy may run here that the chain has not confirmed.
    public var freezeAt: Int64
    public var reason = ""
    /// What the source says that it sent.
    public var digests: [PartDigest] = []
    /// How often what arrived was not what was sent.
    public var mismatches = 0
    /// Whether it ever ran here, so that the chain may have been told so.
    public var wasRestored = false
    /// Whether nothing of it is left here.
    public var isDiscarded = false
    public var measures = MoveMeasures()
}

/// What was sent of one part, so that the target can tell whether it has the same.
public struct PartDigest: Codable, Hashable, Sendable {
    /// `checkpoint`, `layer`, or `volume:` and the mount's path.
    public var part: String
    public var bytes: Int64
    public var digest: Digest

    public init(part: String, bytes: Int64, digest: Digest) {
        self.part = part
        self.bytes = bytes
        self.digest = digest
    }
}

public struct StartFailure: Codable, Hashable, Sendable {
    public var app: String
    public var incarnation: UInt64
    public var reason: String
}

/// A superseded copy, kept for a day in case someone misses what it had.
public struct SetAside: Codable, Hashable, Sendable {
    public var id: String
    public var app: String
    /// Milliseconds since 1970 by this device's wall clock.
    public var since: Int64
}

/// Bytes and times of a move, for people and metrics.
public struct MoveMeasures: Codable, Hashable, Sendable {
    /// Milliseconds since 1970.
    public var startedAt: Int64 = 0
    public var endedAt: Int64?
    public var imageBytes: Int64 = 0
    public var checkpointBytes: Int64 = 0
    public var layerBytes: Int64 = 0
    public var volumeBytes: Int64 = 0
    /// Milliseconds spent in each phase.
    public var phases: [String: Int64] = [:]
    /// Milliseconds from asking for the checkpoint until the restore was confirmed, or the app resumed here: an
    /// upper bound of the time that nobody was served. nil as long as it isn't known.
    public var downtime: Int64?
    /// Monotonic; when the app was asked to freeze.
    var frozenAt: Int64?
    /// Monotonic; when the present phase began.
    var phaseSince: Int64 = 0

    public var bytes: Int64 { imageBytes + checkpointBytes + layerBytes + volumeBytes }
}

/// A move as `GET /moves` shows it.
public struct MoveRecord: Codable, Hashable, Sendable {
    public enum Direction: String, Codable, Sendable { case outgoing, incoming }
    public enum Outcome: String, Codable, Sendable, CaseIterable {
        case inProgress = "in-progress"
        case done, refused, abandoned
    }

    public var app: String
    public var incarnation: UInt64
    public var direction: Direction
    public var from: NodeID
    public var to: NodeID
    public var phase: String
    public var outcome: Outcome
    public var reason: String
    public var measures: MoveMeasures
}
