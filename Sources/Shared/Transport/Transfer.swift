import CCurl
import CCurlOptions
import Contracts
import Synchronization

/// One exchange in progress. libcurl's thread fills it, a task empties it; neither outruns the other by more than
/// ``bufferLimit`` bytes and one piece.
///
/// Each continuation is taken out of the state under the lock before it is resumed, so it is resumed exactly once;
/// none is put in after ``State/result`` was set, so none waits for ever.
final class Transfer: @unchecked Sendable {
    static let bufferLimit = 1 << 20

    struct Head {
        var status: Int
        var headers: [String: String]
    }

    private struct State {
        var head = Head(status: 0, headers: [:])
        var headComplete = false
        var headWaiter: CheckedContinuation<Head, any Error>?
        var received: [UInt8] = []
        var receivingPaused = false
        var chunkWaiter: CheckedContinuation<[UInt8]?, any Error>?
        var outgoing = Outgoing()
        var sendingPaused = false
        var spaceWaiter: CheckedContinuation<Bool, Never>?
        var result: Result<Void, any Error>?
        /// Milliseconds of the monotonic clock at which bytes last flowed.
        var flowed: Int64 = 0
        var flowing = false
    }

    let endpoint: Endpoint
    /// libcurl's handle. Used by the loop's thread alone once the transfer has been added to it.
    let easy: UnsafeMutableRawPointer
    var headerList: UnsafeMutablePointer<curl_slist>?
    /// Where libcurl says in words what went wrong.
    let errorText = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
    /// Milliseconds for which no byte may flow; nil for ever.
    private let stallLimit: Int64?
    private let state = Mutex(State())

    init(endpoint: Endpoint, easy: UnsafeMutableRawPointer, stallLimit: Int64?) {
        self.endpoint = endpoint
        self.easy = easy
        self.stallLimit = stallLimit
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    }

    deinit {
        curl_slist_free_all(headerList)
        curl_easy_cleanup(easy)
        errorText.deallocate()
    }

    // MARK: The task's side

    func head() async throws -> Head {
        try await withCheckedThrowingContinuation { continuation in
            let now: Result<Head, any Error>? = state.withLock { state in
                if state.headComplete { return .success(state.head) }
                if let result = state.result { return result.flatMap { .failure(noAnswer) } }
                state.headWaiter = continuation
                return nil
            }
            if let now { continuation.resume(with: now) }
        }
    }

    /// The next bytes of the body, all that have come; nil at its end.
    func nextChunk(unpause: () -> Void) async throws -> [UInt8]? {
        try await withCheckedThrowingContinuation { continuation in
            let (now, wake): (Result<[UInt8]?, any Error>?, Bool) = state.withLock { state in
                if !state.received.isEmpty {
                    let chunk = state.received
                    let wake = state.receivingPaused
                    state.received = []
                    state.receivingPaused = false
                    return (.success(chunk), wake)
                }
                if let result = state.result { return (result.map { nil }, false) }
                guard state.chunkWaiter == nil else {
                    return (.failure(HTTPClientError.invalidRequest("two tasks read one answer's body")), false)
                }
                state.chunkWaiter = continuation
                return (nil, false)
            }
            if wake { unpause() }
            if let now { continuation.resume(with: now) }
        }
    }

    /// Hands bytes to libcurl; returns once there is room for more.
    ///
    /// - Returns: false if no more are wanted: the exchange is over, well or badly.
    func write(_ bytes: [UInt8], unpause: () -> Void) async -> Bool {
        let (over, wake) = state.withLock { state in
            guard state.result == nil else { return (true, false) }
            state.outgoing.append(bytes)
            defer { state.sendingPaused = false }
            return (false, state.sendingPaused)
        }
        if over { return false }
        if wake { unpause() }
        return await withCheckedContinuation { continuation in
            let now: Bool? = state.withLock { state in
                if state.result != nil { return false }
                if state.outgoing.count < Self.bufferLimit { return true }
                state.spaceWaiter = continuation
                return nil
            }
            if let now { continuation.resume(returning: now) }
        }
    }

    func endUpload(unpause: () -> Void) {
        let wake = state.withLock { state in
            state.outgoing.ended = true
            defer { state.sendingPaused = false }
            return state.sendingPaused
        }
        if wake { unpause() }
    }

    // MARK: The thread's side

    func receivedHeader(_ line: String) {
        let waiter: (CheckedContinuation<Head, any Error>, Head)? = state.withLock { state in
            state.flowing = true
            // A trailer comes after the body: too late for a head that may have been read.
            if state.headComplete { return nil }
            if line.hasPrefix("HTTP/") {
                let code = line.split(separator: " ", maxSplits: 2).dropFirst().first.flatMap { Int($0) } ?? 0
                state.head = Head(status: code, headers: [:])
            } else if line.isEmpty {
                guard state.head.status >= 200 else { return nil }
                state.headComplete = true
                defer { state.headWaiter = nil }
                return state.headWaiter.map { ($0, state.head) }
            } else if let colon = line.firstIndex(of: ":"), state.head.headers.count < 100 {
                let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
                state.head.headers[line[..<colon].lowercased()] = String(value)
            }
            return nil
        }
        if let (waiter, head) = waiter { waiter.resume(returning: head) }
    }

    /// Takes bytes of the body, or says that there is no room now.
    func received(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let (taken, waiter) = state.withLock { state -> (Bool, CheckedContinuation<[UInt8]?, any Error>?) in
            state.flowing = true
            if let waiter = state.chunkWaiter {
                state.chunkWaiter = nil
                return (true, waiter)
            }
            guard state.received.count < Self.bufferLimit else {
                state.receivingPaused = true
                return (false, nil)
            }
            state.received.append(contentsOf: bytes)
            return (true, nil)
        }
        waiter?.resume(returning: Array(bytes))
        return taken
    }

    /// Fills `buffer` with bytes to send; 0 at the end, nil if there are none now.
    func fill(_ buffer: UnsafeMutableRawBufferPointer) -> Int? {
        let (count, waiter) = state.withLock { state -> (Int?, CheckedContinuation<Bool, Never>?) in
            guard let count = state.outgoing.take(into: buffer) else {
                state.sendingPaused = true
                return (nil, nil)
            }
            state.flowing = true
            guard state.outgoing.count < Self.bufferLimit else { return (count, nil) }
            defer { state.spaceWaiter = nil }
            return (count, state.spaceWaiter)
        }
        waiter?.resume(returning: true)
        return count
    }

    /// Bytes flow, or could: counts the time to a stall from `now`.
    func touch(at now: Int64) { state.withLock { $0.flowed = now } }

    /// When the exchange is to be ended as stalled unless bytes flow before; nil if it can't be.
    ///
    /// An exchange that waits for this side's own task is not the other side's fault and doesn't stall.
    func stallsAt(now: Int64) -> Int64? {
        guard let stallLimit else { return nil }
        return state.withLock { state in
            if state.flowing || state.receivingPaused || state.sendingPaused {
                state.flowing = false
                state.flowed = now
            }
            return state.flowed + stallLimit
        }
    }

    /// The exchange is over. Safe to call twice; the first word counts.
    func finish(_ result: Result<Void, any Error>) {
        let (head, chunk, space) = state.withLock { state in
            if state.result == nil { state.result = result }
            defer {
                state.headWaiter = nil
                state.chunkWaiter = nil
                state.spaceWaiter = nil
            }
            return (state.headWaiter, state.chunkWaiter, state.spaceWaiter)
        }
        head?.resume(with: result.flatMap { .failure(noAnswer) })
        chunk?.resume(with: result.map { nil })
        space?.resume(returning: false)
    }

    private var noAnswer: any Error { HTTPClientError.broken(endpoint, "it ended without an answer") }
}

/// The bytes of an upload that libcurl has not taken yet. No byte is moved more than twice, however large the pieces.
private struct Outgoing {
    private var current: [UInt8] = []
    private var taken = 0
    private var next: [UInt8] = []
    var ended = false

    var count: Int { current.count - taken + next.count }

    mutating func append(_ bytes: [UInt8]) {
        if next.isEmpty { next = bytes } else { next += bytes }
    }

    /// How many bytes were put into `buffer`; 0 at the end, nil if there are none now.
    mutating func take(into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        if taken == current.count {
            current = next
            next = []
            taken = 0
        }
        let count = min(buffer.count, current.count - taken)
        if count == 0 { return ended ? 0 : nil }
        current.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[taken..<taken + count])) }
        taken += count
        return count
    }
}
