import Contracts
import Runtime
import Synchronization

/// The newest placement, for the migrator's feed.
final class PlacementBoard: Sendable {
    /// A reader that is so many behind starts anew with the newest: each placement is the whole site.
    private static let backlog = 16

    private let latest = Mutex<Placement?>(nil)
    private let changes = Broadcast<Placement>()

    var placement: Placement? { latest.withLock { $0 } }

    func show(_ placement: Placement) {
        // Under the lock, so that a reader who subscribes now misses none and sees none twice.
        latest.withLock { latest in
            latest = placement
            changes.send(placement)
        }
    }

    /// The newest placement, if there is one, then each later one.
    func feed() -> AsyncStream<Placement> {
        latest.withLock { latest in
            changes.subscribe(limit: Self.backlog, first: latest.map { [$0] } ?? [])
        }
    }
}
