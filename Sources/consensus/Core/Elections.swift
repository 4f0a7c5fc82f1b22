/// Every way to elect that a site can choose (setting `election`).
public enum Elections {
    private static let engines: [any Election.Type] = [
        RaftElection.self, PaxosElection.self, PoetElection.self, RotationElection.self, EtcdElection.self,
    ]

    public static var names: [String] { engines.map { $0.name } }

    /// - Throws: ``UnknownElection`` if there is none of this name.
    public static func named(_ name: String) throws -> any Election.Type {
        guard let engine = engines.first(where: { $0.name == name }) else { throw UnknownElection(name: name) }
        return engine
    }
}

/// No engine has this name.
public struct UnknownElection: Error, Equatable, CustomStringConvertible {
    public var name: String

    public var description: String {
        "there is no election called \"\(name)\"; there is: \(Elections.names.joined(separator: ", "))"
    }
}
