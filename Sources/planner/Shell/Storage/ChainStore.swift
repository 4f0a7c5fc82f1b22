import Contracts
import Glibc
import PlannerCore
import Synchronization

/// The chain on disk: the genesis, the committed blocks, the newest snapshot, and what this node has said in the running
/// height's agreement.
///
/// Every change is durable when its call returns (a write-ahead log, fully synchronised), so that a kill or power
/// cut at any moment loses no committed block and forgets no vote.
final class ChainStore: Sendable {
    /// Blocks whose hashes are checked when the store is opened; older ones are checked as they are read.
    static let checkedTail: UInt64 = 64
    /// Bytes that the chain takes on disk unless it is told otherwise.
    static let usualLimit = 256 << 20

    private struct Open: ~Copyable {
        let connection: SQLite
        var retention: ChainRetention
    }

    let path: String
    private let state: Mutex<Open>
    /// Held as long as the process lives: two planners on one chain would vote twice.
    private let lock: Int32

    /// Opens the chain in `directory`, which is made if it isn't there.
    ///
    /// - Parameter limit: bytes that file and log may take, as far as what must stay allows.
    init(directory: String, limit: Int = ChainStore.usualLimit) throws(StorageError) {
        path = ChainFiles.path(in: directory)
        lock = try ChainFiles.claim(directory)
        do {
            try ChainFiles.create(path)
            let connection = try SQLite(path: path, readOnly: false)
            // Of a new file; an old one keeps its own.
            try connection.execute("PRAGMA page_size = \(SQLite.pageSize)")
            try connection.execute("PRAGMA journal_mode = WAL")
            try connection.execute("PRAGMA synchronous = FULL")
            // The log is written from its start again when it has this size, which is seldom: what changes in every
            // block then goes into the file once for hundreds of blocks.
            // The log has a head of 24 bytes before each page.
            let pages = ChainRetention.logBytes / (SQLite.pageSize + 24)
            try connection.execute("PRAGMA wal_autocheckpoint = \(pages)")
            try connection.execute("PRAGMA journal_size_limit = \(2 * ChainRetention.logBytes)")
            // The page cache stays small: each page is read once, at the start.
            try connection.execute("PRAGMA cache_size = -512")
            try connection.execute("PRAGMA trusted_schema = OFF")
            // Some builds of SQLite overwrite what is deleted: each block would be written once more when it goes.
            try connection.execute("PRAGMA secure_delete = OFF")
            try connection.prepareSchema(path: path)
            try connection.checkBlocks(tail: Self.checkedTail)
            var retention = try ChainRetention(limit: limit, connection)
            try Self.fit(connection, &retention)
            state = Mutex(Open(connection: connection, retention: retention))
        } catch {
            close(lock)
            throw error
        }
    }

    deinit { close(lock) }

    /// Once the limit was lowered, the room that is given up must leave the file, where otherwise it is used again.
    private static func fit(_ connection: SQLite, _ retention: inout ChainRetention) throws(StorageError) {
        while try retention.isDue(connection), try retention.step(connection) {}
        let bytes = Int(try connection.pragma("page_count") * connection.pragma("page_size"))
        guard bytes > retention.limit, try ChainRetention.used(connection) < bytes / 4 * 3 else { return }
        try connection.execute("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")
    }

    func genesis() throws(StorageError) -> [UInt8]? {
        try state.withLock { open throws(StorageError) in try open.connection.genesis() }
    }

    /// That of the height after the last block, with all blocks that it holds.
    func agreement() throws(StorageError) -> StoredAgreement? {
        try state.withLock { open throws(StorageError) in try open.connection.agreement() }
    }

    func snapshot() throws(StorageError) -> StoredSnapshot? {
        try state.withLock { open throws(StorageError) in try open.connection.snapshot() }
    }

    /// - Precondition: every block of the state since the snapshot before is stored.
    func persist(_ snapshot: StoredSnapshot) throws(StorageError) {
        try state.withLock { open throws(StorageError) in
            let connection = open.connection
            try connection.transaction { () throws(StorageError) in
                let last = try connection.height()
                guard snapshot.height <= last else {
                    throw StorageError(
                        "a snapshot of block \(snapshot.height) comes before that block, after block \(last): this is a fault of planner"
                    )
                }
                try connection.replace(snapshot)
            }
        }
    }

    /// Puts a snapshot in the place of all blocks, all or nothing.
    func adopt(_ snapshot: StoredSnapshot) throws(StorageError) {
        try state.withLock { open throws(StorageError) in
            let connection = open.connection
            try connection.transaction { () throws(StorageError) in
                let last = try connection.height()
                guard snapshot.height > last else {
                    throw StorageError(
                        "a snapshot of block \(snapshot.height) is not ahead of block \(last): this is a fault of planner"
                    )
                }
                try connection.execute("DELETE FROM content; DELETE FROM block; DELETE FROM header")
                try connection.replace(snapshot)
            }
            open.retention.forgotHeaders()
        }
    }

    /// Why this node has stopped for good; nil if it hasn't.
    func stop() throws(StorageError) -> String? {
        try state.withLock { open throws(StorageError) in try open.connection.stop() }
    }

    func persist(stop why: String) throws(StorageError) {
        try state.withLock { open throws(StorageError) in try open.connection.replace(stop: why) }
    }

    func persist(genesis: [UInt8]) throws(StorageError) {
        try state.withLock { open throws(StorageError) in try open.connection.replace(genesis: genesis) }
    }

    func persist(_ agreement: StoredAgreement) throws(StorageError) {
        try state.withLock { open throws(StorageError) in
            let connection = open.connection
            try connection.transaction { () throws(StorageError) in try connection.replace(agreement) }
        }
    }

    /// Appends a block; the agreement that made it counts as forgotten then, both or neither.
    func commit(_ block: CommittedBlock) throws(StorageError) {
        try state.withLock { open throws(StorageError) in
            let connection = open.connection
            try connection.transaction { () throws(StorageError) in
                let height = try connection.height()
                guard block.height == height + 1 else {
                    throw StorageError(
                        "block \(block.height) doesn't follow the stored block \(height): this is a fault of planner")
                }
                try connection.append(block)
            }
        }
    }

    /// Gives up some of the oldest blocks if the chain takes more room than it may.
    /// - Returns: whether anything went; then there may be more.
    @discardableResult
    func prune() throws(StorageError) -> Bool {
        try state.withLock { open throws(StorageError) in
            guard try open.retention.isDue(open.connection) else { return false }
            return try open.retention.step(open.connection)
        }
    }

    /// Bytes that the chain takes on disk.
    var bytes: Int { ChainFiles.bytes(path) }
}
