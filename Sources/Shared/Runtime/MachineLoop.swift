import Machine
import Synchronization

/// Runs a core: events in the order they arrive, each one's effects performed in order before the next event.
///
/// An effect that throws ends the loop, and with it the process: a core whose effect was lost would go on from a
/// state that the world doesn't share.
public final class MachineLoop<M: StateMachine>: Sendable {
    /// Events that may wait. Beyond it the process can't keep up and had better start anew than grow.
    public static var queueLimit: Int { 65_536 }

    private enum Work: Sendable {
        case event(M.Event)
        case read(@Sendable (M) -> Void)
    }

    private let machine: Mutex<M>
    private let perform: @Sendable (M.Effect, MachineLoop<M>) async throws -> Void
    private let queue: AsyncStream<Work>
    private let input: AsyncStream<Work>.Continuation
    private let overflowed = Mutex(false)

    public init(_ machine: M, perform: @escaping @Sendable (M.Effect, MachineLoop<M>) async throws -> Void) {
        self.machine = Mutex(machine)
        self.perform = perform
        (queue, input) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.queueLimit))
    }

    /// Puts an event into the queue.
    public func send(_ event: M.Event) {
        if case .dropped = input.yield(.event(event)) {
            overflowed.withLock { $0 = true }
            input.finish()
        }
    }

    /// What `body` makes of the machine, between two steps. Events sent before are taken first.
    public func read<T: Sendable>(_ body: @escaping @Sendable (M) -> T) async -> T {
        await withCheckedContinuation { continuation in
            let result = input.yield(.read { machine in continuation.resume(returning: body(machine)) })
            if case .enqueued = result { return }
            continuation.resume(returning: machine.withLock { body($0) })
        }
    }

    /// Steps until the task is cancelled.
    ///
    /// - Throws: what an effect throws; ``QueueOverflow``.
    public func run() async throws {
        for await work in queue {
            switch work {
            case .event(let event):
                for effect in machine.withLock({ $0.step(event) }) { try await perform(effect, self) }
            case .read(let body):
                body(machine.withLock { $0 })
            }
        }
        if overflowed.withLock({ $0 }) { throw QueueOverflow(limit: Self.queueLimit) }
    }
}

/// More events waited than may.
public struct QueueOverflow: Error, CustomStringConvertible {
    public var limit: Int
    public var description: String { "more than \(limit) events wait to be handled: this device can't keep up" }
}
