import Contracts
import Glibc
import Logging
import Transport

/// Docker's engine through its socket: its API call by call, without policy.
struct DockerEngine: Sendable {
    /// The oldest API that has all that is used here.
    static let version = "/v1.41"

    let socket: String
    let client: HTTPClient

    /// Calls the API and reads the answer.
    ///
    /// - Throws: `Problem` for an answer that isn't 2xx and not in `accepting`; `HTTPClientError`.
    @discardableResult
    func call(
        _ method: String, _ path: String, body: (any Encodable & Sendable)? = nil, accepting: Set<Int> = [],
        timeout: Duration = .seconds(30)
    ) async throws -> ClientResponse {
        let request = ClientRequest(method, .unix(socket), Self.version + path, timeout: timeout)
        let response =
            if let body { try await client.send(request, json: body) } else { try await client.send(request) }
        return accepting.contains(response.status) ? response : try response.successful()
    }

    func get<T: Decodable>(_ path: String, as type: T.Type = T.self) async throws -> T {
        let response = try await call("GET", path)
        do { return try response.decode(type) } catch {
            throw EngineAnswer(path: path, reason: (error as? DecodingError).map { "\($0)" } ?? "\(error)")
        }
    }

    /// nil where the engine has no such thing.
    func find<T: Decodable>(_ path: String, as type: T.Type = T.self) async throws -> T? {
        do { return try await get(path, as: type) } catch let problem as Problem where problem.status == 404 {
            return nil
        }
    }

    func info() async throws -> DockerInfo { try await get("/info") }

    func container(_ id: String) async throws -> DockerContainer? { try await find("/containers/\(id)/json") }

    func image(_ name: String) async throws -> DockerImage? { try await find("/images/\(Self.escaped(name))/json") }

    /// Containers that carry each of the labels, running or not.
    func containers(labels: [String]) async throws -> [DockerContainerSummary] {
        let filters = Self.escaped(String(decoding: try JSON.encode(["label": labels]), as: UTF8.self))
        return try await get("/containers/json?all=1&filters=\(filters)")
    }

    func volumes(labels: [String]) async throws -> [DockerVolume] {
        let filters = Self.escaped(String(decoding: try JSON.encode(["label": labels]), as: UTF8.self))
        return try await get("/volumes?filters=\(filters)", as: DockerVolumes.self).Volumes ?? []
    }

    /// Starts a container, from a checkpoint of its own if one is named. Done already counts as done.
    func start(_ id: String, checkpoint: String? = nil) async throws {
        let query = checkpoint.map { "?checkpoint=\(Self.escaped($0))" } ?? ""
        try await call("POST", "/containers/\(id)/start\(query)", accepting: [304], timeout: .seconds(180))
    }

    /// Ends a container's processes, also where they are frozen.
    func stop(_ id: String, grace: Int) async throws {
        try await call(
            "POST", "/containers/\(id)/stop?t=\(grace)", accepting: [304, 404], timeout: .seconds(grace + 30))
    }

    /// Removes a container and its anonymous volumes.
    func remove(_ id: String) async throws {
        // 409: its removal is under way.
        try await call("DELETE", "/containers/\(id)?force=1&v=1", accepting: [404, 409], timeout: .seconds(60))
    }

    func events() async throws -> Lines {
        let filters = #"{"type":["container"],"event":["start","die","pause","unpause","destroy","rename"]}"#
        let request = ClientRequest(
            "GET", .unix(socket), "\(Self.version)/events?filters=\(Self.escaped(filters))", timeout: nil)
        return try await client.stream(request).successful().lines()
    }

    /// The image as `docker save` writes it.
    func save(_ name: String) async throws -> ResponseChunks {
        let request = ClientRequest(
            "GET", .unix(socket), "\(Self.version)/images/\(Self.escaped(name))/get", timeout: nil,
            stall: .seconds(120))
        return try await client.stream(request).successful().body
    }

    /// Takes images as `docker load` does.
    ///
    /// - Throws: `Problem` also for the errors that Docker reports within a successful answer.
    func load<Chunks: AsyncSequence & Sendable>(_ chunks: Chunks) async throws where Chunks.Element == [UInt8] {
        let request = ClientRequest(
            "POST", .unix(socket), "\(Self.version)/images/load?quiet=1",
            headers: [(name: "Content-Type", value: "application/x-tar")], timeout: nil, stall: .seconds(120))
        let response = try await client.upload(request, from: chunks).successful()
        try Self.checkProgress(response.body)
    }

    func pull(_ name: String) async throws {
        var reference = name
        let last = name.split(separator: "/").last ?? ""
        if !last.contains(":"), !last.contains("@") { reference += ":latest" }
        let response = try await call(
            "POST", "/images/create?fromImage=\(Self.escaped(reference))", timeout: .seconds(600))
        try Self.checkProgress(response.body)
    }

    private static func checkProgress(_ body: [UInt8]) throws {
        for line in body.split(whereSeparator: { $0 == 0x0A || $0 == 0x0D }) where !line.isEmpty {
            guard let progress = try? JSON.decode(DockerProgress.self, from: Array(line)) else { continue }
            if let reason = progress.errorDetail?.message ?? progress.error {
                throw Problem(500, "engine-refused", reason)
            }
        }
    }

    /// Percent-encoded, but for slashes, which image names have in paths.
    static func escaped(_ text: String) -> String {
        var escaped = ""
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x2F, 0x3A, 0x5F, 0x7E:
                escaped.append(Character(Unicode.Scalar(byte)))
            default: escaped += "%" + Hex.encode([byte])
            }
        }
        return escaped
    }
}

/// The engine's answer is not what its API promises.
struct EngineAnswer: Error, CustomStringConvertible {
    var path: String
    var reason: String
    var description: String { "Docker's answer to \(path) is not as expected: \(reason)" }
}
