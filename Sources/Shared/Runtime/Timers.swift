import Synchronization

/// One-shot timers by key, on the monotonic clock. Arming a key again replaces its timer.
public final class Timers<Key: Hashable & Sendable>: Sendable {
    private let tasks = Mutex<[Key: Task<Void, Never>]>([:])

    public init() {}

    deinit { tasks.withLock { $0.values.forEach { $0.cancel() } } }

    public func arm(_ key: Key, after delay: Duration, then fire: @escaping @Sendable () -> Void) {
        let task = Task {
            do { try await Task.sleep(for: delay, clock: .continuous) } catch { return }
            fire()
        }
        tasks.withLock { $0.updateValue(task, forKey: key) }?.cancel()
    }

    public func cancel(_ key: Key) {
        tasks.withLock { $0.removeValue(forKey: key) }?.cancel()
    }
}
