import Contracts
import Runtime
import Synchronization

/// Where the newest state matrix hangs, for whoever comes by and for those who wait for the next.
final class LoadBoard: Sendable {
    /// Samples that a reader may lag behind before it is cut off: what it would then read is no longer news.
    static let lag = 16

    private let newest = Mutex<LoadMatrix?>(nil)
    private let readers = Broadcast<LoadMatrix>()

    var latest: LoadMatrix? { newest.withLock { $0 } }
    var readerCount: Int { readers.count }

    func publish(_ matrix: LoadMatrix) {
        newest.withLock {
            $0 = matrix
            readers.send(matrix)
        }
    }

    func withdraw() { newest.withLock { $0 = nil } }

    /// The newest matrix, if there is one, and each that follows.
    func follow() -> AsyncStream<LoadMatrix> {
        newest.withLock { readers.subscribe(limit: Self.lag, first: $0.map { [$0] } ?? []) }
    }
}
