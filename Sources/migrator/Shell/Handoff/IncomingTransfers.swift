import Contracts
import MigratorCore
import Synchronization

/// Who is writing for which handoff. What a handoff has received may be used or removed only when nobody writes it any
/// more, so a restore or a discard closes it first.
final class IncomingTransfers: Sendable {
    private struct Handoff {
        var isClosed = false
        var next = 0
        var cancels: [Int: @Sendable () -> Void] = [:]
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let handoffs = Mutex<[HandoffKey: Handoff]>([:])

    /// Does `body` as a part of the handoff.
    ///
    /// - Throws: `Problem` 409 if it is closed; what `body` throws; `CancellationError` if it is closed meanwhile.
    func write<T: Sendable>(_ key: HandoffKey, _ body: @escaping @Sendable () async throws -> T) async throws -> T {
        let task = Task { try await body() }
        let cancel: @Sendable () -> Void = { task.cancel() }
        let id: Int? = handoffs.withLock { handoffs in
            var handoff = handoffs[key] ?? Handoff()
            guard !handoff.isClosed else { return nil }
            handoff.next += 1
            handoff.cancels[handoff.next] = cancel
            handoffs[key] = handoff
            return handoff.next
        }
        guard let id else {
            task.cancel()
            throw Problem(409, "undecided", "the handoff of \(key) takes nothing more")
        }
        defer { leave(key, id) }
        return try await withTaskCancellationHandler {
            try await task.value
        } onCancel: {
            task.cancel()
        }
    }

    private func leave(_ key: HandoffKey, _ id: Int) {
        let waiters = handoffs.withLock { handoffs -> [CheckedContinuation<Void, Never>] in
            handoffs[key]?.cancels[id] = nil
            guard handoffs[key]?.cancels.isEmpty == true else { return [] }
            defer { handoffs[key]?.waiters = [] }
            return handoffs[key]?.waiters ?? []
        }
        waiters.forEach { $0.resume() }
    }

    /// Ends all writing for the handoff and lets none begin.
    func close(_ key: HandoffKey) async {
        let cancels = handoffs.withLock { handoffs -> [@Sendable () -> Void] in
            handoffs[key, default: Handoff()].isClosed = true
            return handoffs[key].map { Array($0.cancels.values) } ?? []
        }
        cancels.forEach { $0() }
        await withCheckedContinuation { continuation in
            let isQuiet = handoffs.withLock { handoffs in
                if handoffs[key]?.cancels.isEmpty ?? true { return true }
                handoffs[key]?.waiters.append(continuation)
                return false
            }
            if isQuiet { continuation.resume() }
        }
    }

    func reopen(_ key: HandoffKey) { handoffs.withLock { $0[key]?.isClosed = false } }

    func forget(except kept: Set<HandoffKey>) {
        handoffs.withLock { handoffs in
            handoffs = handoffs.filter { kept.contains($0.key) || !$0.value.cancels.isEmpty }
        }
    }
}
