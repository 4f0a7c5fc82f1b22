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

    /// What `body` makes of the machine, between two steps. Events sent before are taken first, unless the loop has
    /// ended: then it is the machine as the loop left it.
    public func read<T: Sendable>(_ body: @escaping @Sendable (M) -> T) async -> T {
        await withCheckedContinuation { continuation in
            let result = input.yield(.read { machine in continuation.resume(returning: body(machine)) })
            if case .enqueued = result { return }
            continuation.resume(returning: machine.withLock { body($0) })
        }
    }

    /// Steps until the task is cancelled. Call once.
    ///
    /// - Throws: what an effect throws; ``QueueOverflow``.
    public func run() async throws {
        do { try await work() } catch {
            await close()
            throw error
        }
        await close()
        if overflowed.withLock({ $0 }) { throw QueueOverflow(limit: Self.queueLimit) }
    }

    private func work() async throws {
        for await work in queue {
            // Events that still wait when the task is cancelled are not taken: whoever cancels wants an end.
            if Task.isCancelled { return perform(onlyReadOf: work) }
            switch work {
            case .event(let event):
                for effect in machine.withLock({ $0.step(event) }) { try await perform(effect, self) }
            case .read: perform(onlyReadOf: work)
            }
        }
    }

    /// Answers the reads that still wait, so that no task waits for ever on a loop that has ended.
    private func close() async {
        input.finish()
        for await work in queue { perform(onlyReadOf: work) }
    }

    private func perform(onlyReadOf work: Work) {
        if case .read(let body) = work { body(machine.withLock { $0 }) }
    }
}

/// More events waited than may.
public struct QueueOverflow: Error, CustomStringConvertible {
    public var limit: Int
    public var description: String { "more than \(limit) events wait to be handled: this device can't keep up" }
}
