import Contracts
import Glibc
import Hummingbird
import Runtime
import Testing

@testable import Transport

/// Large bodies, both ways: neither side's memory may grow because the other is slow.
@Suite(.serialized, .timeLimit(.minutes(2))) struct BodyFlowTests {
    /// Bytes that may be under way between a source and a consumer who takes none: the client's buffer, the sockets'
    /// and the server's.
    private static let underWay = 6 << 20
    private static let total = 200 << 20

    /// The byte at a place of the test's bodies: no two pieces can be taken for each other.
    private static func piece(_ index: Int) -> [UInt8] {
        [UInt8](repeating: UInt8(truncatingIfNeeded: index &* 31 &+ index >> 8), count: 65_536)
    }

    private static func isRight(_ bytes: [UInt8], from offset: Int) -> Bool {
        bytes.withUnsafeBytes { bytes in
            var place = 0
            while place < bytes.count {
                let index = (offset + place) / 65_536
                let count = min(bytes.count - place, (index + 1) * 65_536 - offset - place)
                let same = piece(index).withUnsafeBytes { memcmp(bytes.baseAddress! + place, $0.baseAddress!, count) }
                guard same == 0 else { return false }
                place += count
            }
            return true
        }
    }

    @Test func aDownloadWaitsForItsReader() async throws {
        let made = Tally()
        let routes: @Sendable (ServiceRouter) -> Void = { router in
            router.get("bulk") { _, context in
                Response(
                    status: .ok,
                    body: ResponseBody { writer in
                        for index in 0..<Self.total / 65_536 {
                            try await writer.write(ByteBuffer(bytes: Self.piece(index)))
                            made.add(65_536)
                            try await context.channel.eventLoop.submit {}.get()
                        }
                        try await writer.finish(nil)
                    })
            }
        }
        try await withService(routes: routes) { service in
            let response = try await HTTPClient().stream(
                ClientRequest("GET", service.endpoint, "/bulk", timeout: .seconds(60)))
            let iterator = response.body.makeAsyncIterator()
            var received = 0
            while let chunk = try await iterator.next() {
                if received == 0 || received > Self.total / 2 && received - chunk.count <= Self.total / 2 {
                    let ahead = try await settled { made.value } - received
                    #expect(ahead < Self.underWay, "the server made \(ahead) bytes more than were taken")
                }
                #expect(Self.isRight(chunk, from: received))
                received += chunk.count
                #expect(made.value - received < Self.underWay)
            }
            #expect(received == Self.total)
        }
    }

    @Test func anUploadWaitsForItsReader() async throws {
        let (made, taken, gate) = (Tally(), Tally(), Gate())
        let routes: @Sendable (ServiceRouter) -> Void = { router in
            router.put("bulk") { request, _ in
                for try await buffer in request.body {
                    if taken.value == 0 { await gate.wait() }
                    guard Self.isRight(Array(buffer: buffer), from: taken.value) else {
                        return Response(status: .conflict)
                    }
                    taken.add(buffer.readableBytes)
                }
                return Response(status: .created)
            }
        }
        try await withService(routes: routes) { service in
            let source = AsyncStream<[UInt8]> {
                let index = made.value / 65_536
                guard index < Self.total / 65_536 else { return nil }
                made.add(65_536)
                return Self.piece(index)
            }
            let sending = Task {
                try await HTTPClient().upload(
                    ClientRequest("PUT", service.endpoint, "/bulk", timeout: .seconds(60)), from: source)
            }
            try await eventually("bytes flow") { made.value > 0 }
            let ahead = try await settled { made.value }
            #expect(ahead < Self.underWay, "the client made \(ahead) bytes though none were taken")
            gate.open()
            #expect(try await sending.value.status == 201)
            #expect(taken.value == Self.total)
        }
    }

    @Test func largePiecesAreSentWhole() async throws {
        let routes: @Sendable (ServiceRouter) -> Void = { router in
            router.put("count") { request, _ in
                var count = 0
                for try await buffer in request.body { count += buffer.readableBytes }
                return try Response.json(count)
            }
        }
        try await withService(routes: routes) { service in
            let sizes = [0, 1, 65_535, 1 << 20, 40_000_000, 3, 0, 2_000_000]
            let source = AsyncStream<[UInt8]> { continuation in
                for size in sizes { continuation.yield([UInt8](repeating: 7, count: size)) }
                continuation.finish()
            }
            let response = try await HTTPClient().upload(ClientRequest("PUT", service.endpoint, "/count"), from: source)
            #expect(try response.decode(Int.self) == sizes.reduce(0, +))
        }
    }

    @Test func anEarlyRefusalEndsAnUploadThatHasMoreToSend() async throws {
        let routes: @Sendable (ServiceRouter) -> Void = { router in
            router.put("small") { request, _ in try Response.json(try await request.bytes(limit: 100_000).count) }
        }
        try await withService(routes: routes) { service in
            // One source that never ends, one that makes a little and then nothing for ever.
            let endless = AsyncStream<[UInt8]> { Task.isCancelled ? nil : Self.piece(1) }
            let (stuck, continuation) = AsyncStream<[UInt8]>.makeStream()
            for _ in 0..<2 { continuation.yield(Self.piece(1)) }
            for source in [endless, stuck] {
                let client = HTTPClient()
                let response = try await client.upload(ClientRequest("PUT", service.endpoint, "/small"), from: source)
                #expect(response.status == 413)
                #expect(throws: Problem.self) { try response.successful() }
            }
        }
    }

    private struct SourceBroke: Error {}

    /// What an upload's receiver sees of a body whose source does not come to its end: never a complete body.
    @Test func aBrokenSourceIsNoCompleteBody() async throws {
        let directory = try TemporaryDirectory()
        let path = "\(directory.path)/raw.sock"
        let (heard, ended, cut) = (Heard(), Tally(), Tally())
        let server = try RawServer(path) { connection in
            var text = ""
            while let bytes = connection.receive() {
                text += String(decoding: bytes, as: UTF8.self)
                heard.add(text)
                if text.hasSuffix("0\r\n\r\n") {
                    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    return ended.add()
                }
            }
            cut.add()
        }
        let client = HTTPClient()
        let request = ClientRequest("PUT", .unix(path), "/", timeout: nil)

        let whole = AsyncThrowingStream<[UInt8], any Error> { continuation in
            continuation.yield(Array("part".utf8))
            continuation.finish()
        }
        #expect(try await client.upload(request, from: whole).status == 200)
        #expect(ended.value == 1)

        let breaks = AsyncThrowingStream<[UInt8], any Error> { continuation in
            continuation.yield(Array("part".utf8))
            continuation.finish(throwing: SourceBroke())
        }
        await #expect(throws: SourceBroke.self) { try await client.upload(request, from: breaks) }

        // An AsyncStream ends as if it were complete when its task is cancelled.
        let (quiet, continuation) = AsyncStream<[UInt8]>.makeStream()
        continuation.yield(Array("cancelled".utf8))
        let task = Task { try await client.upload(request, from: quiet) }
        try await eventually("the part is there") { heard.all.contains { $0.contains("cancelled") } }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        try await eventually("the server sees it cut off") { cut.value >= 1 }
        #expect(ended.value == 1)
        _ = server
    }

    @Test func manyRequestsAtOnceAreAllAnswered() async throws {
        let routes: @Sendable (ServiceRouter) -> Void = { router in
            router.post("echo") { request, _ in try Response.json(try await request.json(Int.self)) }
        }
        try await withService(routes: routes) { service in
            let client = HTTPClient()
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<500 {
                    group.addTask {
                        let request = ClientRequest("POST", service.endpoint, "/echo", timeout: .seconds(60))
                        return try await client.send(request, json: number).decode(Int.self) == number
                    }
                }
                for try await right in group { #expect(right) }
            }
        }
    }
}
