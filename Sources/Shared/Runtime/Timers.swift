import Synchronization

/// One-shot timers by key, on the monotonic clock. Arming a key again replaces its timer.
///
/// A timer that was cancelled or replaced before it began to fire never fires.
public final class Timers<Key: Hashable & Sendable>: Sendable {
    private struct Armed {
        var generation: UInt64
        var task: Task<Void, Never>
    }

    private struct State {
        var generation: UInt64 = 0
        var armed: [Key: Armed] = [:]
    }

    private let state = Mutex(State())

    public init() {}

    deinit { state.withLock { $0.armed.values }.forEach { $0.task.cancel() } }

    /// How many timers have neither fired nor been cancelled.
    public var count: Int { state.withLock { $0.armed.count } }

    public func arm(_ key: Key, after delay: Duration, then fire: @escaping @Sendable () -> Void) {
        let replaced = state.withLock { state in
            state.generation += 1
            let generation = state.generation
            let task = Task { [weak self] in
                do { try await Task.sleep(for: delay, clock: .continuous) } catch { return }
                if self?.take(key, generation) == true { fire() }
            }
            return state.armed.updateValue(Armed(generation: generation, task: task), forKey: key)
        }
        // Outside the lock, as a task's cancellation takes locks of its own.
        replaced?.task.cancel()
    }

    public func cancel(_ key: Key) {
        state.withLock { $0.armed.removeValue(forKey: key) }?.task.cancel()
    }

    /// Whether this very timer was still armed; it no longer is.
    private func take(_ key: Key, _ generation: UInt64) -> Bool {
        state.withLock { state in
            guard state.armed[key]?.generation == generation else { return false }
            state.armed[key] = nil
            return true
        }
    }
}
