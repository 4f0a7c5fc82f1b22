public import Contracts
import Identity

/// Where an app stands.
public enum AppPhase: String, Codable, Sendable, CaseIterable {
    /// In the queue: no node yet, or none any more.
    case pending
    /// Assigned to a node, which has not yet said that it runs.
    case placed
    case running
    /// On its way to another node; it counts at both ends.
    case moving
    /// It ended by itself with success and is not to be started again.
    case completed
    /// It could be started nowhere, or ended by itself with an error.
    case failed

    /// Whether a node should hold a copy.
    public var isPlaced: Bool { self == .placed || self == .running || self == .moving }
}

/// A move that no receipt or deadline has ended yet.
public struct RunningMove: ByteCodable, Hashable {
    public var to: NodeID
    /// What the app's incarnation will be at its target.
    public var incarnation: UInt64
    /// The block that started it.
    public var height: UInt64
    /// Block time in milliseconds after which the chain ends it and the app stays.
    public var deadline: Int64

    public func encode(to writer: inout ByteWriter) {
        writer.value(to)
        writer.integer(incarnation)
        writer.integer(height)
        writer.integer(deadline)
    }

    public init(to: NodeID, incarnation: UInt64, height: UInt64, deadline: Int64) {
        self.to = to
        self.incarnation = incarnation
        self.height = height
        self.deadline = deadline
    }

    public init(from reader: inout ByteReader) throws {
        to = try reader.value()
        incarnation = try reader.integer()
        height = try reader.integer()
        deadline = try reader.integer()
    }
}

/// A node that could not take the app: not asked again before `until`.
public struct Exclusion: ByteCodable, Hashable {
    public var node: NodeID
    /// Block time in milliseconds.
    public var until: Int64

    public init(node: NodeID, until: Int64) {
        self.node = node
        self.until = until
    }

    public func encode(to writer: inout ByteWriter) {
        writer.value(node)
        writer.integer(until)
    }

    public init(from reader: inout ByteReader) throws {
        node = try reader.value()
        until = try reader.integer()
    }
}

/// A specification and its hash, kept in one place: a state is copied and gone through in every block, and this never changes.
private final class KeptSpecification: Sendable, Equatable {
    let value: AppSpecification
    let hash: Digest

    init(_ value: AppSpecification) {
        self.value = value
        hash = Digest(of: value.encoded, domain: "poise/specification/2")
    }

    static func == (a: KeptSpecification, b: KeptSpecification) -> Bool { a === b || a.hash == b.hash }
}

/// What the chain knows of one app.
public struct AppRecord: ByteCodable, Equatable {
    private let kept: KeptSpecification
    public var specification: AppSpecification { kept.value }
    /// The hash of the specification's encoding, which stands for it in the state's root.
    public var specificationHash: Digest { kept.hash }
    /// As its specification has it; this and what follows stand here as well, for plans look at all apps and should not have to go
    /// there.
    let name: String
    /// What its specification says of moving and of nodes that may run it.
    let movesLive: Bool
    let mayRunAnywhere: Bool
    let keepsVolumes: Bool
    /// The node wished for the first placement; nil once it has been placed, or if there was no wish.
    public var on: NodeID?
    public var phase: AppPhase
    /// The node that holds it, the source while it moves. Completed and failed apps keep the last. A pending app has none, unless
    /// it waits for the node that has its volumes, on which it may go on meanwhile.
    public var node: NodeID?
    /// Number of its newest placement that holds; 0 before the first. A move's own number is in ``move``.
    public var incarnation: UInt64
    public var move: RunningMove?
    /// Block time at which the phase began, milliseconds.
    public var since: Int64
    /// Why it stands so, for people: the last refusal, failure, deadline or absence.
    public var reason: String
    /// What it needs by its newest score; nil before the first.
    public var demand: Resources?
    /// What it needs with noise smoothed out: each score draws it an eighth of the way.
    public var steadyDemand: Resources?
    /// Block time at which its last move ended, whether it arrived or stayed, milliseconds; 0 before the first.
    public var movedAt: Int64
    /// The incarnation that ``demand`` was measured at.
    public var measured: UInt64
    /// In ascending order of node.
    public var exclusions: [Exclusion]
    /// Nodes at which it could not be started since it last ran, in ascending order.
    public var failedOn: [NodeID]
    /// The node that has its volumes, where alone it is placed again; nil before it has run, and for one that keeps none.
    public var home: NodeID?
    /// Block time at which its holder last reported it in its incarnation, or at which it began to run there, milliseconds.
    public var seenAt: Int64

    public init(specification: AppSpecification, on: NodeID?, since: Int64) {
        kept = KeptSpecification(specification)
        name = specification.name
        movesLive = specification.move == .live
        mayRunAnywhere = Feasibility.isFree(specification)
        keepsVolumes = specification.keepsVolumes
        self.on = on
        self.since = since
        phase = .pending
        node = nil
        incarnation = 0
        move = nil
        reason = ""
        demand = nil
        steadyDemand = nil
        movedAt = 0
        measured = 0
        exclusions = []
        failedOn = []
        home = nil
        seenAt = 0
    }

    /// Whether it is out of the queue until the absent node that has its volumes reports again.
    public var isWaiting: Bool { phase == .pending && node != nil }

    /// Whether a copy that a report shows is the app. Of several copies the one of the highest incarnation is, and of that one the
    /// chain's assignee's: every incarnation is given to one node only, so any other copy is superseded, or not confirmed yet.
    func isHeld(by node: NodeID, as incarnation: UInt64) -> Bool {
        (phase == .placed || phase == .running) && self.node == node && self.incarnation == incarnation
    }

    /// Whether `node` must not be asked at block time `time`.
    public func excludes(_ node: NodeID, at time: Int64) -> Bool {
        exclusions.contains { $0.node == node && $0.until > time }
    }

    mutating func exclude(_ node: NodeID, until: Int64) {
        exclusions.removeAll { $0.node == node }
        exclusions.append(Exclusion(node: node, until: until))
        exclusions.sort { $0.node < $1.node }
    }

    public func encode(to writer: inout ByteWriter) {
        writer.value(specification)
        encodeStanding(to: &writer)
    }

    /// All but the specification, which the state's root covers by its hash.
    func encodeStanding(to writer: inout ByteWriter) {
        writer.optional(on)
        writer.text(phase.rawValue)
        writer.optional(node)
        writer.integer(incarnation)
        writer.optional(move)
        writer.integer(since)
        writer.text(reason)
        writer.optional(demand)
        writer.optional(steadyDemand)
        writer.integer(movedAt)
        writer.integer(measured)
        writer.list(exclusions)
        writer.list(failedOn)
        writer.optional(home)
        writer.integer(seenAt)
    }

    public init(from reader: inout ByteReader) throws {
        kept = KeptSpecification(try reader.value())
        name = kept.value.name
        movesLive = kept.value.move == .live
        mayRunAnywhere = Feasibility.isFree(kept.value)
        keepsVolumes = kept.value.keepsVolumes
        on = try reader.optional()
        let raw = try reader.text("an app's phase", limit: 16)
        guard let phase = AppPhase(rawValue: raw) else {
            throw ByteCodingError.invalid(what: "an app's phase", value: "\"\(raw)\"")
        }
        self.phase = phase
        node = try reader.optional()
        incarnation = try reader.integer()
        move = try reader.optional()
        since = try reader.integer()
        reason = try reader.text("an app's reason", limit: 4_096)
        demand = try reader.optional()
        steadyDemand = try reader.optional()
        movedAt = try reader.integer()
        measured = try reader.integer()
        exclusions = try reader.list("an app's exclusions", limit: Genesis.memberLimit)
        failedOn = try reader.list("the nodes an app failed on", limit: Genesis.memberLimit)
        home = try reader.optional()
        seenAt = try reader.integer()
    }
}
