import Contracts

/// The signatures seen lately: at least the last ``GossipLimits/seenSignatures``, at most twice as many.
///
/// Only signatures that were verified may enter; else anyone could keep a message out by naming its signature.
struct SeenSignatures: Sendable {
    private var current: Set<Signature> = []
    private var previous: Set<Signature> = []

    mutating func insert(_ signature: Signature) {
        if current.count == GossipLimits.seenSignatures {
            previous = current
            current = []
        }
        current.insert(signature)
    }

    func contains(_ signature: Signature) -> Bool { current.contains(signature) || previous.contains(signature) }
}
