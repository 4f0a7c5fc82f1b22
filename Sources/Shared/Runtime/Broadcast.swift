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
    ///   - first: values that stand before. They were read earlier than the stream begins: where a value sent in
    ///     between must not be missed, use ``subscribe(limit:after:)``.
    public func subscribe(limit: Int = 4_096, first: [Value] = []) -> AsyncStream<Value> {
        subscribe(limit: limit) { first }
    }

    /// A stream of what `current` returns and then of what is sent from now on, without a gap between them.
    ///
    /// A sender must make a value current before it sends it; then no listener misses one. It may see one twice.
    /// - Parameter current: called while nothing can be sent; it must not use this object.
    public func subscribe(limit: Int = 4_096, after current: () -> [Value]) -> AsyncStream<Value> {
        state.withLock { state in
            let first = current()
            let (stream, continuation) = AsyncStream.makeStream(
                of: Value.self, bufferingPolicy: .bufferingOldest(limit + first.count))
            for value in first { continuation.yield(value) }
            state.next += 1
            let id = state.next
            state.listeners[id] = continuation
            continuation.onTermination = { [weak self] _ in self?.leave(id) }
            return stream
        }
    }

    private func leave(_ id: Int) {
        _ = state.withLock { $0.listeners.removeValue(forKey: id) }
    }
}
