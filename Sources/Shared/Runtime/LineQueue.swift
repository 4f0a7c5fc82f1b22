import Synchronization

/// Between a feed and its connection: the feed puts lines, the connection takes all that wait. One task on each side.
final class LineQueue: Sendable {
    /// Bytes that may wait before the feed must.
    static let limit = 65_536

    private struct State {
        var bytes: [UInt8] = []
        var ended = false
        var taker: CheckedContinuation<[UInt8]?, Never>?
        var putter: CheckedContinuation<Bool, Never>?
        /// When the connection was handed bytes, until it comes for more.
        var handedOver: ContinuousClock.Instant?
    }

    private let state = Mutex(State())

    /// Puts a line, with its end, and waits until there is room for another.
    ///
    /// - Returns: false if nobody will take it.
    func put(_ line: [UInt8]) async -> Bool {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (room, taker) = state.withLock { state -> (Bool?, CheckedContinuation<[UInt8]?, Never>?) in
                    guard !state.ended else { return (false, nil) }
                    if let taker = state.taker {
                        state.taker = nil
                        state.handedOver = .now
                        return (true, taker)
                    }
                    state.bytes += line
                    if state.bytes.count < Self.limit { return (true, nil) }
                    state.putter = continuation
                    return (nil, nil)
                }
                taker?.resume(returning: line)
                if let room { continuation.resume(returning: room) }
            }
        } onCancel: {
            close()
        }
    }

    /// All bytes that wait, as soon as there are any; nil after the end.
    func take() async -> [UInt8]? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (bytes, putter) = state.withLock { state -> ([UInt8]??, CheckedContinuation<Bool, Never>?) in
                    state.handedOver = nil
                    if !state.bytes.isEmpty {
                        defer {
                            state.bytes = []
                            state.putter = nil
                            state.handedOver = .now
                        }
                        return (state.bytes, state.putter)
                    }
                    if state.ended { return (.some(nil), nil) }
                    state.taker = continuation
                    return (nil, nil)
                }
                putter?.resume(returning: true)
                if let bytes { continuation.resume(returning: bytes) }
            }
        } onCancel: {
            close()
        }
    }

    /// Puts an empty line if nothing else waits.
    ///
    /// - Returns: false if the connection has been busy with what it took for longer than `patience`.
    func beat(patience: Duration) -> Bool {
        let (patient, taker) = state.withLock { state -> (Bool, CheckedContinuation<[UInt8]?, Never>?) in
            if let since = state.handedOver { return (since.duration(to: .now) <= patience, nil) }
            guard let taker = state.taker else { return (true, nil) }
            state.taker = nil
            state.handedOver = .now
            return (true, taker)
        }
        taker?.resume(returning: [0x0A])
        return patient
    }

    /// No more lines come; those that wait can still be taken.
    func end() {
        let taker = state.withLock { state in
            state.ended = true
            defer { state.taker = nil }
            return state.taker
        }
        taker?.resume(returning: nil)
    }

    /// Nobody takes any more.
    func close() {
        let (taker, putter) = state.withLock { state in
            state.ended = true
            state.bytes = []
            defer {
                state.taker = nil
                state.putter = nil
            }
            return (state.taker, state.putter)
        }
        taker?.resume(returning: nil)
        putter?.resume(returning: false)
    }
}
