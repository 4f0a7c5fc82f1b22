import Contracts

/// What must survive a crash: the term, and whom this node voted for in it (Raft, figure 2, "persistent state").
struct RaftRecord: ByteCodable, Hashable {
    static let domain = "poise/raft-record/2"

    /// The chain that all the rest is about; nil before the first head.
    var genesis: Digest?
    var term: UInt64 = 0
    var vote: NodeID?

    init() {}

    func encode(to writer: inout ByteWriter) {
        writer.text(Self.domain)
        writer.optional(genesis)
        writer.integer(term)
        writer.optional(vote)
    }

    init(from reader: inout ByteReader) throws {
        try reader.domain(Self.domain)
        genesis = try reader.optional()
        term = try reader.integer()
        vote = try reader.optional()
        guard term < SiteHead.termLimit else {
            throw ByteCodingError.invalid(what: "the stored term", value: "\(term)")
        }
    }
}
