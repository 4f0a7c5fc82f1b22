// planner → migrator: what committed blocks say should run where, and that they come.

/// A member of the site as the migrator needs to know it.
public struct PlacedNode: Codable, Hashable, Sendable {
    public var id: NodeID
    public var name: String
    /// `host:port` of its migrator; nil before its first report.
    public var migratorAddress: String?

    public init(id: NodeID, name: String, migratorAddress: String?) {
        self.id = id
        self.name = name
        self.migratorAddress = migratorAddress
    }
}

/// A move that a committed block started and none has ended yet.
public struct MoveOrder: Codable, Hashable, Sendable {
    public var to: NodeID
    /// The incarnation that the app will have at its target.
    public var incarnation: UInt64
    /// The block that started it. With the app and incarnation it names the move.
    public var height: UInt64
    /// Milliseconds that the chain still gave the move in the placement's block. A device counts them down by its own
    /// monotonic clock from when it learned of the move, and so gives up earlier the later it learned of it.
    public var deadline: Int64

    public init(to: NodeID, incarnation: UInt64, height: UInt64, deadline: Int64) {
        self.to = to
        self.incarnation = incarnation
        self.height = height
        self.deadline = deadline
    }
}

/// Where an app should be.
public struct PlacedApp: Codable, Hashable, Sendable {
    public var specification: AppSpecification
    /// The node that runs it, or, while it is moving, the node it moves from. Zero where the chain has gone on without this
    /// device: no copy may run here, and all are kept for a day.
    public var node: NodeID
    /// Ascending with each placement of the app. A copy with a lower one is superseded and must not run.
    public var incarnation: UInt64
    /// Whether a receipt has confirmed that this incarnation runs.
    public var running: Bool
    public var move: MoveOrder?

    public init(
        specification: AppSpecification, node: NodeID, incarnation: UInt64, running: Bool, move: MoveOrder? = nil
    ) {
        self.specification = specification
        self.node = node
        self.incarnation = incarnation
        self.running = running
        self.move = move
    }
}

/// The whole site after a committed block: one line of planner's `GET /placement`. Each line replaces the one
/// before, so a reader that missed some has lost nothing.
public struct Placement: Codable, Hashable, Sendable {
    public var height: UInt64
    /// The node that this planner serves.
    public var here: NodeID
    public var nodes: [PlacedNode]
    /// In ascending order of name. An app that isn't here should run nowhere.
    public var apps: [PlacedApp]

    public init(height: UInt64, here: NodeID, nodes: [PlacedNode], apps: [PlacedApp]) {
        self.height = height
        self.here = here
        self.nodes = nodes
        self.apps = apps
    }
}

/// A committed block, as far as a device must know that it is in touch with the site: one line of planner's `GET /commits`.
public struct Commit: Codable, Hashable, Sendable {
    public var height: UInt64
    /// The height of the newest placement told before this block's line; nil if none was told since planner's start.
    public var placement: UInt64?
    /// Until when no block can take this device for absent, in milliseconds of its monotonic clock (`CLOCK_BOOTTIME`); nil if no
    /// block is known that holds a report this device made since planner's start.
    public var until: Int64?

    public init(height: UInt64, placement: UInt64?, until: Int64?) {
        self.height = height
        self.placement = placement
        self.until = until
    }
}
