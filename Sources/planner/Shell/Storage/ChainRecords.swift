import Contracts
import Identity
import PlannerCore

// The tables of the chain and their rows. Each row carries a hash of its content: SQLite notices a torn write, but
// not a bit that the disk turned.

extension SQLite {
    static let schemaVersion: Int64 = 2
    /// Bytes of a page. Every transaction writes whole pages, and most change some hundred bytes in each of a few:
    /// small pages write less (docs/decisions/0027-what-the-chain-keeps.md has the figures).
    static let pageSize = 512
    /// "Pois", in the header of the file: it tells a chain from any other database.
    private static let applicationID: Int64 = 0x506F_6973

    /// Makes the tables if the file is new.
    /// - Throws: `StorageError` if the file is of another program or of another version of Poise.
    func prepareSchema(path: String) throws(StorageError) {
        let version = try pragma("user_version")
        let application = try pragma("application_id")
        let tables = try first("SELECT count(*) FROM sqlite_schema") { $0.integer(0) } ?? 0
        guard version == 0, application == 0, tables == 0 else { return try checkSchema(path: path) }
        try transaction { () throws(StorageError) in
            // A block lies in `content` from the moment it is proposed or locked; `block` says which one was decided.
            // The key of a content is sixteen times its height, and a number below sixteen.
            try execute(
                """
                CREATE TABLE record(name TEXT PRIMARY KEY, value BLOB NOT NULL, hash BLOB NOT NULL) STRICT;
                CREATE TABLE agreement(one INTEGER PRIMARY KEY CHECK(one = 1), height INTEGER NOT NULL,
                    value BLOB NOT NULL, hash BLOB NOT NULL) STRICT;
                CREATE TABLE content(key INTEGER PRIMARY KEY, id BLOB NOT NULL, hash BLOB NOT NULL,
                    block BLOB NOT NULL) STRICT;
                CREATE TABLE block(height INTEGER PRIMARY KEY, content INTEGER NOT NULL, hash BLOB NOT NULL,
                    certificate BLOB NOT NULL) STRICT;
                CREATE TABLE header(height INTEGER PRIMARY KEY, hash BLOB NOT NULL, value BLOB NOT NULL) STRICT;
                CREATE TABLE snapshot(height INTEGER PRIMARY KEY, digest BLOB NOT NULL, value BLOB NOT NULL) STRICT;
                PRAGMA application_id = \(Self.applicationID);
                PRAGMA user_version = \(Self.schemaVersion);
                """)
        }
    }

    func checkSchema(path: String) throws(StorageError) {
        guard try pragma("application_id") == Self.applicationID else {
            throw StorageError("\(path) is a database of another program: choose another directory with --state-dir")
        }
        let version = try pragma("user_version")
        guard version <= Self.schemaVersion else {
            throw StorageError(
                "\(path) has format \(version) and this planner (\(poiseVersion)) reads \(Self.schemaVersion): run the newer planner that wrote it"
            )
        }
        guard version == Self.schemaVersion else {
            throw StorageError(
                "\(path) has format \(version), of an older planner, and this one (\(poiseVersion)) reads \(Self.schemaVersion): move the chain's files away and start again; the other nodes send the chain"
            )
        }
    }

    func pragma(_ name: String) throws(StorageError) -> Int64 { try first("PRAGMA \(name)") { $0.integer(0) } ?? 0 }

    static func damaged(_ what: String) -> StorageError {
        StorageError(
            "\(what) is damaged on disk: check the disk, move the chain's files away and start again; the other nodes send the blocks"
        )
    }

    // MARK: Records

    private enum Record { case genesis, stop }

    func genesis() throws(StorageError) -> [UInt8]? { try record(.genesis) }
    func replace(genesis value: [UInt8]) throws(StorageError) { try replace(.genesis, value) }

    func stop() throws(StorageError) -> String? { try record(.stop).map { String(decoding: $0, as: UTF8.self) } }
    func replace(stop why: String) throws(StorageError) { try replace(.stop, Array(why.utf8)) }

    private func record(_ name: Record) throws(StorageError) -> [UInt8]? {
        try first("SELECT value, hash FROM record WHERE name = '\(name)'") { row throws(StorageError) in
            let value = row.blob(0)
            guard row.blob(1) == Self.hash(value, of: name) else { throw Self.damaged("the record \"\(name)\"") }
            return value
        }
    }

    private func replace(_ name: Record, _ value: [UInt8]) throws(StorageError) {
        try run(
            "INSERT OR REPLACE INTO record(name, value, hash) VALUES('\(name)', ?, ?)", .blob(value),
            .blob(Self.hash(value, of: name)))
    }

    private static func hash(_ value: [UInt8], of name: Record) -> [UInt8] {
        Digest(of: value, domain: "poise/stored-\(name)/1").bytes
    }

    // MARK: Agreement

    /// That of the height after the last block. One of a height that is decided counts as forgotten, so that a commit
    /// need not write to forget it.
    func agreement() throws(StorageError) -> StoredAgreement? {
        let last = try height()
        let row = try first("SELECT height, value, hash FROM agreement") { row throws(StorageError) in
            let height = UInt64(clamping: row.integer(0))
            let value = row.blob(1)
            guard row.blob(2) == Self.hash(ofAgreement: value, height) else { throw Self.damaged("the agreement") }
            return (height: height, value: value)
        }
        guard let row, row.height > last else { return nil }
        let blocks = try contents(of: row.height).map { StoredAgreement.Held(id: $0.id, block: $0.block) }
        return StoredAgreement(height: row.height, record: row.value, named: blocks.map(\.id), blocks: blocks)
    }

    /// - Precondition: within a transaction.
    func replace(_ agreement: StoredAgreement) throws(StorageError) {
        let known = try contentKeys(of: agreement.height)
        for (key, id) in known where !agreement.named.contains(id) { try removeContent(key) }
        for held in agreement.blocks where !known.contains(where: { $0.id == held.id }) {
            try add(held.block, id: held.id, height: agreement.height)
        }
        try run(
            "INSERT OR REPLACE INTO agreement(one, height, value, hash) VALUES(1, ?, ?, ?)",
            .integer(Int64(clamping: agreement.height)), .blob(agreement.record),
            .blob(Self.hash(ofAgreement: agreement.record, agreement.height)))
    }

    private static func hash(ofAgreement value: [UInt8], _ height: UInt64) -> [UInt8] {
        var writer = ByteWriter()
        writer.integer(height)
        writer.byteString(value)
        return Digest(of: writer.bytes, domain: "poise/stored-agreement/2").bytes
    }

    // MARK: Snapshots

    func snapshot() throws(StorageError) -> StoredSnapshot? {
        try first("SELECT height, digest, value FROM snapshot ORDER BY height DESC LIMIT 1") {
            row throws(StorageError) in
            let snapshot = StoredSnapshot(height: UInt64(clamping: row.integer(0)), bytes: row.blob(2))
            guard snapshot.digest.bytes == row.blob(1) else { throw Self.damaged("the snapshot") }
            return snapshot
        }
    }

    /// The height of the snapshot and its bytes, which are not read; nil if there is none.
    func snapshotSize() throws(StorageError) -> (height: UInt64, bytes: Int)? {
        try first("SELECT height, length(value) FROM snapshot ORDER BY height DESC LIMIT 1") {
            (UInt64(clamping: $0.integer(0)), Int($0.integer(1)))
        }
    }

    /// - Precondition: within a transaction.
    func replace(_ snapshot: StoredSnapshot) throws(StorageError) {
        try run("DELETE FROM snapshot")
        try run(
            "INSERT INTO snapshot(height, digest, value) VALUES(?, ?, ?)", .integer(Int64(clamping: snapshot.height)),
            .blob(snapshot.digest.bytes), .blob(snapshot.bytes))
    }

    /// A piece of the stored snapshot: the one asked for, or the first of a snapshot that has taken its place.
    func snapshotPiece(_ index: UInt32, of digest: Digest?) throws(StorageError) -> SnapshotPiece? {
        let row = try first("SELECT height, digest, length(value) FROM snapshot ORDER BY height DESC LIMIT 1") {
            (height: $0.integer(0), digest: Digest($0.blob(1)), size: Int($0.integer(2)))
        }
        guard let row, let found = row.digest else { return nil }
        let index = digest == found ? index : 0
        guard row.size <= CertifiedSnapshot.sizeLimit, let range = SnapshotPiece.range(of: index, size: row.size),
            let bytes = try first(
                "SELECT substr(value, ?, ?) FROM snapshot WHERE height = ?", .integer(Int64(range.lowerBound + 1)),
                .integer(Int64(range.count)), .integer(row.height), row: { $0.blob(0) })
        else { return nil }
        return SnapshotPiece(
            height: UInt64(clamping: row.height), digest: found, size: UInt32(row.size), index: index, bytes: bytes)
    }
}
