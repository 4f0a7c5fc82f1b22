import Contracts
import Glibc
import Identity
import PlannerCore
import Runtime

/// A chain in one file, to be checked elsewhere: `planner chain export`.
///
/// The file begins with a line that names its form. Records follow: type u8, count of bytes u32, the bytes, and a digest of
/// the record's number, type and bytes. They are: the genesis (1), the snapshot if there is one (2), headers without bodies
/// (3), blocks (4: height u64, ID, block, certificate), each in ascending order of height, and an end (255) that states how many
/// records there are. Numbers are big-endian.
enum ChainArchive {
    static let magic = Array("poise chain 1\n".utf8)
    /// Bytes in a record at most.
    static let recordLimit = CertifiedSnapshot.sizeLimit + (1 << 20)

    enum Kind: UInt8 { case genesis = 1, snapshot = 2, header = 3, block = 4, end = 255 }

    static func digest(_ number: UInt64, _ kind: Kind, _ bytes: [UInt8]) -> Digest {
        var writer = ByteWriter()
        writer.integer(number)
        writer.integer(kind.rawValue)
        writer.byteString(bytes)
        return Digest(of: writer.bytes, domain: "poise/archive-record/1")
    }

    static func encode(_ block: CommittedBlock) -> [UInt8] {
        var writer = ByteWriter()
        writer.integer(block.height)
        writer.value(block.id)
        writer.byteString(block.block)
        writer.byteString(block.certificate)
        return writer.bytes
    }

    static func block(_ bytes: [UInt8]) throws -> CommittedBlock {
        var reader = ByteReader(bytes)
        let block = CommittedBlock(
            height: try reader.integer(), id: try reader.value(),
            block: try reader.byteString("a block", limit: Block.sizeLimit),
            certificate: try reader.byteString("a certificate", limit: recordLimit))
        try reader.finish()
        return block
    }

    /// Writes all that is stored. The file is there whole or not at all.
    ///
    /// - Parameter progress: the heights that were written.
    /// - Returns: bytes written.
    static func export(_ chain: ChainReader, to path: String, progress: (UInt64) -> Void) throws -> Int {
        guard let genesis = try chain.genesis() else {
            throw StorageError("no genesis is stored yet: the site is not founded")
        }
        let draft = path + ".part"
        let writer = try ArchiveWriter(draft)
        do {
            try writer.write(.genesis, genesis)
            if let snapshot = try chain.snapshot() { try writer.write(.snapshot, snapshot.bytes) }
            var next: UInt64 = 0
            while case let piece = try chain.headers(from: next, limit: 256), let last = piece.last {
                for header in piece { try writer.write(.header, header.encoded) }
                next = last.header.height + 1
            }
            var last: UInt64?
            try chain.forEachBlock(from: next) { block throws(StorageError) in
                // The running planner gives up old blocks; what was read before is then no part of one chain with these.
                if let last, block.height != last + 1 {
                    throw StorageError("block \(last + 1) was given up meanwhile: export again")
                }
                last = block.height
                do { try writer.write(.block, encode(block)) } catch { throw StorageError("\(error)") }
                progress(block.height)
            }
            let bytes = try writer.finish()
            guard rename(draft, path) == 0 else { throw FileError("rename", draft) }
            return bytes
        } catch {
            unlink(draft)
            throw error
        }
    }
}

private final class ArchiveWriter {
    private let path: String
    private let file: UnsafeMutablePointer<FILE>
    private var number: UInt64 = 0
    private var bytes = 0

    init(_ path: String) throws {
        self.path = path
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0, let file = fdopen(descriptor, "w") else { throw FileError("write", path) }
        self.file = file
        try put(ChainArchive.magic)
    }

    deinit { fclose(file) }

    func write(_ kind: ChainArchive.Kind, _ content: [UInt8]) throws {
        var writer = ByteWriter()
        writer.integer(kind.rawValue)
        writer.byteString(content)
        writer.value(ChainArchive.digest(number, kind, content))
        try put(writer.bytes)
        number += 1
    }

    func finish() throws -> Int {
        var writer = ByteWriter()
        writer.integer(number)
        try write(.end, writer.bytes)
        guard fflush(file) == 0, fsync(fileno(file)) == 0 else { throw FileError("write", path) }
        return bytes
    }

    private func put(_ content: [UInt8]) throws {
        guard fwrite(content, 1, content.count, file) == content.count else { throw FileError("write", path) }
        bytes += content.count
    }
}

/// Reads an archive from its start, record by record.
final class ArchiveReader {
    private let path: String
    private let file: UnsafeMutablePointer<FILE>
    private var number: UInt64 = 0
    private var offset: Int

    /// Whether the file begins as an archive does.
    static func isArchive(_ path: String) -> Bool {
        guard let file = fopen(path, "r") else { return false }
        defer { fclose(file) }
        var head = [UInt8](repeating: 0, count: ChainArchive.magic.count)
        return fread(&head, 1, head.count, file) == head.count && head == ChainArchive.magic
    }

    init(_ path: String) throws(StorageError) {
        guard let file = fopen(path, "r") else {
            throw StorageError("can't read \(path): \(String(cString: strerror(errno)))")
        }
        self.path = path
        self.file = file
        offset = ChainArchive.magic.count
        fseek(file, offset, SEEK_SET)
    }

    deinit { fclose(file) }

    /// The next record; nil after the last.
    /// - Throws: `StorageError` that names the place of what is damaged or missing.
    func next() throws(StorageError) -> (kind: ChainArchive.Kind, bytes: [UInt8])? {
        let head = try take(5)
        let count = head[1...].reduce(0) { $0 << 8 | Int($1) }
        guard let kind = ChainArchive.Kind(rawValue: head[0]), count <= ChainArchive.recordLimit else {
            throw damaged("it begins with what no record begins with")
        }
        let bytes = try take(count)
        guard Digest(try take(Digest.count)) == ChainArchive.digest(number, kind, bytes) else {
            throw damaged("its digest is another")
        }
        if kind == .end {
            var reader = ByteReader(bytes)
            guard (try? reader.integer(UInt64.self)) == number else { throw damaged("records before it are missing") }
            guard fgetc(file) == EOF else { throw damaged("bytes follow the last record") }
            return nil
        }
        offset += 5 + count + Digest.count
        number += 1
        return (kind, bytes)
    }

    private func take(_ count: Int) throws(StorageError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        guard fread(&bytes, 1, count, file) == count else {
            throw StorageError(
                "\(path) ends within record \(number), which begins at byte \(offset): the copy is not whole, copy it again"
            )
        }
        return bytes
    }

    private func damaged(_ why: String) -> StorageError {
        StorageError("\(path) is damaged in record \(number), which begins at byte \(offset): \(why); copy it again")
    }
}
