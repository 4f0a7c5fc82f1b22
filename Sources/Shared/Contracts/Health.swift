// What every service says of itself.

public enum HealthStatus: String, Codable, Sendable, Comparable {
    case pass, warn, fail

    public static func < (a: Self, b: Self) -> Bool { a.rank < b.rank }
    private var rank: Int {
        switch self {
        case .pass: 0
        case .warn: 1
        case .fail: 2
        }
    }
}

/// One dependency or condition.
public struct HealthCheck: Codable, Hashable, Sendable {
    public var status: HealthStatus
    /// Why, in a sentence; nil if there is nothing to say.
    public var output: String?

    public init(_ status: HealthStatus, _ output: String? = nil) {
        self.status = status
        self.output = output
    }
}

/// The body of `GET /health` (`application/health+json`). `fail` is answered with 503, the others with 200.
public struct Health: Codable, Hashable, Sendable {
    public var status: HealthStatus
    public var version: String
    public var serviceId: String
    public var checks: [String: HealthCheck]

    /// The worst of its checks.
    public init(service: String, version: String, checks: [String: HealthCheck]) {
        status = checks.values.map(\.status).max() ?? .pass
        self.version = version
        serviceId = service
        self.checks = checks
    }
}

/// What went wrong with a request (RFC 9457, `application/problem+json`).
public struct Problem: Error, Codable, Hashable, Sendable, CustomStringConvertible {
    /// A name for machines, as a URN: `urn:poise:problem:unknown-app`.
    public var type: String
    /// The same for people, short and without particulars.
    public var title: String
    /// The HTTP status.
    public var status: Int
    /// What exactly was wrong here, and what to do next.
    public var detail: String

    /// - Parameter code: kebab case, becomes the last part of ``type`` and, with spaces, the title.
    public init(_ status: Int, _ code: String, _ detail: String) {
        type = "urn:poise:problem:\(code)"
        let words = code.split(separator: "-").joined(separator: " ")
        title = words.prefix(1).uppercased() + words.dropFirst()
        self.status = status
        self.detail = detail
    }

    public var code: String { String(type.split(separator: ":").last ?? "") }
    public var description: String { detail }
}

/// Poise's version (Semantic Versioning 2.0.0).
public let poiseVersion = "0.1.0"
