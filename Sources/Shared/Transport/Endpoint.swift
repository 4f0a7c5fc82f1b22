import Contracts

/// Where an HTTP server listens.
public enum Endpoint: Hashable, Sendable, CustomStringConvertible {
    /// A Unix socket's path, 107 bytes at most.
    case unix(String)
    case tcp(host: String, port: Int)

    /// Reads `host`, `host:port` or `[IPv6]:port`.
    ///
    /// - Throws: ``EndpointError`` where the text is none of these or the port isn't 1 to 65535.
    public init(parsing text: String, defaultPort: Int) throws {
        var host = Substring(text)
        var port = defaultPort
        let colon = text.lastIndex(of: ":")
        let bracket = text.lastIndex(of: "]")
        if let colon, bracket.map({ $0 < colon }) ?? (text.firstIndex(of: ":") == colon) {
            guard let number = Int(text[text.index(after: colon)...]), (1...65_535).contains(number) else {
                throw EndpointError(text: text)
            }
            port = number
            host = text[..<colon]
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        let allowed = host.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x3A, 0x5F, 0x25: true
            default: false
            }
        }
        guard !host.isEmpty, host.utf8.count <= 253, allowed else { throw EndpointError(text: text) }
        self = .tcp(host: String(host), port: port)
    }

    public var description: String {
        switch self {
        case .unix(let path): path
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        }
    }
}

public struct EndpointError: Error, CustomStringConvertible {
    public var text: String
    public var description: String {
        "\"\(text.prefix(300))\" is no address: write host or host:port, with a port from 1 to 65535"
    }
}
