import Contracts

/// An answer whose body is read as it comes.
public struct StreamingResponse: Sendable {
    public var status: Int
    /// By lower-case name.
    public var headers: [String: String]
    /// Ends the transfer if it is dropped before its end.
    public var body: ResponseChunks

    /// This answer if its status is 2xx; otherwise the problem that its body tells.
    public func successful() async throws -> StreamingResponse {
        guard (200..<300).contains(status) else {
            var text: [UInt8] = []
            for try await chunk in body where text.count < 65_536 { text += chunk }
            throw Problem(status: status, body: text)
        }
        return self
    }

    /// The body's lines, without their ends; empty ones (a feed's heartbeats) are left out.
    ///
    /// - Parameter limit: bytes of a line at most.
    public func lines(limit: Int = 4 << 20) -> Lines { Lines(chunks: body, limit: limit) }
}

/// Ends a transfer when nobody can read it any more.
final class TransferHold: Sendable {
    let transfer: Transfer
    private let loop: CurlLoop

    init(transfer: Transfer, loop: CurlLoop) {
        self.transfer = transfer
        self.loop = loop
    }

    deinit { loop.cancel(transfer) }

    func cancel() { loop.cancel(transfer) }

    func nextChunk() async throws -> [UInt8]? {
        try await withTaskCancellationHandler {
            try await transfer.nextChunk { loop.unpause(transfer) }
        } onCancel: {
            loop.cancel(transfer)
        }
    }
}

/// A body as it arrives. Read it once.
public struct ResponseChunks: AsyncSequence, Sendable {
    let hold: TransferHold

    public func makeAsyncIterator() -> Iterator { Iterator(hold: hold) }

    public struct Iterator: AsyncIteratorProtocol {
        let hold: TransferHold

        public func next() async throws -> [UInt8]? { try await hold.nextChunk() }
    }
}

/// The lines of a body.
public struct Lines: AsyncSequence, Sendable {
    let chunks: ResponseChunks
    let limit: Int

    public func makeAsyncIterator() -> Iterator { Iterator(chunks: chunks.makeAsyncIterator(), limit: limit) }

    public struct Iterator: AsyncIteratorProtocol {
        let chunks: ResponseChunks.Iterator
        var splitter: LineSplitter

        init(chunks: ResponseChunks.Iterator, limit: Int) {
            self.chunks = chunks
            splitter = LineSplitter(limit: limit)
        }

        /// - Throws: ``HTTPClientError/responseTooLarge(_:limit:)`` for a line that is too long.
        public mutating func next() async throws -> [UInt8]? {
            while true {
                switch splitter.next() {
                case .line(let line): return line
                case .tooLong:
                    throw HTTPClientError.responseTooLarge(chunks.hold.transfer.endpoint, limit: splitter.limit)
                case .incomplete:
                    guard let chunk = try await chunks.next() else { return nil }
                    splitter.append(chunk)
                }
            }
        }
    }
}

/// Cuts bytes into lines; looks at each byte once, however they arrive.
struct LineSplitter {
    enum Step: Equatable {
        case line([UInt8])
        case incomplete
        case tooLong
    }

    let limit: Int
    private var buffer: [UInt8] = []
    /// Where the next line begins.
    private var start = 0
    /// Up to where there is no line's end.
    private var searched = 0

    init(limit: Int) { self.limit = limit }

    mutating func append(_ bytes: [UInt8]) {
        buffer.removeFirst(start)
        searched -= start
        start = 0
        buffer += bytes
    }

    /// The next line that isn't empty. Bytes after the last line's end are never one: the line was cut off.
    mutating func next() -> Step {
        while true {
            guard let end = buffer[searched...].firstIndex(of: 0x0A) else {
                searched = buffer.count
                return searched - start > limit ? .tooLong : .incomplete
            }
            defer {
                start = end + 1
                searched = start
            }
            if end - start > limit { return .tooLong }
            if end > start { return .line(Array(buffer[start..<end])) }
        }
    }
}
