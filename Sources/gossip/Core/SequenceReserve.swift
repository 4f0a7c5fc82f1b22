import Contracts

/// Hands out sequences. A number is handed out only once in a key's life: a run of them is made durable before
/// its first is used, and a restart begins behind all that was reserved.
struct SequenceReserve: Sendable {
    private static let domain = "poise/sequences/1"

    /// By kind: the next number to use, and the first that isn't reserved.
    private var next: [MessageKind: UInt64] = [:]
    private var bounds: [MessageKind: UInt64] = [:]

    init() {}

    /// - Throws: ``ByteCodingError`` if `stored` is no record of sequences. To begin anew would use numbers twice.
    init(stored: [UInt8]) throws {
        var reader = ByteReader(stored)
        try reader.domain(Self.domain)
        for _ in 0..<(try reader.integer(UInt8.self)) {
            let raw = try reader.integer(UInt8.self)
            let bound = try reader.integer(UInt64.self)
            guard let kind = MessageKind(rawValue: raw) else {
                throw ByteCodingError.invalid(what: "a kind of message", value: "\(raw)")
            }
            bounds[kind] = bound
            next[kind] = bound
        }
        try reader.finish()
    }

    /// What must be durable for the numbers handed out so far.
    var stored: [UInt8] {
        var writer = ByteWriter()
        writer.text(Self.domain)
        writer.integer(UInt8(bounds.count))
        for (kind, bound) in bounds.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            writer.integer(kind.rawValue)
            writer.integer(bound)
        }
        return writer.bytes
    }

    /// The next number of a kind.
    /// - Returns: also whether ``stored`` has changed and must be durable before the number is used.
    mutating func take(_ kind: MessageKind) -> (sequence: UInt64, persist: Bool) {
        let sequence = upcoming(kind)
        let persist = sequence >= bounds[kind, default: 0]
        if persist { bounds[kind] = sequence + GossipLimits.sequenceRun }
        next[kind] = sequence + 1
        return (sequence, persist)
    }

    /// The number that was never used yet and will be used next.
    func upcoming(_ kind: MessageKind) -> UInt64 { next[kind, default: 1] }
}
