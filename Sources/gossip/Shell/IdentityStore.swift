import Contracts
import GossipCore
import Identity
import Runtime

/// What must survive: the key's seed, the bounds of sequences, and what was signed for the chain.
struct IdentityStore: Sendable {
    let sequences: DurableFile
    /// Written for each vote, so in place.
    let ledger: RecordFile
    private let seed: DurableFile

    init(directory: String) {
        seed = DurableFile(path: "\(directory)/identity")
        sequences = DurableFile(path: "\(directory)/sequences")
        ledger = RecordFile(path: "\(directory)/signed")
    }

    struct Restored {
        var key: SigningKey
        var sequences: [UInt8]
        var ledger: [UInt8]
    }

    /// What was stored, or a new identity.
    ///
    /// A key without its records is refused: it could sign what contradicts what it has signed before.
    /// - Throws: ``IdentityError``, `FileError`.
    func restore() throws -> Restored {
        guard let stored = try seed.read() else { return try make() }
        guard let key = SigningKey(seed: stored) else {
            throw IdentityError(path: seed.path, reason: "holds \(stored.count) bytes, not \(SigningKey.seedCount)")
        }
        guard let sequences = try sequences.read(), let ledger = try ledger.read() else {
            throw IdentityError(path: seed.path, reason: "has lost the files beside it that say what it has signed")
        }
        return Restored(key: key, sequences: sequences, ledger: ledger)
    }

    private func make() throws -> Restored {
        let bytes = Entropy.bytes(SigningKey.seedCount)
        guard let key = SigningKey(seed: bytes) else {
            throw IdentityError(path: seed.path, reason: "can't be made")
        }
        let (sequences, ledger) = GossipMachine.initialRecords
        try self.sequences.write(sequences)
        try self.ledger.write(ledger)
        // Last: a key that is there has its records.
        try seed.write(bytes)
        return Restored(key: key, sequences: sequences, ledger: ledger)
    }
}

struct IdentityError: Error, CustomStringConvertible {
    var path: String
    var reason: String
    var description: String {
        "the key in \(path) \(reason): remove the state directory, and this device comes back as a new node"
    }
}
