public import Contracts

/// A queued app gets a node.
public struct Assignment: ByteCodable, Hashable {
    public var app: String
    public var node: NodeID

    public init(app: String, node: NodeID) {
        self.app = app
        self.node = node
    }

    public func encode(to writer: inout ByteWriter) {
        writer.text(app)
        writer.value(node)
    }

    public init(from reader: inout ByteReader) throws {
        app = try reader.text("an app's name", limit: AppSpecification.nameLimit)
        node = try reader.value()
    }
}

/// A running app goes to another node.
public struct Move: ByteCodable, Hashable {
    public var app: String
    public var from: NodeID
    public var to: NodeID

    public init(app: String, from: NodeID, to: NodeID) {
        self.app = app
        self.from = from
        self.to = to
    }

    public func encode(to writer: inout ByteWriter) {
        writer.text(app)
        writer.value(from)
        writer.value(to)
    }

    public init(from reader: inout ByteReader) throws {
        app = try reader.text("an app's name", limit: AppSpecification.nameLimit)
        from = try reader.value()
        to = try reader.value()
    }
}

/// What one block does to the placement: a pure function of the state before it.
public struct Plan: ByteCodable, Hashable {
    /// Assignments, and moves, of one block at most.
    public static let limit = 256

    public var assignments: [Assignment]
    public var moves: [Move]

    public init(assignments: [Assignment] = [], moves: [Move] = []) {
        self.assignments = assignments
        self.moves = moves
    }

    public var isEmpty: Bool { assignments.isEmpty && moves.isEmpty }

    public func encode(to writer: inout ByteWriter) {
        writer.list(assignments)
        writer.list(moves)
    }

    public init(from reader: inout ByteReader) throws {
        assignments = try reader.list("a plan's assignments", limit: Self.limit)
        moves = try reader.list("a plan's moves", limit: Self.limit)
    }
}
