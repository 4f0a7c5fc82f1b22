import Dispatch
import Glibc
import Machine
import Runtime
import Testing

@testable import Transport

/// The client against servers that do what a test says, which no HTTP library would.
@Suite(.serialized, .timeLimit(.minutes(2))) struct HTTPClientTests {
    private let directory: TemporaryDirectory
    private var path: String { "\(directory.path)/raw.sock" }
    private var endpoint: Endpoint { .unix(path) }

    init() throws { directory = try TemporaryDirectory() }

    /// Answers every request of every connection with `answer`.
    private func server(_ answer: String, close: Bool = false) throws -> RawServer {
        try RawServer(path) { connection in
            while connection.request() != nil {
                connection.send(answer)
                if close { return }
            }
        }
    }

    /// Which error the request ends with, by the name of its case, and what it says.
    private func error(_ request: ClientRequest) async -> (kind: String, text: String) {
        do {
            return ("none", "\(try await HTTPClient().send(request).status)")
        } catch { return (Self.kind(error), "\(error)") }
    }

    private static func kind(_ error: (any Error)?) -> String {
        switch error as? HTTPClientError {
        case .invalidRequest: "invalid"
        case .unreachable: "unreachable"
        case .timedOut: "timed out"
        case .untrusted: "untrusted"
        case .broken: "broken"
        case .responseTooLarge: "too large"
        case nil: "other"
        }
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        // As Docker and others may: extensions, upper-case sizes, leading zeros, trailers, names in any case.
        "HTTP/1.1 200 OK\r\ntransfer-ENCODING: chunked\r\nTrailer: X-Sum\r\n\r\n01;a=b\r\nh\r\n0004\r\nello\r\n0;x\r\n"
            + "X-Kind: trailer\r\n\r\n",
        "HTTP/1.1 100 Continue\r\nX-Kind: interim\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"
            + "HTTP/1.1 200 OK\r\nX-Kind: final\r\nContent-Length: 5\r\n\r\nhello",
    ])
    func readsEveryFormOfAnswer(_ answer: String) async throws {
        let server = try server(answer)
        let client = HTTPClient()
        for _ in 0..<3 {
            let response = try await client.send(ClientRequest("GET", endpoint, "/"))
            #expect(response.status == 200)
            #expect(response.body == Array("hello".utf8))
            #expect(response.headers["x-kind"] == (answer.contains("final") ? "final" : nil))
        }
        #expect(server.accepted == 1, "a connection is used again")
    }

    @Test func readsToTheConnectionsEndWhereNoLengthIsTold() async throws {
        let server = try server("HTTP/1.0 200 OK\r\n\r\nhello", close: true)
        let response = try await HTTPClient().send(ClientRequest("GET", endpoint, "/"))
        #expect(response.body == Array("hello".utf8))
        #expect(server.accepted == 1)
    }

    @Test(arguments: [
        "", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nhello\r\n0\r\n\r\n",
    ])
    func anAnswerThatBreaksOffIsAnError(_ answer: String) async throws {
        let server = try server(answer, close: true)
        let error = await error(ClientRequest("GET", endpoint, "/"))
        #expect(error.kind == "broken" && error.text.hasPrefix("the exchange with \(path) broke off: "), "\(error)")
        _ = server
    }

    @Test func aBodyThatBreaksOffGivesItsBytesAndThenTheError() async throws {
        let server = try server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", close: true)
        let response = try await HTTPClient().stream(ClientRequest("GET", endpoint, "/"))
        var bytes: [UInt8] = []
        await #expect(throws: HTTPClientError.self) { for try await chunk in response.body { bytes += chunk } }
        #expect(bytes == Array("hello".utf8))
        _ = server
    }

    @Test func anAnswerBeyondTheLimitIsRefused() async throws {
        let server = try server("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        let client = HTTPClient()
        #expect(try await client.send(ClientRequest("GET", endpoint, "/", responseLimit: 5)).body.count == 5)
        let small = ClientRequest("PUT", endpoint, "/", responseLimit: 4)
        let expected = "\(path) answered with more than 4 bytes"
        let sent = await #expect(throws: HTTPClientError.self) { try await client.send(small) }
        #expect(sent?.description == expected)
        let source = AsyncStream<[UInt8]> { $0.finish() }
        let uploaded = await #expect(throws: HTTPClientError.self) { try await client.upload(small, from: source) }
        #expect(uploaded?.description == expected)
        _ = server
    }

    @Test func whoIsNotThereIsNamedWithTheSystemsReason() async throws {
        let gone = await error(ClientRequest("GET", endpoint, "/"))
        #expect(gone == ("unreachable", "can't reach \(path): No such file or directory"))
        _ = try RawServer(path) { _ in }
        let refused = await error(ClientRequest("GET", endpoint, "/"))
        #expect(refused == ("unreachable", "can't reach \(path): Connection refused"))
    }

    @Test(arguments: [
        "no-slash", "/with blank", "/with\r\nline", "/with#fragment", "/ünicode", "",
    ])
    func aPathThatIsNoneIsRefused(_ path: String) async throws {
        let error = await error(ClientRequest("GET", .unix("/nowhere"), path))
        #expect(error.kind == "invalid", "\(error)")
    }

    @Test func headersCannotBeSmuggled() async throws {
        for (name, value) in [("X", "a\r\nY: b"), ("X:", "a"), ("X Y", "a"), ("", "a"), ("X\n", "a")] {
            let error = await error(
                ClientRequest("GET", .unix("/nowhere"), "/", headers: [(name: name, value: value)]))
            #expect(error.kind == "invalid", "\(error)")
        }
        let long = await error(ClientRequest("GET", .unix("/" + String(repeating: "x", count: 107)), "/"))
        #expect(long.kind == "invalid", "\(long)")
    }

    @Test func sendsWhatItIsTold() async throws {
        let requests = Heard()
        let server = try RawServer(path) { connection in
            while let request = connection.request() {
                requests.add(request)
                connection.send("HTTP/1.1 204 No Content\r\n\r\n")
            }
        }
        let client = HTTPClient()
        _ = try await client.send(
            ClientRequest("GET", endpoint, "/a/../b?c=%20d", headers: [(name: "X-A", value: "b")]))
        _ = try await client.send(ClientRequest("POST", endpoint, "/empty"))
        _ = try await client.send(ClientRequest("DELETE", endpoint, "/body", body: Array("xyz".utf8)))
        _ = try await client.send(ClientRequest("PUT", endpoint, "/json"), json: ["a": 1])
        _ = try await client.send(ClientRequest("HEAD", endpoint, "/head"))
        let heard = requests.all
        #expect(heard.count == 5)
        #expect(heard[0].hasPrefix("GET /a/../b?c=%20d HTTP/1.1\r\n") && heard[0].contains("X-A: b\r\n"))
        #expect(heard[1].hasPrefix("POST /empty ") && heard[1].contains("Content-Length: 0\r\n"))
        #expect(heard[2].hasPrefix("DELETE /body ") && heard[2].hasSuffix("\r\n\r\nxyz"))
        #expect(heard[2].contains("Content-Type: application/octet-stream\r\n"))
        #expect(heard[3].hasSuffix("\r\n\r\n{\"a\":1}") && heard[3].contains("Content-Type: application/json\r\n"))
        #expect(heard.allSatisfy { !$0.contains("Expect:") })
        #expect(heard[4].hasPrefix("HEAD /head "))
        _ = server
    }

    // MARK: Connections that die

    @Test func aKeptConnectionThatTheServerClosedIsReplaced() async throws {
        let server = try RawServer(path) { connection in
            guard connection.request() != nil else { return }
            // Promises to keep the connection, and closes it: as a server does whose idle time is over.
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        }
        let client = HTTPClient()
        for turn in 1...20 {
            let response = try await client.send(
                ClientRequest(turn.isMultiple(of: 2) ? "POST" : "GET", endpoint, "/", body: turn > 10 ? [1] : []))
            #expect(response.body == Array("ok".utf8), "turn \(turn)")
        }
        #expect(server.accepted >= 20)
    }

    @Test func aServerThatWasRestartedIsReachedAgain() async throws {
        let client = HTTPClient()
        for turn in 1...5 {
            let server = try server("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\(turn)")
            for _ in 0..<3 {
                let response = try await client.send(ClientRequest("GET", endpoint, "/"))
                #expect(response.body == Array("\(turn)".utf8))
            }
            server.stop()
        }
    }

    // MARK: Ends

    @Test func silenceEndsAtTheTimeout() async throws {
        let server = try RawServer(path) { while $0.receive() != nil {} }
        let error = await error(ClientRequest("GET", endpoint, "/", timeout: .milliseconds(100)))
        #expect(error == ("timed out", "\(path) did not answer in time"))
        _ = server
    }

    @Test func aHeartbeatIsNoStallAndSilenceIs() async throws {
        let beats = 6
        let server = try RawServer(path) { connection in
            guard connection.request() != nil else { return }
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in 0..<beats {
                usleep(250_000)
                connection.send("1\r\n\n\r\n")
            }
            while connection.receive() != nil {}
        }
        let began = ContinuousClock.now
        let response = try await HTTPClient().stream(
            ClientRequest("GET", endpoint, "/", timeout: nil, stall: .seconds(1)))
        var received = 0
        let error = await #expect(throws: HTTPClientError.self) {
            for try await chunk in response.body { received += chunk.count }
        }
        #expect(received == beats)
        #expect(Self.kind(error) == "timed out")
        #expect(began.duration(to: .now) > .milliseconds(250 * beats + 900))
        _ = server
    }

    @Test func aCancelledTaskEndsItsExchange() async throws {
        let (requests, closed) = (Tally(), Tally())
        let server = try RawServer(path) { connection in
            guard let request = connection.request() else { return }
            if request.hasPrefix("GET /body") { connection.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello") }
            requests.add()
            while connection.receive() != nil {}
            closed.add()
        }
        let client = HTTPClient()
        for (count, path) in ["/head", "/body"].enumerated() {
            let task = Task { [endpoint] in try await client.send(ClientRequest("GET", endpoint, path, timeout: nil)) }
            try await eventually("the request is there") { requests.value == count + 1 }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            try await eventually("the server sees the end of \(path)") { closed.value == count + 1 }
        }
        // A task that was cancelled before it began.
        let late = Task { [endpoint] in
            while !Task.isCancelled { await Task.yield() }
            return try await client.send(ClientRequest("GET", endpoint, "/late", timeout: nil))
        }
        late.cancel()
        await #expect(throws: CancellationError.self) { try await late.value }
        _ = server
    }

    @Test func anAnswerThatIsDroppedEndsItsExchange() async throws {
        let closed = Tally()
        let server = try RawServer(path) { connection in
            guard connection.request() != nil else { return }
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")
            while connection.receive() != nil {}
            closed.add()
        }
        let client = HTTPClient()
        #expect(try await client.stream(ClientRequest("GET", endpoint, "/")).status == 200)
        try await eventually("the server sees the end") { closed.value == 1 }
        _ = server
    }

    @Test func anAnswerOutlivesItsClient() async throws {
        let gate = DispatchSemaphore(value: 0)
        let server = try RawServer(path) { connection in
            guard connection.request() != nil else { return }
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
            gate.wait()
            connection.send("world")
        }
        let response = try await HTTPClient().stream(ClientRequest("GET", endpoint, "/"))
        let iterator = response.body.makeAsyncIterator()
        #expect(try await iterator.next() == Array("hello".utf8))
        gate.signal()
        #expect(try await iterator.next() == Array("world".utf8))
        #expect(try await iterator.next() == nil)
        _ = server
    }

    /// Ends of clients, answers and tasks in every order, again and again: nothing hangs, nothing is resumed twice.
    @Test(arguments: 0..<4 as Range<UInt64>) func endsInAnyOrderAreSafe(seed: UInt64) async throws {
        var random = SplitMix64(seed: seed)
        let server = try RawServer(path) { connection in
            while let request = connection.request() {
                guard request.contains("GET /0") else { continue }
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            }
        }
        for _ in 0..<150 {
            let client = HTTPClient()
            let (silent, yields) = (random.next(below: 2) == 0, random.next(below: 200))
            let request = ClientRequest("GET", endpoint, silent ? "/1" : "/0", timeout: .seconds(30))
            let tasks = (0..<3).map { _ in Task { _ = try await client.send(request) } }
            let stream = Task { try await client.stream(request).status }
            for _ in 0..<yields { await Task.yield() }
            for task in tasks { task.cancel() }
            stream.cancel()
            for task in tasks {
                if case .failure(let error) = await task.result { #expect(error is CancellationError, "seed \(seed)") }
            }
            if case .failure(let error) = await stream.result { #expect(error is CancellationError, "seed \(seed)") }
        }
        _ = server
    }
}
