import Contracts
import Glibc
import PlannerCore
import Synchronization

/// The chain for those who only read it, beside the planner that writes it.
final class ChainReader: Sendable {
    private let connection: Mutex<SQLite>

    /// - Throws: `StorageError` also if there is no chain yet.
    convenience init(directory: String) throws(StorageError) {
        let path = ChainFiles.path(in: directory)
        guard access(path, F_OK) == 0 else {
            throw StorageError(
                "there is no chain in \(directory): ask on a device (docker exec poise-planner planner …), or name the directory "
                    + "that holds chain.sqlite with --state-dir")
        }
        try self.init(file: path)
    }

    /// - Parameters:
    ///   - path: a chain's file.
    ///   - isCopy: that it is a copy which nobody changes. Without a log beside it, it can be read where nothing can be written.
    init(file path: String, isCopy: Bool = false) throws(StorageError) {
        let connection = try SQLite(
            path: path, readOnly: true, isImmutable: isCopy && access("\(path)-wal", F_OK) != 0)
        try connection.execute("PRAGMA cache_size = -512")
        try connection.checkSchema(path: path)
        self.connection = Mutex(connection)
    }

    func genesis() throws(StorageError) -> [UInt8]? {
        try connection.withLock { connection throws(StorageError) in try connection.genesis() }
    }

    /// The height of the last block; 0 before the first.
    func height() throws(StorageError) -> UInt64 {
        try connection.withLock { connection throws(StorageError) in try connection.height() }
    }

    /// The lowest and the last height of which the whole block is there; nil if there is none.
    func heights() throws(StorageError) -> ClosedRange<UInt64>? {
        try connection.withLock { connection throws(StorageError) in try connection.heights() }
    }

    func snapshot() throws(StorageError) -> StoredSnapshot? {
        try connection.withLock { connection throws(StorageError) in try connection.snapshot() }
    }

    func headers(from first: UInt64, limit: Int) throws(StorageError) -> [CertifiedHeader] {
        try connection.withLock { connection throws(StorageError) in try connection.headers(from: first, limit: limit) }
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

    // MARK: For other nodes

    /// What a node that asks for the blocks from `height` on gets: blocks, or the first piece of a snapshot.
    func answer(from height: UInt64, to node: NodeID) throws(StorageError) -> Publication? {
        let offer = try connection.withLock { connection throws(StorageError) in
            CatchUpOffer(
                blocks: try connection.heights(), blockBytes: try connection.blockBytes(from: height),
                snapshot: try connection.snapshotSize())
        }
        if offer.prefersSnapshot(from: height) { return try piece(0, of: nil, to: node) }
        guard offer.blocks?.contains(height) == true else { return nil }
        let blocks = try blocks(from: height, limit: CommittedBlocks.countLimit, bytes: CommittedBlocks.byteLimit)
        return CommittedBlocks.publication(of: blocks, to: node)
    }

    func piece(_ index: UInt32, of digest: Digest?, to node: NodeID) throws(StorageError) -> Publication? {
        try connection.withLock { connection throws(StorageError) in
            try connection.snapshotPiece(index, of: digest)?.publication(to: node)
        }
    }
}
