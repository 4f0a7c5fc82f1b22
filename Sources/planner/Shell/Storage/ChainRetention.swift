import Contracts
import PlannerCore

/// What a chain's files may hold, and what goes first when they would hold more.
///
/// A body goes first, oldest first, and only if a stored snapshot stands at or above it; of the block its header and
/// certificate stay. These go, oldest first, once they have grown to a share of all. Genesis, snapshot (which holds the
/// links of all changes of members) and the blocks after it never go. The room is used again: the file does not grow
/// while it has free pages.
struct ChainRetention {
    /// Bytes that the log may have between two of its emptyings; part of the limit.
    static let logBytes = 4 << 20
    /// Blocks that go in one transaction at most, so that a commit never waits long.
    static let batch = 128

    /// Bytes of file and log at most, as far as what must stay allows.
    let limit: Int
    /// Bytes of headers without bodies.
    private var headerBytes: Int

    init(limit: Int, _ connection: SQLite) throws(StorageError) {
        self.limit = limit
        headerBytes =
            try connection.first("SELECT coalesce(sum(length(value)), 0) FROM header") { Int($0.integer(0)) } ?? 0
    }

    /// Bytes of pages that hold something.
    static func used(_ connection: SQLite) throws(StorageError) -> Int {
        Int(try connection.pragma("page_count") - connection.pragma("freelist_count"))
            * Int(try connection.pragma("page_size"))
    }

    /// Whether something should go now: an eighth of the limit is kept free for what comes until it has gone.
    func isDue(_ connection: SQLite) throws(StorageError) -> Bool {
        try Self.used(connection) + Self.logBytes > limit - limit / 8
    }

    /// Gives up the oldest blocks, or the oldest headers.
    /// - Returns: whether anything could go.
    mutating func step(_ connection: SQLite) throws(StorageError) -> Bool {
        if headerBytes > limit / 4 { return try dropHeaders(connection) }
        if try dropBodies(connection) { return true }
        return try dropHeaders(connection)
    }

    private mutating func dropBodies(_ connection: SQLite) throws(StorageError) -> Bool {
        guard let snapshot = try connection.snapshotSize(), let heights = try connection.heights(),
            heights.lowerBound <= snapshot.height
        else { return false }
        // The snapshot's own block stays, for a chain without any block would have no last one to show.
        let end = min(heights.lowerBound + UInt64(Self.batch), snapshot.height, heights.upperBound)
        guard end > heights.lowerBound else { return false }
        var added = 0
        try connection.transaction { () throws(StorageError) in
            var headers: [CertifiedHeader] = []
            try connection.forEachBlock(from: heights.lowerBound) { block throws(StorageError) in
                guard block.height < end else { return false }
                do throws(Refusal) {
                    headers.append(try CertifiedHeader(block))
                } catch {
                    throw SQLite.damaged("block \(block.height)")
                }
                return true
            }
            for header in headers { added += try connection.add(header) }
            try connection.run("DELETE FROM content WHERE key < ?", .integer(Int64(clamping: end) * 16))
            try connection.run("DELETE FROM block WHERE height < ?", .integer(Int64(clamping: end)))
        }
        headerBytes += added
        return true
    }

    private mutating func dropHeaders(_ connection: SQLite) throws(StorageError) -> Bool {
        let last = try connection.first(
            "SELECT max(height), sum(bytes) FROM (SELECT height, length(value) AS bytes FROM header ORDER BY height LIMIT \(Self.batch * 4))"
        ) { $0.isNull(0) ? nil : (height: $0.integer(0), bytes: Int($0.integer(1))) }
        guard let last = last ?? nil else { return false }
        try connection.run("DELETE FROM header WHERE height <= ?", .integer(last.height))
        headerBytes -= last.bytes
        return true
    }

    /// A snapshot has taken the place of all blocks.
    mutating func forgotHeaders() { headerBytes = 0 }
}
