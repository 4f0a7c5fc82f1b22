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

    public func send(_ value: Value) {
        let dropped = state.withLock { state in
            var dropped: [AsyncStream<Value>.Continuation] = []
            for (id, listener) in state.listeners {
                if case .enqueued = listener.yield(value) { continue }
                state.listeners[id] = nil
                dropped.append(listener)
            }
            return dropped
        }
        // Outside the lock: `finish` calls back into `leave`.
        for listener in dropped { listener.finish() }
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
