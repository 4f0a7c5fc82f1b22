// How a snapshot, which is larger than a message may be, comes to a node that is far behind: the payload of `snapshot`,
// sent to one node. Whoever lacks blocks asks for them with its status; the node that it asked may answer with the first
// piece of a snapshot instead. Each further piece is asked for, so that nobody gets more than it takes.

public import Contracts
import Identity

/// The payload of `snapshot`.
public enum SnapshotMessage: ByteCodable, Hashable {
    case piece(SnapshotPiece)
    case wish(SnapshotWish)

    public func encode(to writer: inout ByteWriter) {
        switch self {
        case .piece(let piece):
            writer.integer(UInt8(1))
            writer.value(piece)
        case .wish(let wish):
            writer.integer(UInt8(2))
            writer.value(wish)
        }
    }

    public init(from reader: inout ByteReader) throws {
        switch try reader.integer(UInt8.self) {
        case 1: self = .piece(try reader.value())
        case 2: self = .wish(try reader.value())
        case let type: throw ByteCodingError.invalid(what: "a snapshot message's type", value: "\(type)")
        }
    }
}

/// A part of an encoded ``CertifiedSnapshot``.
public struct SnapshotPiece: ByteCodable, Hashable {
    private static let domain = "poise/snapshot-piece/1"
    /// Bytes in each piece but the last.
    public static let byteLimit = 512 << 10
    /// Pieces of the largest snapshot.
    public static let countLimit = UInt32(CertifiedSnapshot.sizeLimit / byteLimit)

    /// Of the snapshot.
    public var height: UInt64
    /// Of all its bytes.
    public var digest: Digest
    /// Of all its pieces together, in bytes.
    public var size: UInt32
    /// From 0 on.
    public var index: UInt32
    public var bytes: [UInt8]

    public init(height: UInt64, digest: Digest, size: UInt32, index: UInt32, bytes: [UInt8]) {
        self.height = height
        self.digest = digest
        self.size = size
        self.index = index
        self.bytes = bytes
    }

    public func publication(to node: NodeID) -> Publication {
        Publication(kind: .snapshot, payload: SnapshotMessage.piece(self).encoded, to: node)
    }

    /// Where in a snapshot of `size` bytes this piece lies; nil for one beyond its end.
    public static func range(of index: UInt32, size: Int) -> Range<Int>? {
        guard index < countLimit else { return nil }
        let first = Int(index) * byteLimit
        return first < size ? first..<min(size, first + byteLimit) : nil
    }

    public func encode(to writer: inout ByteWriter) {
        writer.text(Self.domain)
        writer.integer(height)
        writer.value(digest)
        writer.integer(size)
        writer.integer(index)
        writer.byteString(bytes)
    }

    public init(from reader: inout ByteReader) throws {
        try reader.domain(Self.domain)
        height = try reader.integer()
        digest = try reader.value()
        size = try reader.integer()
        index = try reader.integer()
        bytes = try reader.byteString("a piece of a snapshot", limit: Self.byteLimit)
        guard Self.range(of: index, size: min(Int(size), CertifiedSnapshot.sizeLimit))?.count == bytes.count else {
            throw ByteCodingError.invalid(what: "a snapshot's piece", value: "\(index), of \(bytes.count) bytes")
        }
    }
}

/// Asks the node that sent a piece for another one.
public struct SnapshotWish: ByteCodable, Hashable {
    private static let domain = "poise/snapshot-wish/1"

    public var genesis: Digest
    public var digest: Digest
    public var index: UInt32

    public init(genesis: Digest, digest: Digest, index: UInt32) {
        self.genesis = genesis
        self.digest = digest
        self.index = index
    }

    public func encode(to writer: inout ByteWriter) {
        writer.text(Self.domain)
        writer.value(genesis)
        writer.value(digest)
        writer.integer(index)
    }

    public init(from reader: inout ByteReader) throws {
        try reader.domain(Self.domain)
        genesis = try reader.value()
        digest = try reader.value()
        index = try reader.integer()
    }
}

/// A snapshot as it is stored.
public struct StoredSnapshot: Hashable, Sendable {
    public var height: UInt64
    /// ``CertifiedSnapshot/digest(of:)`` of the bytes.
    public var digest: Digest
    /// An encoded ``CertifiedSnapshot``.
    public var bytes: [UInt8]

    public init(_ snapshot: CertifiedSnapshot) { self.init(height: snapshot.height, bytes: snapshot.encoded) }

    public init(height: UInt64, bytes: [UInt8]) {
        self.height = height
        self.bytes = bytes
        digest = CertifiedSnapshot.digest(of: bytes)
    }

    /// A part of it; nil for one beyond its end.
    public func piece(_ index: UInt32) -> SnapshotPiece? {
        SnapshotPiece.range(of: index, size: bytes.count).map { range in
            SnapshotPiece(
                height: height, digest: digest, size: UInt32(bytes.count), index: index, bytes: Array(bytes[range]))
        }
    }
}

/// What a node that was asked for blocks has to give.
public struct CatchUpOffer: Sendable {
    /// Blocks that a node may lack before a snapshot is weighed against them.
    public static let patience: UInt64 = 1_000

    /// The lowest and the last height of which it has the block; nil if it has none.
    public var blocks: ClosedRange<UInt64>?
    /// Bytes of a block with its certificate, about.
    public var blockBytes: Int
    public var snapshot: (height: UInt64, bytes: Int)?

    public init(blocks: ClosedRange<UInt64>?, blockBytes: Int, snapshot: (height: UInt64, bytes: Int)?) {
        self.blocks = blocks
        self.blockBytes = blockBytes
        self.snapshot = snapshot
    }

    /// Whether the snapshot helps a node that asks for the blocks from `height` on: the blocks are gone, or are so many
    /// that the state is much less to send and to check.
    public func prefersSnapshot(from height: UInt64) -> Bool {
        guard let snapshot, snapshot.height >= height else { return false }
        guard let blocks, blocks.contains(height) else { return true }
        let lacking = snapshot.height - height + 1
        return lacking > Self.patience && Int(clamping: lacking) / 2 > snapshot.bytes / max(1, blockBytes)
    }
}
