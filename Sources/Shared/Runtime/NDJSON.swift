import Hummingbird
import Logging
import NIOCore
import Transport

/// How often a quiet feed sends an empty line, so that each side notices when the other is gone.
private let heartbeat = Duration.seconds(5)
/// Bytes of lines that may wait between the feed and the connection.
private let waitingLines = 256

extension Response {
    /// A feed: one line of JSON for each element, sent as soon as it is there.
    public static func ndjson<Elements: AsyncSequence & Sendable>(
        _ elements: Elements, context: ServiceContext
    ) -> Response where Elements.Element: Encodable & Sendable {
        let channel = context.channel
        let body = ResponseBody { writer in
            let (lines, input) = AsyncStream.makeStream(
                of: [UInt8].self, bufferingPolicy: .bufferingOldest(waitingLines))
            let feeding = Task {
                defer { input.finish() }
                for try await element in elements {
                    let line = try JSON.encode(element) + [0x0A]
                    // The reader takes lines more slowly than they come: wait for it here, where the source can see it.
                    while case .dropped = input.yield(line) { try await Task.sleep(for: .milliseconds(20)) }
                }
            }
            let beating = Task {
                while !Task.isCancelled {
                    try await Task.sleep(for: heartbeat)
                    input.yield([0x0A])
                }
            }
            defer {
                feeding.cancel()
                beating.cancel()
            }
            for await line in lines {
                try await writer.write(ByteBuffer(bytes: line))
                // Without this the producer outruns the event loop and the connection's buffer has no bound.
                try await channel.eventLoop.submit {}.get()
                while !channel.isWritable, channel.isActive { try await Task.sleep(for: .milliseconds(20)) }
            }
            try await writer.finish(nil)
        }
        return Response(status: .ok, headers: [.contentType: "application/x-ndjson"], body: body)
    }
}
