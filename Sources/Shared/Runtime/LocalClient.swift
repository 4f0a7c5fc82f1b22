import ArgumentParser
import Contracts
import Transport

/// How a service's own commands ask the running service.
public struct LocalClient: Sendable {
    public let service: String
    public let socket: String
    public let client = HTTPClient()

    public init(_ service: String, runDirectory: String) {
        self.service = service
        socket = "\(runDirectory)/\(service).sock"
    }

    /// From the options of a command.
    public init(_ service: String, _ common: CommonOptions) throws {
        self.init(service, runDirectory: try common.runDirectory(try common.settings()))
    }

    public func get<T: Decodable>(_ path: String, as type: T.Type = T.self) async throws -> T {
        try await send("GET", path).decode(type)
    }

    /// The answer, if its status is 2xx.
    ///
    /// - Throws: ``Problem`` as the service tells it; ``ServiceUnreachable``.
    @discardableResult
    public func send(
        _ method: String, _ path: String, body: [UInt8] = [], type: String = "application/json",
        timeout: Duration = .seconds(30)
    ) async throws -> ClientResponse {
        try await response(method, path, body: body, type: type, timeout: timeout).successful()
    }

    /// The answer, whatever its status.
    public func response(
        _ method: String, _ path: String, body: [UInt8] = [], type: String = "application/json",
        timeout: Duration = .seconds(30)
    ) async throws -> ClientResponse {
        let headers = body.isEmpty ? [] : [(name: "Content-Type", value: type)]
        let request = ClientRequest(method, .unix(socket), path, headers: headers, body: body, timeout: timeout)
        do { return try await client.send(request) } catch let error as HTTPClientError {
            throw ServiceUnreachable(service: service, socket: socket, reason: error)
        }
    }
}

public struct ServiceUnreachable: Error, CustomStringConvertible {
    public var service: String
    public var socket: String
    public var reason: HTTPClientError

    public var description: String {
        "\(reason). Is `\(service) run` up, and is \(socket) its socket (--run-dir)?"
    }
}

/// The verb `health` of every service: what the compose health check runs.
public struct HealthCommand: Sendable {
    let client: LocalClient

    public init(_ service: String, _ common: CommonOptions) throws { client = try LocalClient(service, common) }

    /// Prints the checks.
    /// - Throws: `ExitCode.failure` if a check fails; ``ServiceUnreachable``.
    public func run(json: Bool) async throws {
        let health: Health = try await client.response("GET", "/health", timeout: .seconds(5)).decode()
        if json {
            print(try JSON.pretty(health))
        } else {
            print("\(health.serviceId) \(health.version): \(health.status.rawValue)")
            let rows = health.checks.sorted { $0.key < $1.key }
                .map { [$0.key, $0.value.status.rawValue, $0.value.output ?? ""] }
            print(Table(["CHECK", "STATUS", "REASON"], rows).text)
        }
        if health.status == .fail { throw ExitCode.failure }
    }
}
