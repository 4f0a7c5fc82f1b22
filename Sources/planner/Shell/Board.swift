import Contracts
import Runtime
import Synchronization

/// The newest of something, and each later one, for the migrator's feeds.
final class Board<Value: Sendable>: Sendable {
    /// A reader that is so many behind starts anew with the newest, which is all that counts.
    private static var backlog: Int { 16 }

    private let latest = Mutex<Value?>(nil)
    private let changes = Broadcast<Value>()

    var newest: Value? { latest.withLock { $0 } }

    func show(_ value: Value) {
        // Under the lock, so that a reader who subscribes now misses none and sees none twice.
        latest.withLock { latest in
            latest = value
            changes.send(value)
        }
    }

    /// The newest, if there is one, then each later one.
    func feed() -> AsyncStream<Value> {
        latest.withLock { latest in
            changes.subscribe(limit: Self.backlog, first: latest.map { [$0] } ?? [])
        }
    }
}
