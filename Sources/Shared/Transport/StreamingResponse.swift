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
    let loop: CurlLoop

    init(transfer: Transfer, loop: CurlLoop) {
        self.transfer = transfer
        self.loop = loop
    }

    deinit { loop.cancel(transfer) }
}

/// A body as it arrives. Read it once.
public struct ResponseChunks: AsyncSequence, Sendable {
    let hold: TransferHold

    public func makeAsyncIterator() -> Iterator { Iterator(hold: hold) }

    public struct Iterator: AsyncIteratorProtocol {
        let hold: TransferHold

        public func next() async throws -> [UInt8]? {
            let (transfer, loop) = (hold.transfer, hold.loop)
            return try await withTaskCancellationHandler {
                try await transfer.nextChunk { loop.unpause(transfer) }
            } onCancel: {
                loop.cancel(transfer)
            }
        }
    }
}

/// The lines of a body.
public struct Lines: AsyncSequence, Sendable {
    let chunks: ResponseChunks
    let limit: Int

    public func makeAsyncIterator() -> Iterator { Iterator(chunks: chunks.makeAsyncIterator(), limit: limit) }

    public struct Iterator: AsyncIteratorProtocol {
        let chunks: ResponseChunks.Iterator
        let limit: Int
        var buffer: [UInt8] = []
        var ready: [[UInt8]] = []

        init(chunks: ResponseChunks.Iterator, limit: Int) {
            self.chunks = chunks
            self.limit = limit
        }

        /// - Throws: ``HTTPClientError/responseTooLarge(_:limit:)`` for a line that never ends.
        public mutating func next() async throws -> [UInt8]? {
            while ready.isEmpty {
                guard let chunk = try await chunks.next() else { return nil }
                buffer += chunk
                var parts = buffer.split(separator: 0x0A, omittingEmptySubsequences: false)
                buffer = Array(parts.removeLast())
                guard buffer.count <= limit else {
                    throw HTTPClientError.responseTooLarge(chunks.hold.transfer.endpoint, limit: limit)
                }
                ready = parts.filter { !$0.isEmpty }.map(Array.init)
            }
            return ready.removeFirst()
        }
    }
}
