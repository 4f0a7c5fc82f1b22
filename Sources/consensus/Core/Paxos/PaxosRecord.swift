import Contracts

/// What an acceptor must remember across a crash (Paxos Made Simple, section 2.5), of the newest term that it knows:
/// to refuse all earlier ones is always safe.
struct PaxosRecord: ByteCodable, Hashable {
    static let domain = "poise/paxos-record/2"

    /// The chain that all the rest is about; nil before the first head.
    var genesis: Digest?
    var term: UInt64 = 0
    var promised: Ballot?
    var accepted: Acceptance?

    init() {}

    func encode(to writer: inout ByteWriter) {
        writer.text(Self.domain)
        writer.optional(genesis)
        writer.integer(term)
        writer.optional(promised)
        writer.optional(accepted)
    }

    init(from reader: inout ByteReader) throws {
        try reader.domain(Self.domain)
        genesis = try reader.optional()
        term = try reader.integer()
        promised = try reader.optional()
        accepted = try reader.optional()
        guard term < SiteHead.termLimit else {
            throw ByteCodingError.invalid(what: "the stored term", value: "\(term)")
        }
    }
}
