import CCurl
import CCurlOptions
import Contracts
import Synchronization

/// One exchange in progress. libcurl's thread fills it, a task empties it; neither outruns the other by more than
/// ``bufferLimit`` bytes.
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
        var chunks: [[UInt8]] = []
        var buffered = 0
        var receivingPaused = false
        var chunkWaiter: CheckedContinuation<[UInt8]?, any Error>?
        var upload: [UInt8] = []
        var uploadEnded = false
        var sendingPaused = false
        var spaceWaiter: CheckedContinuation<Void, any Error>?
        var result: Result<Void, any Error>?
    }

    let endpoint: Endpoint
    /// libcurl's handle. Used by the loop's thread alone once the transfer has been added to it.
    let easy: UnsafeMutableRawPointer
    var headerList: UnsafeMutablePointer<curl_slist>?
    private let state = Mutex(State())

    init(endpoint: Endpoint, easy: UnsafeMutableRawPointer) {
        self.endpoint = endpoint
        self.easy = easy
    }

    deinit {
        curl_slist_free_all(headerList)
        curl_easy_cleanup(easy)
    }

    // MARK: The task's side

    func head() async throws -> Head {
        try await withCheckedThrowingContinuation { continuation in
            let now: Result<Head, any Error>? = state.withLock { state in
                if state.headComplete { return .success(state.head) }
                if case .failure(let error) = state.result { return .failure(error) }
                state.headWaiter = continuation
                return nil
            }
            if let now { continuation.resume(with: now) }
        }
    }

    /// The next bytes of the body; nil at its end.
    func nextChunk(unpause: () -> Void) async throws -> [UInt8]? {
        let wanted = state.withLock { state in
            let wanted = state.receivingPaused && state.buffered <= Self.bufferLimit / 2
            if wanted { state.receivingPaused = false }
            return wanted
        }
        if wanted { unpause() }
        return try await withCheckedThrowingContinuation { continuation in
            let now: Result<[UInt8]?, any Error>? = state.withLock { state in
                if !state.chunks.isEmpty {
                    let chunk = state.chunks.removeFirst()
                    state.buffered -= chunk.count
                    return .success(chunk)
                }
                if let result = state.result { return result.map { nil } }
                state.chunkWaiter = continuation
                return nil
            }
            if let now { continuation.resume(with: now) }
        }
    }

    /// Hands bytes to libcurl; returns once there is room for more.
    func write(_ bytes: [UInt8], unpause: () -> Void) async throws {
        let wake = state.withLock { state in
            state.upload += bytes
            defer { state.sendingPaused = false }
            return state.sendingPaused
        }
        if wake { unpause() }
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            let now: Result<Void, any Error>? = state.withLock { state in
                if let result = state.result { return result }
                if state.upload.count < Self.bufferLimit { return .success(()) }
                state.spaceWaiter = continuation
                return nil
            }
            if let now { continuation.resume(with: now) }
        }
    }

    func endUpload(unpause: () -> Void) {
        let wake = state.withLock { state in
            state.uploadEnded = true
            defer { state.sendingPaused = false }
            return state.sendingPaused
        }
        if wake { unpause() }
    }

    // MARK: The thread's side

    func receivedHeader(_ line: String) {
        let waiter: (CheckedContinuation<Head, any Error>, Head)? = state.withLock { state in
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
        waiter.map { $0.0.resume(returning: $0.1) }
    }

    /// Takes bytes of the body, or says that there is no room now.
    func received(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var waiter: CheckedContinuation<[UInt8]?, any Error>?
        let taken = state.withLock { state in
            if let waiting = state.chunkWaiter {
                waiter = waiting
                state.chunkWaiter = nil
                return true
            }
            guard state.buffered < Self.bufferLimit else {
                state.receivingPaused = true
                return false
            }
            state.chunks.append(Array(bytes))
            state.buffered += bytes.count
            return true
        }
        waiter?.resume(returning: Array(bytes))
        return taken
    }

    /// Fills `buffer` with bytes to send; 0 at the end, nil if there are none now.
    func fill(_ buffer: UnsafeMutableRawBufferPointer) -> Int? {
        var waiter: CheckedContinuation<Void, any Error>?
        let count: Int? = state.withLock { state in
            guard !state.upload.isEmpty else {
                if state.uploadEnded { return 0 }
                state.sendingPaused = true
                return nil
            }
            let count = min(buffer.count, state.upload.count)
            buffer.copyBytes(from: state.upload.prefix(count))
            state.upload.removeFirst(count)
            if state.upload.count < Self.bufferLimit {
                waiter = state.spaceWaiter
                state.spaceWaiter = nil
            }
            return count
        }
        waiter?.resume()
        return count
    }

    /// The exchange is over. Safe to call twice; the first word counts.
    func finish(_ result: Result<Void, any Error>) {
        let (head, chunk, space, complete) = state.withLock { state in
            if state.result == nil { state.result = result }
            defer {
                state.headWaiter = nil
                state.chunkWaiter = nil
                state.spaceWaiter = nil
            }
            return (state.headWaiter, state.chunkWaiter, state.spaceWaiter, state.headComplete)
        }
        if let head {
            let broken = HTTPClientError.broken(endpoint, "it ended without an answer")
            head.resume(throwing: result.failure ?? (complete ? CancellationError() : broken))
        }
        chunk?.resume(with: result.map { nil })
        space?.resume(with: result)
    }
}

extension Result {
    fileprivate var failure: Failure? {
        if case .failure(let error) = self { error } else { nil }
    }
}
