import Contracts
import Glibc
import PlannerCore
import Synchronization

/// The chain on disk: the genesis, the committed blocks, and what this node has said in the running height's agreement.
///
/// Every change is durable when its call returns (a write-ahead log, fully synchronised), so that a kill or power
/// cut at any moment loses no committed block and forgets no vote.
final class ChainStore: Sendable {
    /// Blocks whose hashes are checked when the store is opened; older ones are checked as they are read.
    static let checkedTail: UInt64 = 64

    let path: String
    private let connection: Mutex<SQLite>
    /// Held as long as the process lives: two planners on one chain would vote twice.
    private let lock: Int32

    /// Opens the chain in `directory`, which is made if it isn't there.
    init(directory: String) throws(StorageError) {
        path = ChainFiles.path(in: directory)
        lock = try ChainFiles.claim(directory)
        do {
            try ChainFiles.create(path)
            let connection = try SQLite(path: path, readOnly: false)
            try connection.execute("PRAGMA journal_mode = WAL")
            try connection.execute("PRAGMA synchronous = FULL")
            // A log that once grew is cut back, and the page cache stays small: each page is read once, at the start.
            try connection.execute("PRAGMA journal_size_limit = 4194304")
            try connection.execute("PRAGMA cache_size = -512")
            try connection.execute("PRAGMA trusted_schema = OFF")
            try connection.prepareSchema(path: path)
            try connection.checkBlocks(tail: Self.checkedTail)
            self.connection = Mutex(connection)
        } catch {
            close(lock)
            throw error
        }
    }

    deinit { close(lock) }

    func genesis() throws(StorageError) -> [UInt8]? {
        try connection.withLock { connection throws(StorageError) in try connection.record(.genesis) }
    }

    func agreement() throws(StorageError) -> [UInt8]? {
        try connection.withLock { connection throws(StorageError) in try connection.record(.agreement) }
    }

    func snapshot() throws(StorageError) -> [UInt8]? {
        try connection.withLock { connection throws(StorageError) in try connection.record(.snapshot) }
    }

    /// - Precondition: every block of the state is stored.
    func persist(snapshot: [UInt8]) throws(StorageError) {
        try connection.withLock { connection throws(StorageError) in try connection.replace(.snapshot, snapshot) }
    }

    func persist(genesis: [UInt8]) throws(StorageError) {
        try connection.withLock { connection throws(StorageError) in try connection.replace(.genesis, genesis) }
    }

    func persist(agreement: [UInt8]) throws(StorageError) {
        try connection.withLock { connection throws(StorageError) in try connection.replace(.agreement, agreement) }
    }

    /// Appends a block and forgets the agreement that made it, both or neither.
    func commit(_ block: CommittedBlock) throws(StorageError) {
        try connection.withLock { connection throws(StorageError) in
            try connection.transaction { () throws(StorageError) in
                let height = try connection.height()
                guard block.height == height + 1 else {
                    throw StorageError(
                        "block \(block.height) doesn't follow the stored block \(height): this is a fault of planner")
                }
                try connection.append(block)
                try connection.remove(.agreement)
            }
        }
    }

    /// Bytes that the chain takes on disk.
    var bytes: Int { ChainFiles.bytes(path) }
}

/// The chain for those who only read it, beside the planner that writes it.
final class ChainReader: Sendable {
    private let connection: Mutex<SQLite>

    /// - Throws: `StorageError` also if there is no chain yet.
    init(directory: String) throws(StorageError) {
        let path = ChainFiles.path(in: directory)
        let connection = try SQLite(path: path, readOnly: true)
        try connection.execute("PRAGMA cache_size = -512")
        try connection.checkSchema(path: path)
        self.connection = Mutex(connection)
    }

    func genesis() throws(StorageError) -> [UInt8]? {
        try connection.withLock { connection throws(StorageError) in try connection.record(.genesis) }
    }

    /// The height of the last block; 0 before the first.
    func height() throws(StorageError) -> UInt64 {
        try connection.withLock { connection throws(StorageError) in try connection.height() }
    }

    /// Calls `body` with each block from `first` on in ascending order, with few in memory at a time.
    func forEachBlock(
        from first: UInt64, _ body: (CommittedBlock) throws(StorageError) -> Void
    ) throws(StorageError) {
        var next = first
        while case let piece = try blocks(from: next, limit: 64, bytes: 4 << 20), let last = piece.last {
            for block in piece { try body(block) }
            next = last.height + 1
        }
    }

    /// At most `limit` blocks from `first` on, and no more once they have `bytes`, but at least one if there is one.
    func blocks(from first: UInt64, limit: Int, bytes: Int) throws(StorageError) -> [CommittedBlock] {
        var blocks: [CommittedBlock] = []
        guard limit > 0 else { return blocks }
        var size = 0
        try connection.withLock { connection throws(StorageError) in
            try connection.forEachBlock(from: first) { block throws(StorageError) in
                size += block.block.count + block.certificate.count
                guard blocks.isEmpty || size <= bytes else { return false }
                blocks.append(block)
                return blocks.count < limit
            }
        }
        return blocks
    }
}
