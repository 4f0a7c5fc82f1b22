import Contracts

/// A container of an app, as the engine shows it.
public struct Copy: Codable, Hashable, Sendable {
    public enum State: Codable, Hashable, Sendable {
        /// Made and not yet started: also what a restore that failed leaves behind.
        case created
        case running
        /// Its processes are stopped where they are, with their memory.
        case frozen
        /// It ran and ended with this status.
        case ended(Int)
    }

    /// The engine's own name for it.
    public var id: String
    public var app: String
    public var incarnation: UInt64
    /// Whether it was set aside under another name, because the chain has a newer incarnation.
    public var isSetAside: Bool
    public var state: State
    /// As its app's specification has it. It stands with the copy, for a migrator may have to act on it before planner answers.
    public var isolated: IsolationPolicy

    public init(
        id: String, app: String, incarnation: UInt64, isSetAside: Bool = false, state: State,
        isolated: IsolationPolicy = .run
    ) {
        self.id = id
        self.app = app
        self.incarnation = incarnation
        self.isSetAside = isSetAside
        self.state = state
        self.isolated = isolated
    }
}

/// Names a handoff: an app and the incarnation that it gets at its target. The chain never gives one twice.
public struct HandoffKey: Codable, Hashable, Sendable, Comparable, CustomStringConvertible {
    public var app: String
    public var incarnation: UInt64

    public init(app: String, incarnation: UInt64) {
        self.app = app
        self.incarnation = incarnation
    }

    public static func < (a: Self, b: Self) -> Bool { (a.app, a.incarnation) < (b.app, b.incarnation) }
    public var description: String { "\(app)/\(incarnation)" }
}
