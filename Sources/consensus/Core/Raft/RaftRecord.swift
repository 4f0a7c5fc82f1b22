import Contracts

/// What must survive a crash: the term, and whom this node voted for in it (Raft, figure 2, "persistent state").
///
/// It belongs to the node and not to a genesis: terms only ever grow.
struct RaftRecord: ByteCodable, Hashable {
    static let domain = "poise/raft-record/1"

    var term: UInt64 = 0
    var vote: NodeID?

    init() {}

    func encode(to writer: inout ByteWriter) {
        writer.text(Self.domain)
        writer.integer(term)
        writer.optional(vote)
    }

    init(from reader: inout ByteReader) throws {
        try reader.domain(Self.domain)
        term = try reader.integer()
        vote = try reader.optional()
        guard term < SiteHead.termLimit else {
            throw ByteCodingError.invalid(what: "the stored term", value: "\(term)")
        }
    }
}
