import Contracts
import Glibc
import Hummingbird
import Runtime
import Testing
import Transport

@Suite(.serialized, .timeLimit(.minutes(2))) struct ServiceHostTests {
    private struct Sum: Codable, Equatable, Sendable {
        var a: Int
        var b: Int
    }

    private func routes(_ router: ServiceRouter) {
        router.get("sum/:a") { request, context in
            guard let a = Int(try context.parameter("a")) else { throw Problem(400, "invalid-path", "a is a number") }
            return try Response.json(Sum(a: a, b: try request.integer("b", default: 7, in: 0...9)))
        }
        router.post("sum") { request, _ in
            try Response.json(try await request.json(Sum.self, limit: 100), status: .created)
        }
        router.get("broken") { _, _ -> Response in throw FileError("read", "/nowhere", code: ENOENT) }
        router.get("odd") { _, _ -> Response in throw Problem(99_999, "odd", "a status that there isn't") }
        router.get("empty") { _, _ in Response.empty() }
    }

    @Test func answersWithJSON() async throws {
        try await withService(routes: routes) { service in
            let client = HTTPClient()
            let got = try await client.send(ClientRequest("GET", service.endpoint, "/sum/1?b=2"))
            #expect(got.status == 200 && got.headers["content-type"] == "application/json")
            #expect(try got.decode(Sum.self) == Sum(a: 1, b: 2))
            let posted = try await client.send(ClientRequest("POST", service.endpoint, "/sum"), json: Sum(a: 3, b: 4))
            #expect(posted.status == 201)
            #expect(try posted.decode(Sum.self) == Sum(a: 3, b: 4))
            let empty = try await client.send(ClientRequest("GET", service.endpoint, "/empty")).status
            #expect(empty == 204)
        }
    }

    @Test(arguments: [
        ("GET", "/nothing/here", "", 404, "not-found", "there is no GET /nothing/here here"),
        ("DELETE", "/sum/1", "", 404, "not-found", "there is no DELETE /sum/1 here"),
        ("GET", "/sum/x", "", 400, "invalid-path", "a is a number"),
        ("GET", "/sum/1?b=10", "", 400, "invalid-query", "b is \"10\": allowed is 0 to 9"),
        ("GET", "/sum/1?b=%32%30", "", 400, "invalid-query", "b is \"20\": allowed is 0 to 9"),
        ("POST", "/sum", "{\"a\":1}", 400, "invalid-json", "$ lacks \"b\""),
        ("POST", "/sum", "{\"a\":1,\"b\":\"x\"}", 400, "invalid-json", "$.b: "),
        ("POST", "/sum", "{", 400, "invalid-json", "$: "),
        ("POST", "/sum", "", 400, "invalid-json", "$: "),
        ("POST", "/sum", String(repeating: " ", count: 101), 413, "body-too-large", "the body has more than 100 bytes"),
        ("POST", "/sum", String(repeating: "[", count: 100), 400, "invalid-json", "$: "),
        ("GET", "/broken", "", 500, "internal-error", "can't read /nowhere: No such file or directory"),
        ("GET", "/odd", "", 500, "odd", "a status that there isn't"),
    ])
    func answersErrorsWithProblems(
        _ method: String, _ path: String, _ body: String, _ status: Int, _ code: String, _ detail: String
    ) async throws {
        try await withService(routes: routes) { service in
            let response = try await HTTPClient().send(
                ClientRequest(method, service.endpoint, path, body: Array(body.utf8)))
            #expect(response.status == status)
            #expect(response.headers["content-type"] == "application/problem+json")
            let problem = try response.decode(Problem.self)
            #expect(problem.code == code)
            #expect(problem.detail.hasPrefix(detail), "\(problem.detail)")
            #expect(throws: Problem.self) { try response.successful() }
        }
    }

    @Test func tellsHealthMetricsAndContract() async throws {
        let failing = Tally()
        let health: @Sendable () async -> [String: HealthCheck] = {
            ["disk": HealthCheck(failing.value == 0 ? .warn : .fail, "nearly full")]
        }
        try await withService(health: health) { service in
            let client = HTTPClient()
            for path in ["/health", "/health/ready"] {
                let response = try await client.send(ClientRequest("GET", service.endpoint, path))
                #expect(response.status == 200)
                #expect(response.headers["content-type"] == "application/health+json")
                #expect(try response.decode(Health.self).status == .warn)
            }
            failing.add()
            for path in ["/health", "/health/ready"] {
                let response = try await client.send(ClientRequest("GET", service.endpoint, path))
                #expect(response.status == 503)
                #expect(try response.decode(Health.self).checks["disk"] == HealthCheck(.fail, "nearly full"))
            }
            let metrics = try await client.send(ClientRequest("GET", service.endpoint, "/metrics"))
            #expect(metrics.headers["content-type"] == "text/plain; version=0.0.4")
            let families = try PrometheusText.parse(String(decoding: metrics.body, as: UTF8.self))
            #expect(families["poise_process_resident_bytes"]?.samples.first.map { $0.value > 1_048_576 } == true)
            #expect(families["poise_build_info"]?.samples.first?.labels["service"] == "test")
            let contract = try await client.send(ClientRequest("GET", service.endpoint, "/openapi.yaml"))
            #expect(contract.headers["content-type"] == "application/yaml")
            #expect(contract.body == Array("openapi: 3.1.0\n".utf8))
        }
    }

    @Test func theSocketIsForItsOwnerAndGroup() async throws {
        try await withService { service in
            var status = stat()
            #expect(lstat(service.socket, &status) == 0)
            #expect(status.st_mode & 0o7777 == 0o660)
        }
    }

    /// What `host.run` throws for a socket called `name` in `directory`.
    private func failure(
        _ name: String, in directory: String, network: NetworkListener? = nil, tasks: [ServiceTask] = []
    ) async -> String {
        let host = ServiceHost(service: name, runDirectory: directory, openapi: [], metrics: Metrics()) { [:] }
        do {
            try await host.run(network: network, tasks: tasks)
            return "nothing"
        } catch { return "\(error)" }
    }

    @Test func aStaleSocketIsReplacedAndALiveOneIsNot() async throws {
        let directory = try TemporaryDirectory()
        let path = "\(directory.path)/test.sock"
        _ = try RawServer(path) { _ in }  // Gone at once; its file stays.
        #expect(access(path, F_OK) == 0)
        try await withService(in: directory) { service in
            #expect(
                await failure("test", in: directory.path)
                    == "another process already serves \(path): stop it first")
            let status = try await HTTPClient().send(ClientRequest("GET", service.endpoint, "/health")).status
            #expect(status == 200)
        }
    }

    @Test func aServerTooBusyToAcceptIsAlive() async throws {
        let directory = try TemporaryDirectory()
        let path = "\(directory.path)/test.sock"
        let listener = try RawConnection.socket(path) { bind($0, $1, $2) }
        defer { close(listener) }
        #expect(listen(listener, 0) == 0)
        let first = try RawConnection(to: path)
        defer { close(first.handle) }
        #expect(await failure("test", in: directory.path) == "another process already serves \(path): stop it first")
    }

    @Test func anImpossibleSocketIsRefusedWithAReason() async throws {
        let directory = try TemporaryDirectory()
        let long = String(repeating: "x", count: 104 - directory.path.utf8.count - 1 - 5)
        #expect(await failure(long, in: directory.path).hasPrefix("the socket's path is longer than 103 bytes: "))
        try await withService(String(long.dropLast()), in: directory) { service in
            #expect(service.socket.utf8.count == 103)
            let status = try await HTTPClient().send(ClientRequest("GET", service.endpoint, "/health")).status
            #expect(status == 200)
        }
        #expect(
            await failure("test", in: "\(directory.path)/missing").contains(
                "No such file or directory; make its directory first, or choose another POISE_RUN"))
        try DurableFile(path: "\(directory.path)/file.sock").write([])
        #expect(
            await failure("file", in: directory.path)
                == "\(directory.path)/file.sock is there and is no socket: remove it or choose another POISE_RUN")
    }

    @Test func aPortThatIsTakenEndsTheServiceWithTheReason() async throws {
        let handle = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(handle) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                #expect(bind(handle, $0, size) == 0)
                #expect(listen(handle, 1) == 0)
                #expect(getsockname(handle, $0, &size) == 0)
            }
        }
        let port = Int(UInt16(bigEndian: address.sin_port))
        let directory = try TemporaryDirectory()
        let network = NetworkListener(host: "127.0.0.1", port: port, router: ServiceHost.makeRouter(metrics: Metrics()))
        #expect(
            await failure("test", in: directory.path, network: network)
                == "the server on the network: can't listen on 127.0.0.1:\(port): Address already in use; "
                + "another process listens there: stop it, or choose another port")
    }

    @Test func aTaskThatEndsEndsTheService() async throws {
        let directory = try TemporaryDirectory()
        let fails = ServiceTask("the feed") { throw SettingError("it broke") }
        let ends = ServiceTask("the loop") {}
        #expect(await failure("test", in: directory.path, tasks: [fails]) == "the feed: it broke")
        #expect(
            await failure("test", in: directory.path, tasks: [ends]) == "the loop: it ended, and should not have")
    }

    /// A route that is being answered to a reader who takes nothing must not keep a service alive whose task failed.
    @Test func aReaderThatTakesNothingDoesNotHoldUpTheEnd() async throws {
        let directory = try TemporaryDirectory()
        let (socket, gate) = ("\(directory.path)/test.sock", Gate())
        let host = ServiceHost(service: "test", runDirectory: directory.path, openapi: [], metrics: Metrics()) { [:] }
        let sent = Tally()
        host.router.get("flood") { _, context in
            Response.ndjson(
                AsyncStream<String> {
                    sent.add()
                    return Task.isCancelled ? nil : String(repeating: "x", count: 10_000)
                }, context: context)
        }
        let fails = ServiceTask("the feed") {
            await gate.wait()
            throw SettingError("it broke")
        }
        async let end: Void = host.run(tasks: [fails])
        try await eventually("it listens") { access(socket, F_OK) == 0 }
        let reader = try RawConnection(to: socket)
        defer { close(reader.handle) }
        reader.send("GET /flood HTTP/1.1\r\nHost: x\r\n\r\n")
        try await eventually("lines flow") { sent.value > 0 }
        let lines = try await settled { sent.value }
        #expect(lines < 200, "\(lines) lines of 10 kB were made for a reader that takes none")
        gate.open()
        do {
            try await end
            Issue.record("it should have failed")
        } catch { #expect("\(error)" == "the feed: it broke") }
    }
}
