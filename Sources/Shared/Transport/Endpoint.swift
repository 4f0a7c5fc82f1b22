import Contracts

/// Where an HTTP server listens.
public enum Endpoint: Hashable, Sendable, CustomStringConvertible {
    /// A Unix socket's path, 107 bytes at most.
    case unix(String)
    case tcp(host: String, port: Int)
    /// HTTP over TLS. Who answers must show a certificate of this host from an authority that is trusted
    /// (``ClientRequest/tls``); there is no way to do without.
    case https(host: String, port: Int)

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
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            guard Self.isIPv6(host) else { throw EndpointError(text: text) }
        }
        guard (1...253).contains(host.utf8.count), Self.isName(host) || Self.isIPv6(host) else {
            throw EndpointError(text: text)
        }
        self = .tcp(host: String(host), port: port)
    }

    private static func isName(_ host: Substring) -> Bool {
        host.utf8.allSatisfy { isLetterOrDigit($0) || [0x2D, 0x2E, 0x5F].contains($0) }
    }

    /// Hex digits, colons and dots; behind a `%` the name of an interface.
    private static func isIPv6(_ host: Substring) -> Bool {
        let parts = host.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        return host.utf8.contains(0x3A) && (parts.count == 1 || !parts[1].isEmpty && isName(parts[1]))
            && parts[0].allSatisfy { $0.isASCII && ($0.isHexDigit || $0 == ":" || $0 == ".") }
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: false
        }
    }

    private static func authority(_ host: String, _ port: Int) -> String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    public var description: String {
        switch self {
        case .unix(let path): path
        case .tcp(let host, let port): Self.authority(host, port)
        case .https(let host, let port): "https://" + Self.authority(host, port)
        }
    }
}

public struct EndpointError: Error, CustomStringConvertible {
    public var text: String
    public var description: String {
        "\"\(text.prefix(300))\" is no address: write host or host:port, with a port from 1 to 65535"
    }
}
