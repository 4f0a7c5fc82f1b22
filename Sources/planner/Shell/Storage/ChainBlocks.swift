import Contracts
import Identity
import PlannerCore

/// A block's content as it is stored: committed or not.
struct StoredContent {
    var key: Int64
    var id: Digest
    var block: [UInt8]
}

/// The rows of blocks.
extension SQLite {
    private static let slots: Int64 = 16

    /// The height of the last block, also if only a snapshot of the state after it is there; 0 before the first.
    func height() throws(StorageError) -> UInt64 {
        let last = try first(
            "SELECT max((SELECT coalesce(max(height), 0) FROM block), (SELECT coalesce(max(height), 0) FROM snapshot))",
            row: { $0.integer(0) })
        return UInt64(clamping: last ?? 0)
    }

    /// The lowest and the last height of which the whole block is there; nil if there is none.
    func heights() throws(StorageError) -> ClosedRange<UInt64>? {
        let ends = try first("SELECT (SELECT min(height) FROM block), (SELECT max(height) FROM block)") {
            (UInt64(clamping: $0.integer(0)), UInt64(clamping: $0.integer(1)))
        }
        guard let ends, ends.0 > 0, ends.0 <= ends.1 else { return nil }
        return ends.0...ends.1
    }

    // MARK: Contents

    private static func keys(of height: UInt64) -> (first: Int64, last: Int64) {
        let first = Int64(clamping: min(height, 1 << 58)) * slots
        return (first, first + slots - 1)
    }

    func contentKeys(of height: UInt64) throws(StorageError) -> [(key: Int64, id: Digest)] {
        let range = Self.keys(of: height)
        let rows = try prepare(
            "SELECT key, id FROM content WHERE key BETWEEN ? AND ? ORDER BY key",
            [.integer(range.first), .integer(range.last)])
        var found: [(Int64, Digest)] = []
        while try rows.step() {
            guard let id = Digest(rows.blob(1)) else { throw Self.damaged("a block of height \(height)") }
            found.append((rows.integer(0), id))
        }
        return found
    }

    func contents(of height: UInt64) throws(StorageError) -> [StoredContent] {
        let range = Self.keys(of: height)
        let rows = try prepare(
            "SELECT key, id, block, hash FROM content WHERE key BETWEEN ? AND ? ORDER BY key",
            [.integer(range.first), .integer(range.last)])
        var found: [StoredContent] = []
        while try rows.step() {
            guard let id = Digest(rows.blob(1)) else { throw Self.damaged("a block of height \(height)") }
            let content = StoredContent(key: rows.integer(0), id: id, block: rows.blob(2))
            guard rows.blob(3) == Self.hash(of: content) else { throw Self.damaged("a block of height \(height)") }
            found.append(content)
        }
        return found
    }

    @discardableResult
    func add(_ block: [UInt8], id: Digest, height: UInt64) throws(StorageError) -> Int64 {
        let range = Self.keys(of: height)
        let last = try first(
            "SELECT max(key) FROM content WHERE key BETWEEN ? AND ?", .integer(range.first), .integer(range.last)
        ) { $0.isNull(0) ? nil : $0.integer(0) }
        let key = (last ?? nil).map { $0 + 1 } ?? range.first
        guard key <= range.last else {
            throw StorageError(
                "more than \(Self.slots) blocks are to be held at height \(height): this is a fault of planner")
        }
        let content = StoredContent(key: key, id: id, block: block)
        try run(
            "INSERT INTO content(key, id, hash, block) VALUES(?, ?, ?, ?)", .integer(key), .blob(id.bytes),
            .blob(Self.hash(of: content)), .blob(block))
        return key
    }

    func removeContent(_ key: Int64) throws(StorageError) {
        try run("DELETE FROM content WHERE key = ?", .integer(key))
    }

    private static func hash(of content: StoredContent) -> [UInt8] {
        var writer = ByteWriter()
        writer.integer(content.key)
        writer.value(content.id)
        writer.byteString(content.block)
        return Digest(of: writer.bytes, domain: "poise/stored-content/1").bytes
    }

    // MARK: Blocks

    /// - Precondition: within a transaction, and `block` follows the last one.
    func append(_ block: CommittedBlock) throws(StorageError) {
        let held = try contentKeys(of: block.height)
        let known = held.first { $0.id == block.id }
        for (key, id) in held where id != block.id { try removeContent(key) }
        let key: Int64
        if let known { key = known.key } else { key = try add(block.block, id: block.id, height: block.height) }
        try run(
            "INSERT INTO block(height, content, hash, certificate) VALUES(?, ?, ?, ?)", .integer(Int64(block.height)),
            .integer(key), .blob(Self.hash(of: block)), .blob(block.certificate))
    }

    /// Calls `body` with each block from `first` on in ascending order until it returns false, with one in memory at a time.
    func forEachBlock(
        from first: UInt64, _ body: (CommittedBlock) throws(StorageError) -> Bool
    ) throws(StorageError) {
        let rows = try prepare(
            """
            SELECT b.height, c.id, c.block, b.certificate, b.hash, c.hash, c.key FROM block b
            LEFT JOIN content c ON c.key = b.content WHERE b.height >= ? ORDER BY b.height
            """, [.integer(Int64(clamping: first))])
        while try rows.step() {
            let height = UInt64(clamping: rows.integer(0))
            guard let id = Digest(rows.blob(1)) else { throw Self.damaged("block \(height)") }
            let block = CommittedBlock(height: height, id: id, block: rows.blob(2), certificate: rows.blob(3))
            let content = StoredContent(key: rows.integer(6), id: id, block: block.block)
            guard rows.blob(4) == Self.hash(of: block), rows.blob(5) == Self.hash(of: content) else {
                throw Self.damaged("block \(height)")
            }
            guard try body(block) else { return }
        }
    }

    /// Checks that no height is missing from the first block to the last, that blocks which are gone are in the snapshot,
    /// and the hashes of the last `tail` blocks.
    func checkBlocks(tail: UInt64) throws(StorageError) {
        let snapshot = try snapshotSize()
        guard let heights = try heights() else { return }
        let count = try first("SELECT count(*) FROM block") { UInt64(clamping: $0.integer(0)) } ?? 0
        guard count == heights.upperBound - heights.lowerBound + 1 else {
            throw Self.damaged(
                "the list of blocks (\(count) from \(heights.lowerBound) to \(heights.upperBound) are there)")
        }
        guard heights.lowerBound <= (snapshot?.height ?? 0) + 1 else {
            throw Self.damaged("the list of blocks (it begins with \(heights.lowerBound))")
        }
        guard heights.upperBound >= snapshot?.height ?? 0 else {
            throw Self.damaged("the list of blocks (it ends with \(heights.upperBound), below the snapshot)")
        }
        let first = heights.upperBound > tail ? heights.upperBound - tail + 1 : 1
        try forEachBlock(from: first) { _ throws(StorageError) in true }
    }

    /// Bytes of a block with its certificate, about: the mean of some from `height` on.
    func blockBytes(from height: UInt64) throws(StorageError) -> Int {
        let mean = try first(
            """
            SELECT coalesce(avg(bytes), 0) FROM (SELECT length(c.block) + length(b.certificate) AS bytes FROM block b
            JOIN content c ON c.key = b.content WHERE b.height >= ? ORDER BY b.height LIMIT 32)
            """, .integer(Int64(clamping: height)), row: { $0.integer(0) })
        return Int(mean ?? 0)
    }

    private static func hash(of block: CommittedBlock) -> [UInt8] {
        var writer = ByteWriter()
        writer.integer(block.height)
        writer.value(block.id)
        writer.byteString(block.certificate)
        return Digest(of: writer.bytes, domain: "poise/stored-block/2").bytes
    }

    // MARK: Headers of blocks whose bodies are gone

    func add(_ header: CertifiedHeader) throws(StorageError) -> Int {
        let bytes = header.encoded
        try run(
            "INSERT OR REPLACE INTO header(height, hash, value) VALUES(?, ?, ?)",
            .integer(Int64(clamping: header.header.height)),
            .blob(Self.hash(ofHeader: bytes, header.header.height)), .blob(bytes))
        return bytes.count
    }

    /// At most `limit` headers from `first` on, in ascending order of height.
    func headers(from first: UInt64, limit: Int) throws(StorageError) -> [CertifiedHeader] {
        let rows = try prepare(
            "SELECT height, value, hash FROM header WHERE height >= ? ORDER BY height LIMIT ?",
            [.integer(Int64(clamping: first)), .integer(Int64(limit))])
        var found: [CertifiedHeader] = []
        while try rows.step() {
            let height = UInt64(clamping: rows.integer(0))
            let value = rows.blob(1)
            guard rows.blob(2) == Self.hash(ofHeader: value, height) else { throw Self.damaged("header \(height)") }
            do {
                found.append(try CertifiedHeader(encoded: value))
            } catch {
                throw Self.damaged("header \(height)")
            }
        }
        return found
    }

    private static func hash(ofHeader value: [UInt8], _ height: UInt64) -> [UInt8] {
        var writer = ByteWriter()
        writer.integer(height)
        writer.byteString(value)
        return Digest(of: writer.bytes, domain: "poise/stored-header/1").bytes
    }
}
