import Contracts
import Logging
import Synchronization
import Transport

/// Follows a feed of another service of this device for ever: reconnects with back-off, resumes where it was.
public final class FeedReader<Line: Decodable & Sendable>: Sendable {
    private let client: HTTPClient
    private let socket: String
    private let path: @Sendable (String?) -> String
    private let cursor: @Sendable (Line) -> String?
    private let state = Mutex(HealthCheck(.warn, "not connected yet"))
    private let log: Logger
    private let name: String

    /// - Parameters:
    ///   - name: whose feed it is, for the log.
    ///   - path: the path to get, given where to resume.
    ///   - cursor: where to resume after a line; nil if the feed always begins with its newest state.
    public init(
        _ name: String, client: HTTPClient, socket: String, path: @escaping @Sendable (String?) -> String,
        cursor: @escaping @Sendable (Line) -> String? = { _ in nil }
    ) {
        self.name = name
        self.client = client
        self.socket = socket
        self.path = path
        self.cursor = cursor
        log = Logger(label: "\(name) feed")
    }

    /// Whether the feed flows, and why not.
    public var check: HealthCheck { state.withLock { $0 } }

    /// Reads until the task is cancelled.
    ///
    /// A line that isn't understood is logged and passed over: one bad line must not cut a service off from its upstream.
    /// - Throws: what `each` throws.
    public func follow(
        connected: @Sendable () async -> Void = {}, each: @Sendable (Line) async throws -> Void
    ) async throws {
        var resume: String?
        var delay = Duration.milliseconds(100)
        while !Task.isCancelled {
            do {
                // The feed's own heartbeats are 5 s apart: a longer silence is a dead connection.
                let request = ClientRequest("GET", .unix(socket), path(resume), timeout: nil, stall: .seconds(15))
                let response = try await client.stream(request).successful()
                if check.status != .pass { log.info("connected to \(socket)") }
                state.withLock { $0 = HealthCheck(.pass) }
                delay = .milliseconds(100)
                await connected()
                // The longest line is a placement: it holds the specification of every app.
                var lines = response.lines(limit: 64 << 20).makeAsyncIterator()
                while let bytes = try await lines.next() {
                    guard let line = decode(bytes) else { continue }
                    do { try await each(line) } catch { throw HandlerFailure(error: error) }
                    resume = cursor(line) ?? resume
                }
                throw HTTPClientError.broken(.unix(socket), "the feed ended")
            } catch let failure as HandlerFailure {
                throw failure.error
            } catch is CancellationError {
                break
            } catch {
                if check.status == .pass { log.warning("lost \(name): \(error); trying again") }
                state.withLock { $0 = HealthCheck(.warn, "\(error)") }
            }
            do { try await Task.sleep(for: delay) } catch { break }
            delay = min(delay * 2, .seconds(2))
        }
    }

    private func decode(_ bytes: [UInt8]) -> Line? {
        do { return try JSON.decode(Line.self, from: bytes) } catch {
            let reason = (error as? DecodingError)?.place ?? "\(error)"
            log.error("passed over a line of \(name): \(reason)")
            return nil
        }
    }
}

private struct HandlerFailure: Error {
    var error: any Error
}
