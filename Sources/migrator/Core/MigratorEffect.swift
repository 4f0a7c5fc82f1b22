import Contracts

/// What the shell does for the core, in the order given. An effect that persists is durable before the next one starts.
public enum MigratorEffect: Sendable {
    case persist(Journal)
    /// To be done beside the loop; ends with ``MigratorEvent/Kind/finished(_:_:_:)``.
    case perform(OperationID, Operation)
    /// The operation is of no more use. It still ends with its event, as soon as it can.
    case cancel(OperationID)
    /// To list the copies on this device; ends with ``MigratorEvent/Kind/observed(_:_:)``.
    case observe(UInt64)
    /// To planner, which may get it several times.
    case post(Receipt)
    case answer(RequestID, HandoffAnswer)
    /// One timer: a later one replaces it.
    case wake(at: Int64)
}

public struct OperationID: Hashable, Sendable {
    public var number: UInt64
    public init(_ number: UInt64) { self.number = number }
}

/// What another migrator hears.
public enum HandoffAnswer: Hashable, Sendable {
    case accepted
    case running
    case problem(Problem)
}

/// One thing to do with the engine or with another device. Each must be safe to repeat after a crash in its middle,
/// and counts what is done already as done.
public enum Operation: Hashable, Sendable {
    /// Make and start the app anew; get its image from here, a registry or a peer. `.refused` if it can't run here.
    case start(PlacedApp, peers: [PlacedNode])
    /// Start the copy again, which ended.
    case restart(Copy)
    case freeze(Copy)
    case thaw(Copy)
    /// Give a copy another name, frozen with its memory, or ended if it is in the way of what comes.
    case setAside(Copy, ended: Bool)
    /// End the copies after `grace` seconds and remove them; with `volumes` those that Poise made for the app too.
    case remove(app: String, copies: [String], grace: Int, volumes: Bool)

    case prepare(Outgoing, peer: PlacedNode, remaining: Int64)
    case checkpoint(Outgoing)
    case ship(Outgoing, peer: PlacedNode, remaining: Int64)
    case askRestore(Outgoing, peer: PlacedNode)
    /// Start the app from its checkpoint, or, where that is lost or fails for good, anew.
    case resume(Outgoing, fromCheckpoint: Bool)

    case restore(Incoming)
    /// End and remove the copy of a handoff that came to nothing, with all that was received for it.
    case discard(HandoffKey)
}
