import Contracts
import Glibc
import Hummingbird
import Machine
import Synchronization
import Testing

@testable import Runtime
@testable import Transport

/// One line of the tests' feed.
private struct Line: Codable, Sendable, Equatable {
    var number: Int
    var text = ""
}

/// A source of numbered lines that outlives the service, as a chain or a pool does.
private final class Source: Sendable {
    private let newest = Mutex(0)
    private let listeners = Broadcast<Line>()

    var listening: Int { listeners.count }

    func append(_ count: Int) {
        newest.withLock { newest in
            for _ in 0..<count {
                newest += 1
                listeners.send(Line(number: newest))
            }
        }
    }

    /// All lines after a number, and all to come.
    func follow(after number: Int) -> AsyncStream<Line> {
        newest.withLock { newest in
            listeners.subscribe(first: number < newest ? (number + 1...newest).map { Line(number: $0) } : [])
        }
    }

    func routes(_ router: ServiceRouter, pace: FeedPace = FeedPace()) {
        router.get("lines") { [self] request, context in
            let after = try request.integer("after", default: 0, in: 0...Int.max)
            return Response.ndjson(follow(after: after), context: context, pace: pace)
        }
    }

    func reader(_ socket: String, client: HTTPClient = HTTPClient()) -> FeedReader<Line> {
        FeedReader("lines", client: client, socket: socket) {
            "/lines" + ($0.map { "?after=\($0)" } ?? "")
        } cursor: {
            "\($0.number)"
        }
    }
}

private final class Seen: Sendable {
    private let lines = Mutex<[Int]>([])
    var all: [Int] { lines.withLock { $0 } }
    func add(_ number: Int) { lines.withLock { $0.append(number) } }
}

@Suite(.serialized, .timeLimit(.minutes(2))) struct FeedTests {
    @Test func aReaderMissesNothingAndRepeatsNothingAcrossTheServersRestarts() async throws {
        let (directory, source, seen) = (try TemporaryDirectory(), Source(), Seen())
        let reader = source.reader("\(directory.path)/test.sock")
        let connections = Tally()
        #expect(reader.check.status == .warn)
        let following = Task {
            try await reader.follow(connected: { connections.add() }) { line in seen.add(line.number) }
        }
        for restart in 1...3 {
            try await withService(in: directory, routes: { source.routes($0) }) { _ in
                source.append(10)
                try await eventually("the lines after restart \(restart) are there") {
                    seen.all.count == restart * 20 - 10
                }
                #expect(reader.check == HealthCheck(.pass))
                try await eventually("it follows") { source.listening == 1 }
            }
            try await eventually("the loss is noticed") { reader.check.status == .warn }
            source.append(10)  // While the server is gone.
        }
        following.cancel()
        try await following.value
        #expect(seen.all == Array(1...50))
        #expect(connections.value == 3)
    }

    @Test func aReaderThatIsRestartedResumesFromItsCursor() async throws {
        let source = Source()
        try await withService(routes: { source.routes($0) }) { service in
            source.append(5)
            for after in [0, 3, 5] {
                let seen = Seen()
                let reader = FeedReader<Line>("lines", client: HTTPClient(), socket: service.socket) { _ in
                    "/lines?after=\(after)"
                }
                let following = Task { try await reader.follow { line in seen.add(line.number) } }
                try await eventually("it follows") { reader.check.status == .pass && seen.all.count == 5 - after }
                #expect(seen.all == Array(after + 1..<6))
                following.cancel()
                try await following.value
            }
        }
    }

    @Test func badLinesArePassedOverAndProblemsAreShown() async throws {
        let directory = try TemporaryDirectory()
        let path = "\(directory.path)/raw.sock"
        let turn = Tally()
        let server = try RawServer(path) { connection in
            while let request = connection.request() {
                turn.add()
                if turn.value == 1 {
                    let body =
                        #"{"type":"urn:poise:problem:not-yet","title":"Not yet","status":503,"detail":"it waits"}"#
                    connection.send("HTTP/1.1 503 No\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
                    continue
                }
                guard request.contains("GET /lines HTTP") else { return }
                connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                let body =
                    "\n{\"number\":1,\"text\":\"\"}\nnonsense\n{\"number\":\"x\"}\n\n\n{\"number\":2,\"text\":\"\"}\n{\"num"
                connection.send("\(String(body.utf8.count, radix: 16))\r\n\(body)\r\n")
                while connection.receive() != nil {}
            }
        }
        let (seen, problems) = (Seen(), Heard())
        let reader = FeedReader<Line>("lines", client: HTTPClient(), socket: path) { _ in "/lines" }
        let following = Task { try await reader.follow { line in seen.add(line.number) } }
        try await eventually("both lines are there") {
            reader.check.output.map(problems.add)
            return seen.all == [1, 2]
        }
        #expect(problems.all.contains("it waits"))
        #expect(reader.check == HealthCheck(.pass))
        following.cancel()
        try await following.value
        _ = server
    }

    private struct Refused: Error {}

    @Test func whatTheHandlerThrowsEndsTheReader() async throws {
        let source = Source()
        try await withService(routes: { source.routes($0) }) { service in
            source.append(3)
            let reader = source.reader(service.socket)
            await #expect(throws: Refused.self) {
                try await reader.follow { line in if line.number == 2 { throw Refused() } }
            }
        }
    }

    @Test func aQuietFeedBeats() async throws {
        let source = Source()
        let pace = FeedPace(heartbeat: .milliseconds(20), patience: .seconds(30))
        try await withService(routes: { source.routes($0, pace: pace) }) { service in
            let response = try await HTTPClient().stream(
                ClientRequest("GET", service.endpoint, "/lines", timeout: nil, stall: .seconds(10)))
            let chunks = response.body.makeAsyncIterator()
            for _ in 0..<3 { #expect(try await chunks.next()?.allSatisfy { $0 == 0x0A } == true) }
            // The feed's reader sees none of it.
            source.append(1)
            var lines = response.lines().makeAsyncIterator()
            #expect(try await lines.next().map { try JSON.decode(Line.self, from: $0).number } == 1)
        }
    }

    @Test func theHeadOfAQuietFeedIsThereAtOnce() async throws {
        let source = Source()
        try await withService(routes: { source.routes($0) }) { service in
            let response = try await HTTPClient().stream(ClientRequest("GET", service.endpoint, "/lines", timeout: nil))
            #expect(response.status == 200)
            #expect(response.headers["content-type"] == "application/x-ndjson")
        }
    }

    @Test func aReaderThatStopsReadingIsCutOffAndOthersAreNot() async throws {
        let made = Tally()
        let pace = FeedPace(heartbeat: .milliseconds(50), patience: .milliseconds(300))
        let routes: @Sendable (ServiceRouter) -> Void = { router in
            router.get("flood") { _, context in
                let lines = AsyncStream<Line> {
                    made.add()
                    return Task.isCancelled
                        ? nil : Line(number: made.value, text: String(repeating: "x", count: 10_000))
                }
                return Response.ndjson(lines, context: context, pace: pace)
            }
        }
        try await withService(routes: routes) { service in
            let stopped = try RawConnection(to: service.socket)
            defer { close(stopped.handle) }
            stopped.send("GET /flood HTTP/1.1\r\nHost: x\r\n\r\n")
            try await eventually("lines flow") { made.value > 0 }
            let waiting = try await settled { made.value }
            #expect(waiting < 200, "\(waiting) lines of 10 kB were made for a reader that takes none")
            let drained = Tally()
            Thread.run {
                // By now the connection is closed, or will be: what the socket holds is all that comes.
                usleep(700_000)
                while let bytes = stopped.receive() { drained.add(bytes.count) }
                drained.add(1_000_000_000)
            }
            let response = try await HTTPClient().stream(
                ClientRequest("GET", service.endpoint, "/flood", timeout: nil))
            var lines = response.lines().makeAsyncIterator()
            // A reader who goes on taking is served all the while.
            while drained.value < 1_000_000_000 { _ = try await lines.next() }
            #expect(drained.value - 1_000_000_000 < 2_000_000)
        }
    }

    @Test func aReaderThatGoesIsLetGoAtTheNextHeartbeat() async throws {
        let source = Source()
        let pace = FeedPace(heartbeat: .milliseconds(20), patience: .seconds(30))
        try await withService(routes: { source.routes($0, pace: pace) }) { service in
            let reader = try RawConnection(to: service.socket)
            reader.send("GET /lines HTTP/1.1\r\nHost: x\r\n\r\n")
            try await eventually("it follows") { source.listening == 1 }
            close(reader.handle)
            try await eventually("it is let go") { source.listening == 0 }
        }
    }

    @Test func aSlowHandlerSlowsItsFeedDownAndLosesNothing() async throws {
        let source = Source()
        try await withService(routes: { source.routes($0) }) { service in
            source.append(20_000)
            let (seen, gate) = (Seen(), Gate())
            let reader = source.reader(service.socket)
            let following = Task {
                try await reader.follow { line in
                    if line.number == 10 { await gate.wait() }
                    seen.add(line.number)
                }
            }
            try await eventually("it waits at the gate") { seen.all.count == 9 }
            source.append(100)
            gate.open()
            try await eventually("all is there") { seen.all.count == 20_100 }
            #expect(seen.all == Array(1...20_100))
            following.cancel()
            try await following.value
        }
    }

    @Test(arguments: 0..<50 as Range<UInt64>) func linesAreCutAlikeHoweverTheyArrive(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let text = (0..<random.next(in: 0...2_000)).map { _ in UInt8(random.next(below: 4) == 0 ? 0x0A : 0x61) }
        let limit = random.next(in: 1...12)
        var expected = text.split(separator: 0x0A).map(Array.init)
        if text.last != 0x0A, !expected.isEmpty { expected.removeLast() }
        let tooLong = expected.firstIndex { $0.count > limit }
        var splitter = LineSplitter(limit: limit)
        var lines: [[UInt8]] = []
        var (place, refused) = (0, false)
        while !refused {
            switch splitter.next() {
            case .line(let line): lines.append(line)
            case .tooLong: refused = true
            case .incomplete:
                guard place < text.count else {
                    #expect(tooLong == nil && lines == expected, "seed \(seed)")
                    return
                }
                let end = min(text.count, place + random.next(in: 1...40))
                splitter.append(Array(text[place..<end]))
                place = end
            }
        }
        // Refused may also be a line that had not ended yet, at its first byte too many.
        #expect(lines == expected.prefix { $0.count <= limit }, "seed \(seed)")
        #expect(tooLong != nil || text.suffix(from: text.lastIndex(of: 0x0A) ?? 0).count > limit, "seed \(seed)")
    }
}
