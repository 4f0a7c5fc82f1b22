/// A route: `GET /shared/{}`; a path's variables have no names here.
struct Route: Hashable, Comparable, CustomStringConvertible {
    var method: String
    var path: String

    init(_ method: some StringProtocol, _ path: some StringProtocol) {
        self.method = method.uppercased()
        let parts = path.split(separator: "/").map { part in
            part.hasPrefix(":") || part.hasPrefix("{") ? "{}" : String(part)
        }
        self.path = "/" + parts.joined(separator: "/")
    }

    var description: String { "\(method) \(path)" }
    static func < (a: Self, b: Self) -> Bool { (a.path, a.method) < (b.path, b.method) }
}

/// What a service's openapi.yaml says against what its routes are.
enum ServiceContract {
    /// The routes that every service has from Runtime.
    static let common: Set<Route> = [
        Route("GET", "/health"), Route("GET", "/health/ready"), Route("GET", "/metrics"), Route("GET", "/openapi.yaml"),
    ]

    /// The routes of the document, which is written in block style with paths indented by two.
    static func documented(_ yaml: String) -> Set<Route> {
        var routes: Set<Route> = []
        var isInPaths = false
        var path: Substring?
        for line in yaml.split(separator: "\n") where !line.allSatisfy(\.isWhitespace) {
            if !line.hasPrefix(" "), !line.hasPrefix("#") {
                isInPaths = line.hasPrefix("paths:")
                path = nil
            } else if isInPaths, let match = line.firstMatch(of: /^  ["']?(\/[^"':\s]*)["']?:/) {
                path = match.1
            } else if let current = path,
                let match = line.firstMatch(of: /^    (get|put|post|delete|patch|head|options):/)
            {
                routes.insert(Route(match.1, current))
            }
        }
        return routes
    }

    /// The routes that code adds to a router: `router.get("load/latest")`.
    static func served(_ files: [SourceFile]) -> Set<Route> {
        let pattern = /\b\w*[rR]out(?:er|es)\s*\.(get|put|post|delete|patch|head)\(\s*"([^"]*)"/.wordBoundaryKind(
            .simple)
        return Set(files.flatMap { $0.text.matches(of: pattern).map { Route($0.1, $0.2) } })
    }

    static func differences(service: String, yaml: String, files: [SourceFile]) -> [String] {
        let documented = documented(yaml)
        let served = served(files).union(common)
        return served.subtracting(documented).sorted().map { "\(service) serves \($0), which its openapi.yaml lacks" }
            + documented.subtracting(served).sorted().map { "\(service) documents \($0), which it doesn't serve" }
    }
}
