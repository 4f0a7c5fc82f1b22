import Hummingbird
import Logging
import NIOCore
import Transport

/// How a feed keeps watch over its connection.
struct FeedPace: Sendable {
    /// How often a quiet feed sends an empty line, so that each side notices when the other is gone.
    var heartbeat = Duration.seconds(5)
    /// How long a reader may take nothing before its connection is closed.
    var patience = Duration.seconds(30)
}

extension Response {
    /// A feed: one line of JSON for each element, sent as soon as it is there.
    ///
    /// The elements wait for the reader: at most ``LineQueue/limit`` bytes and one line are in memory for a reader that
    /// takes nothing, and after half a minute its connection is closed.
    /// - Parameter elements: must end when the task that iterates it is cancelled, as an `AsyncStream` does.
    public static func ndjson<Elements: AsyncSequence & Sendable>(
        _ elements: Elements, context: ServiceContext
    ) -> Response where Elements.Element: Encodable & Sendable {
        ndjson(elements, context: context, pace: FeedPace())
    }

    static func ndjson<Elements: AsyncSequence & Sendable>(
        _ elements: Elements, context: ServiceContext, pace: FeedPace
    ) -> Response where Elements.Element: Encodable & Sendable {
        let channel = context.channel
        let log = Logger(label: "feed")
        let body = ResponseBody { writer in
            let queue = LineQueue()
            try await withThrowingTaskGroup(of: Void.self) { group in
                defer {
                    queue.close()
                    group.cancelAll()
                }
                group.addTask {
                    defer { queue.end() }
                    do {
                        for try await element in elements {
                            guard await queue.put(try JSON.encode(element) + [0x0A]) else { return }
                        }
                    } catch is CancellationError {
                        return
                    } catch { log.error("a feed ends: \(error)") }
                }
                group.addTask {
                    while true {
                        try await Task.sleep(for: pace.heartbeat)
                        if queue.beat(patience: pace.patience) { continue }
                        log.warning("a feed's reader has taken nothing for \(pace.patience): its connection is closed")
                        channel.close(promise: nil)
                    }
                }
                while let bytes = await queue.take() {
                    try await writer.write(ByteBuffer(bytes: bytes))
                    // The write only reaches the connection, and so can only block the next one, on the event loop.
                    try await channel.eventLoop.submit {}.get()
                }
                // A graceful close would wait for a reader who may take nothing.
                if Task.isCancelled { channel.close(promise: nil) }
            }
            try await writer.finish(nil)
        }
        return Response(status: .ok, headers: [.contentType: "application/x-ndjson"], body: body)
    }
}
