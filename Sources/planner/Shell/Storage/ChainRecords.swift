import Contracts
import Identity
import PlannerCore

// The tables of the chain and their rows. Each row carries a hash of its content: SQLite notices a torn write, but
// not a bit that the disk turned.

/// What is stored once, and replaced.
enum ChainRecord: String {
    /// The core's encoding of the genesis with its signatures.
    case genesis
    /// The core's encoding of the running height's agreement.
    case agreement
    /// The state after some block, so that a start need not fold all blocks before it.
    case snapshot
}

extension SQLite {
    static let schemaVersion: Int64 = 1
    /// "Pois", in the header of the file: it tells a chain from any other database.
    private static let applicationID: Int64 = 0x506F_6973

    /// Makes the tables if the file is new.
    /// - Throws: `StorageError` if the file is of another program or of a newer Poise.
    func prepareSchema(path: String) throws(StorageError) {
        let version = try pragma("user_version")
        let application = try pragma("application_id")
        let tables = try first("SELECT count(*) FROM sqlite_schema") { $0.integer(0) } ?? 0
        if version == 0, application == 0, tables == 0 {
            try transaction { () throws(StorageError) in
                try execute(
                    """
                    CREATE TABLE record(name TEXT PRIMARY KEY, value BLOB NOT NULL, hash BLOB NOT NULL) STRICT;
                    CREATE TABLE block(height INTEGER PRIMARY KEY, id BLOB NOT NULL, block BLOB NOT NULL,
                        certificate BLOB NOT NULL, hash BLOB NOT NULL) STRICT;
                    PRAGMA application_id = \(Self.applicationID);
                    PRAGMA user_version = \(Self.schemaVersion);
                    """)
            }
        } else {
            try checkSchema(path: path)
        }
    }

    func checkSchema(path: String) throws(StorageError) {
        guard try pragma("application_id") == Self.applicationID else {
            throw StorageError("\(path) is a database of another program: choose another directory with --state-dir")
        }
        let version = try pragma("user_version")
        guard version <= Self.schemaVersion else {
            throw StorageError(
                "\(path) has format \(version) and this planner (\(poiseVersion)) reads up to \(Self.schemaVersion): run the newer planner that wrote it"
            )
        }
    }

    private func pragma(_ name: String) throws(StorageError) -> Int64 {
        try first("PRAGMA \(name)") { $0.integer(0) } ?? 0
    }

    // MARK: Records

    func record(_ name: ChainRecord) throws(StorageError) -> [UInt8]? {
        try first("SELECT value, hash FROM record WHERE name = '\(name.rawValue)'") { row throws(StorageError) in
            let value = row.blob(0)
            guard row.blob(1) == Self.hash(of: name, value) else { throw Self.damaged("the \(name.rawValue)") }
            return value
        }
    }

    func replace(_ name: ChainRecord, _ value: [UInt8]) throws(StorageError) {
        try run(
            "INSERT OR REPLACE INTO record(name, value, hash) VALUES('\(name.rawValue)', ?, ?)", .blob(value),
            .blob(Self.hash(of: name, value)))
    }

    func remove(_ name: ChainRecord) throws(StorageError) {
        try run("DELETE FROM record WHERE name = '\(name.rawValue)'")
    }

    // MARK: Blocks

    /// The height of the last block; 0 before the first.
    func height() throws(StorageError) -> UInt64 {
        UInt64(clamping: try first("SELECT coalesce(max(height), 0) FROM block") { $0.integer(0) } ?? 0)
    }

    /// - Precondition: `block` follows the last one.
    func append(_ block: CommittedBlock) throws(StorageError) {
        try run(
            "INSERT INTO block(height, id, block, certificate, hash) VALUES(?, ?, ?, ?, ?)",
            .integer(Int64(block.height)), .blob(block.id.bytes), .blob(block.block), .blob(block.certificate),
            .blob(Self.hash(of: block)))
    }

    /// Calls `body` with each block from `first` on in ascending order until it returns false, with one in memory at a time.
    func forEachBlock(
        from first: UInt64, _ body: (CommittedBlock) throws(StorageError) -> Bool
    ) throws(StorageError) {
        let rows = try prepare(
            "SELECT height, id, block, certificate, hash FROM block WHERE height >= ? ORDER BY height",
            [.integer(Int64(clamping: first))])
        while try rows.step() {
            let height = UInt64(clamping: rows.integer(0))
            guard let id = Digest(rows.blob(1)) else { throw Self.damaged("block \(height)") }
            let block = CommittedBlock(height: height, id: id, block: rows.blob(2), certificate: rows.blob(3))
            guard rows.blob(4) == Self.hash(of: block) else { throw Self.damaged("block \(height)") }
            guard try body(block) else { return }
        }
    }

    /// Checks that the heights are 1, 2, 3 … without a gap, and the hashes of the last `tail` blocks.
    func checkBlocks(tail: UInt64) throws(StorageError) {
        let last = try height()
        let count = try first("SELECT count(*) FROM block WHERE height > 0") { UInt64(clamping: $0.integer(0)) } ?? 0
        guard count == last else { throw Self.damaged("the list of blocks (\(count) of \(last) are there)") }
        try forEachBlock(from: last > tail ? last - tail + 1 : 1) { _ throws(StorageError) in true }
    }

    private static func damaged(_ what: String) -> StorageError {
        StorageError(
            "\(what) is damaged on disk: check the disk, move the chain's files away and start again; the other nodes send the blocks"
        )
    }

    private static func hash(of name: ChainRecord, _ value: [UInt8]) -> [UInt8] {
        Digest(of: value, domain: "poise/stored-\(name.rawValue)/1").bytes
    }

    private static func hash(of block: CommittedBlock) -> [UInt8] {
        var writer = ByteWriter()
        writer.integer(block.height)
        writer.value(block.id)
        writer.byteString(block.block)
        writer.byteString(block.certificate)
        return Digest(of: writer.bytes, domain: "poise/stored-block/1").bytes
    }
}
