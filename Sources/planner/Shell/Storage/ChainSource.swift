import Contracts
import Glibc
import PlannerCore

/// A chain to be checked: that of this device, a copy of its file, or an archive.
enum ChainSource {
    case stored(ChainReader, path: String)
    case archive(path: String)

    /// - Parameter path: an archive, a chain's file, or a directory that holds one.
    init(_ path: String) throws(StorageError) {
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw StorageError("can't read \(path): \(String(cString: strerror(errno)))")
        }
        if status.st_mode & S_IFMT == S_IFDIR {
            let file = ChainFiles.path(in: path)
            guard access(file, F_OK) == 0 else { throw StorageError("\(path) holds no chain.sqlite") }
            self = .stored(try ChainReader(file: file, isCopy: true), path: file)
        } else if ArchiveReader.isArchive(path) {
            self = .archive(path: path)
        } else {
            guard ChainFiles.isDatabase(path) else {
                throw StorageError(
                    "\(path) is no chain: name a file that `planner chain export` has written, a copied chain.sqlite, or a "
                        + "directory that holds one")
            }
            self = .stored(try ChainReader(file: path, isCopy: true), path: path)
        }
    }

    /// What stands before the blocks.
    struct Head {
        var genesis: [UInt8]
        var snapshot: StoredSnapshot?
        /// The height of the first whole block; nil if there is none.
        var first: UInt64?
        var last: UInt64
        var bytes: Int
    }

    func head() throws -> Head {
        switch self {
        case .stored(let reader, let path):
            guard let genesis = try reader.genesis() else {
                throw StorageError("no genesis is stored yet: the site is not founded")
            }
            return Head(
                genesis: genesis, snapshot: try reader.snapshot(), first: try reader.heights()?.lowerBound,
                last: try reader.height(), bytes: ChainFiles.bytes(path))
        case .archive(let path): return try Self.head(ofArchive: path)
        }
    }

    private static func head(ofArchive path: String) throws -> Head {
        let archive = try ArchiveReader(path)
        var head: Head?
        while let (kind, bytes) = try archive.next() {
            switch kind {
            case .genesis where head == nil:
                head = Head(genesis: bytes, snapshot: nil, first: nil, last: 0, bytes: ChainFiles.bytes(path))
            case .snapshot where head != nil && head?.snapshot == nil && head?.first == nil:
                let height = try CertifiedSnapshot.decode(bytes).height
                head?.snapshot = StoredSnapshot(height: height, bytes: bytes)
                head?.last = height
            case .header where head?.first == nil: break
            case .block where head != nil:
                let height = try ChainArchive.block(bytes).height
                head?.last = height
                if head?.first == nil { head?.first = height }
            default: throw StorageError("\(path) holds a record out of turn: it is no archive that planner has written")
            }
        }
        guard let head else { throw StorageError("\(path) holds no genesis") }
        return head
    }

    enum Piece {
        case header(CertifiedHeader)
        case block(CommittedBlock)
    }

    /// Headers without bodies, then blocks, each in ascending order of height.
    func forEachPiece(_ body: (Piece) throws -> Void) throws {
        switch self {
        case .stored(let reader, _):
            var next: UInt64 = 0
            while case let piece = try reader.headers(from: next, limit: 256), let last = piece.last {
                for header in piece { try body(.header(header)) }
                next = last.header.height + 1
            }
            while case let piece = try reader.blocks(from: next, limit: 64, bytes: 4 << 20), let last = piece.last {
                for block in piece { try body(.block(block)) }
                next = last.height + 1
            }
        case .archive(let path):
            let archive = try ArchiveReader(path)
            while let (kind, bytes) = try archive.next() {
                switch kind {
                case .header: try body(.header(try CertifiedHeader(encoded: bytes)))
                case .block: try body(.block(try ChainArchive.block(bytes)))
                case .genesis, .snapshot, .end: break
                }
            }
        }
    }
}

/// Checks a chain from its genesis, or from its snapshot where older blocks are gone.
struct ChainCheck {
    struct Result: Codable, Equatable {
        var genesis: Digest
        var members: [Member]
        /// The first block that was computed again with all it holds: 1 for a whole chain. Where a snapshot stands for the
        /// blocks before, the next height after it.
        var from: UInt64
        /// The height of the snapshot whose proof was checked, if there is one.
        var snapshot: UInt64?
        /// Blocks before the snapshot that are proven by nothing but the hashes in their successors' headers.
        var linked: Int
        /// Blocks that changed the members.
        var memberChanges: Int
        /// Where the operator had the chain go on with those who were left.
        var recoveries: [RecoveryView]
        var height: UInt64
        var head: Digest
        var stateRoot: Digest
        /// Of what was read, files beside it included.
        var bytes: Int
    }

    private var chain: Chain
    private let snapshot: CertifiedSnapshot?
    private var linked = 0
    private var before: CertifiedHeader?

    /// - Parameter progress: the height that was checked, and the last.
    /// - Throws: `StorageError` with the first thing at fault.
    static func run(_ source: ChainSource, progress: (UInt64, UInt64) -> Void) throws -> Result {
        let head = try source.head()
        var check = try ChainCheck(head)
        try source.forEachPiece { piece in
            switch piece {
            case .header(let header): try check.link(header)
            case .block(let block):
                try check.take(block)
                progress(block.height, head.last)
            }
        }
        try check.finish()
        let state = check.chain.state
        return Result(
            genesis: state.genesis, members: state.members, from: check.chain.base + 1,
            snapshot: check.snapshot?.height,
            linked: check.linked, memberChanges: check.chain.links.count,
            recoveries: check.chain.founding.recoveries.map(RecoveryView.init), height: state.height, head: state.head,
            stateRoot: state.root, bytes: head.bytes)
    }

    private init(_ head: ChainSource.Head) throws(StorageError) {
        do throws(ChainFault) {
            var chain = try Chain(genesis: head.genesis)
            var snapshot: CertifiedSnapshot?
            if let stored = head.snapshot {
                // Its proof is checked also where all blocks are there.
                let found = try CertifiedSnapshot.decode(stored.bytes)
                let based = try Chain(snapshot: stored.bytes, founding: chain.founding)
                if head.first != 1 { chain = based }
                snapshot = found
            }
            self.chain = chain
            self.snapshot = snapshot
        } catch {
            throw Self.fault(error)
        }
    }

    private mutating func take(_ block: CommittedBlock) throws(StorageError) {
        guard block.height > chain.base else {
            do throws(Refusal) { try link(try CertifiedHeader(block)) } catch {
                throw Self.damaged(block.height, "\(error)")
            }
            return
        }
        do throws(ChainFault) { try chain.append(block) } catch { throw Self.fault(error) }
        if let snapshot, snapshot.height == block.height, snapshot.state != chain.stateOfLast?.snapshot {
            throw StorageError(
                "the chain doesn't hold: the snapshot of block \(block.height) is another state than its blocks lead to"
            )
        }
    }

    /// A block before the snapshot: its successor names it.
    private mutating func link(_ next: CertifiedHeader) throws(Refusal) {
        if let before {
            guard next.header.height == before.header.height + 1, next.header.parent == before.id else {
                throw Refusal(.wrongParent, "it does not follow block \(before.header.height)")
            }
        }
        before = next
        linked += 1
        try meetSnapshot(next)
    }

    private func meetSnapshot(_ next: CertifiedHeader) throws(Refusal) {
        guard let snapshot else { return }
        if next.header.height == snapshot.height, next.id != snapshot.last.id {
            throw Refusal(.wrongParent, "it is not the snapshot's block")
        }
        if next.header.height + 1 == snapshot.height, next.id != snapshot.last.header.parent {
            throw Refusal(.wrongParent, "the snapshot's block does not follow it")
        }
    }

    private func finish() throws(StorageError) {
        guard let before, let snapshot else { return }
        guard before.header.height + 1 >= snapshot.height else {
            throw Self.damaged(before.header.height + 1, "it is missing")
        }
    }

    private static func damaged(_ height: UInt64, _ why: String) -> StorageError {
        StorageError("the chain doesn't hold: block \(height): \(why)")
    }

    private static func fault(_ fault: ChainFault) -> StorageError { StorageError("the chain doesn't hold: \(fault)") }
}
