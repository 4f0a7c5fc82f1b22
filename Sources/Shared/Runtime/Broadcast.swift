import Synchronization

/// Hands every value to all who listen. A listener that falls behind is dropped rather than waited for: its stream
/// ends, and it resumes from what it had, as after any broken connection.
public final class Broadcast<Value: Sendable>: Sendable {
    private struct State {
        var next = 0
        var listeners: [Int: AsyncStream<Value>.Continuation] = [:]
    }

    private let state = Mutex(State())

    public init() {}

    /// How many listen now.
    public var count: Int { state.withLock { $0.listeners.count } }

    /// Sends to everybody. Call it from one task at a time: two senders at once reach each listener in any order.
    public func send(_ value: Value) {
        // Not under the lock. `yield` resumes a task, which takes that task's own lock; whoever cancels the task holds
        // that one while `leave` waits for ours. Each would wait for the other for ever.
        let listeners = state.withLock { $0.listeners }
        for (id, listener) in listeners {
            if case .enqueued = listener.yield(value) { continue }
            leave(id)
            listener.finish()
        }
    }

    /// A stream of what is sent from now on.
    ///
    /// - Parameters:
    ///   - limit: values that may wait for the listener.
    ///   - first: values that stand before. They were read before the stream begins, so a sender and whoever
    ///     subscribes need a lock of their own around both, or a value sent in between is missed.
    public func subscribe(limit: Int = 4_096, first: [Value] = []) -> AsyncStream<Value> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: Value.self, bufferingPolicy: .bufferingOldest(limit + first.count))
        for value in first { continuation.yield(value) }
        let id = state.withLock { state in
            state.next += 1
            state.listeners[state.next] = continuation
            return state.next
        }
        continuation.onTermination = { [weak self] _ in self?.leave(id) }
        return stream
    }

    private func leave(_ id: Int) {
        _ = state.withLock { $0.listeners.removeValue(forKey: id) }
    }
}
