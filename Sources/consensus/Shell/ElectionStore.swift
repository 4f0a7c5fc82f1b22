import ConsensusCore
import Contracts
import Runtime

/// What the election must remember across a crash, in one small file for each engine.
struct ElectionStore: Sendable {
    private let file: DurableFile

    init(directory: String, engine: String) {
        file = DurableFile(path: "\(directory)/consensus-\(engine).state")
    }

    func write(_ bytes: [UInt8]) throws { try file.write(bytes) }

    /// The engine with what it remembered.
    ///
    /// - Throws: `FileError`; ``StoreError`` if the file isn't the engine's.
    func restore(_ engine: any Election.Type, _ configuration: ElectionConfiguration) throws -> any Election {
        let stored = try file.read()
        do { return try engine.init(configuration, stored: stored) } catch let error as ByteCodingError {
            throw StoreError(path: file.path, reason: error)
        }
    }
}

/// The remembered state can't be read.
struct StoreError: Error, CustomStringConvertible {
    var path: String
    var reason: ByteCodingError

    var description: String {
        """
        \(path) is damaged: \(reason). It holds what this node has promised in its term. Bring back a copy, or stop consensus here \
        for longer than two election timeouts, remove the file and start it again: the worst to come of it is a delayed block
        """
    }
}
