import Contracts

/// A request of ``HTTPClient``.
public struct ClientRequest: Sendable {
    public var method: String
    public var endpoint: Endpoint
    /// For ``Endpoint/https(host:port:)``.
    public var tls = TLSFiles()
    /// With its query, percent-encoded.
    public var path: String
    public var headers: [(name: String, value: String)]
    public var body: [UInt8]
    /// For the whole exchange; nil for none, as a feed needs.
    public var timeout: Duration?
    /// How long no byte may flow; nil for ever. Whole seconds.
    public var stall: Duration?
    /// Bytes of an answer at most, where it is read whole.
    public var responseLimit: Int

    public init(
        _ method: String = "GET", _ endpoint: Endpoint, _ path: String, headers: [(name: String, value: String)] = [],
        body: [UInt8] = [], timeout: Duration? = .seconds(10), stall: Duration? = nil, responseLimit: Int = 16 << 20
    ) {
        self.method = method
        self.endpoint = endpoint
        self.path = path
        self.headers = headers
        self.body = body
        self.timeout = timeout
        self.stall = stall
        self.responseLimit = responseLimit
    }
}

/// By which files the two sides of a TLS connection know each other, each by its path and in PEM. They are read anew for
/// each connection, so that a certificate can be replaced while the process runs.
public struct TLSFiles: Hashable, Sendable {
    /// The authorities whose certificates are believed; nil for those that the system trusts.
    public var authorities: String?
    /// This side's certificate, with those between it and the authority, and its key; nil to show none.
    public var certificate: String?
    public var key: String?

    public init(authorities: String? = nil, certificate: String? = nil, key: String? = nil) {
        self.authorities = authorities
        self.certificate = certificate
        self.key = key
    }
}

/// An answer, read whole.
public struct ClientResponse: Sendable {
    public var status: Int
    /// By lower-case name; of a repeated header the last.
    public var headers: [String: String]
    public var body: [UInt8]

    /// The body as JSON.
    /// - Throws: `DecodingError`.
    public func decode<T: Decodable>(_ type: T.Type = T.self) throws -> T { try JSON.decode(type, from: body) }

    /// This answer, if its status is 2xx.
    ///
    /// - Throws: ``Problem``: the one that the body holds, or one made of its text (Docker's `{"message": …}` too).
    @discardableResult
    public func successful() throws -> ClientResponse {
        guard (200..<300).contains(status) else { throw Problem(status: status, body: body) }
        return self
    }
}

extension Problem {
    /// What the body of a failed answer says.
    public init(status: Int, body: [UInt8]) {
        struct Message: Decodable { var message: String }
        if let problem = try? JSON.decode(Problem.self, from: body) {
            self = problem
        } else if let docker = try? JSON.decode(Message.self, from: body) {
            self.init(status, "http-\(status)", docker.message)
        } else {
            let text = String(decoding: body.prefix(500), as: UTF8.self)
            self.init(status, "http-\(status)", text.isEmpty ? "the server answered with status \(status)" : text)
        }
    }
}

/// Why there was no answer.
public enum HTTPClientError: Error, CustomStringConvertible {
    case invalidRequest(String)
    case unreachable(Endpoint, String)
    case timedOut(Endpoint)
    /// No TLS connection came about that both sides trust.
    case untrusted(Endpoint, String)
    /// The connection broke, or the other side doesn't speak HTTP.
    case broken(Endpoint, String)
    case responseTooLarge(Endpoint, limit: Int)

    public var description: String {
        switch self {
        case .invalidRequest(let why): why
        case .unreachable(let endpoint, let why): "can't reach \(endpoint): \(why)"
        case .timedOut(let endpoint): "\(endpoint) did not answer in time"
        case .untrusted(let endpoint, let why): "no trusted connection to \(endpoint): \(why)"
        case .broken(let endpoint, let why): "the exchange with \(endpoint) broke off: \(why)"
        case .responseTooLarge(let endpoint, let limit): "\(endpoint) answered with more than \(limit) bytes"
        }
    }
}
