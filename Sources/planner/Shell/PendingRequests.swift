import Contracts
import PlannerCore
import Synchronization

/// Requests of local clients that wait for the core's answer.
final class PendingRequests: Sendable {
    static let limit = 1_024

    private struct State {
        var next: UInt64 = 0
        var waiting: [RequestID: CheckedContinuation<Problem?, Never>] = [:]
    }

    private let state = Mutex(State())

    /// Sends a request and waits for its answer.
    ///
    /// - Parameter send: hands the request to the core.
    /// - Throws: `Problem`: the core's, 503 if too many wait, or 504 if no answer comes within `timeout`.
    func ask(timeout: Duration, send: @Sendable (RequestID) -> Void) async throws {
        guard let id = reserve() else {
            throw Problem(
                503, "too-many-requests", "\(Self.limit) requests wait for an answer already; try again later")
        }
        let expiry = Task {
            do { try await Task.sleep(for: timeout) } catch { return }
            self.answer(
                id,
                Problem(
                    504, "no-answer",
                    "the site did not confirm this within \(timeout.components.seconds) s. It may still do so; `planner health` says what is missing"
                ))
        }
        defer { expiry.cancel() }
        let problem = await withCheckedContinuation { continuation in
            state.withLock { $0.waiting[id] = continuation }
            send(id)
        }
        if let problem { throw problem }
    }

    private func reserve() -> RequestID? {
        state.withLock { state in
            guard state.waiting.count < Self.limit else { return nil }
            state.next += 1
            return RequestID(state.next)
        }
    }

    /// Hands over an answer; one that nobody waits for any more is passed over.
    func answer(_ id: RequestID, _ problem: Problem?) {
        let continuation = state.withLock { $0.waiting.removeValue(forKey: id) }
        continuation?.resume(returning: problem)
    }
}
