import Contracts
import Glibc
import Identity

/// A small record that is replaced often, in a file of fixed size: it lies in two places by turns, so that a write that
/// is cut off leaves the one before.
///
/// Replacing it writes one page in place and no metadata: a ``DurableFile`` writes as much, and beside it a new file, its
/// name and its folder.
///
/// In each place lie two copies, of which each has a tag, a number that grows by one with each write, the count of bytes,
/// the bytes, and a digest of all that. What stands is the valid one with the highest number: a bit that the disk turned
/// does not bring back an older record.
public struct RecordFile: Sendable {
    /// Bytes from one place to the next: the largest unit that a disk or the page cache writes at once.
    private static let stride = 16_384
    /// Bytes from one copy to the next, both in one page.
    private static let copy = 2_048
    private static let fileSize = 2 * stride
    private static let tag: [UInt8] = Array("poise/record/1\0\0".utf8)
    /// Bytes in a record at most.
    public static let limit = copy - 16 - 8 - 4 - 32

    public let path: String

    public init(path: String) { self.path = path }

    /// The record, or nil if the file does not exist. A file of another size is one that a ``DurableFile`` wrote, whole.
    /// - Throws: ``FileError``; ``RecordError`` if no copy is sound.
    public func read() throws -> [UInt8]? {
        guard let bytes = try stored() else { return nil }
        return bytes.count == Self.fileSize ? try newest(bytes).record : bytes
    }

    /// Replaces the record. On return it is on the disk; until then either stands. One writer at a time.
    /// - Throws: ``FileError``, ``RecordError``; what stands then is the old one or the new one.
    public func write(_ record: [UInt8]) throws {
        guard record.count <= Self.limit else {
            throw RecordError(path: path, reason: "takes \(Self.limit) bytes at most, not \(record.count)")
        }
        guard let bytes = try stored(), bytes.count == Self.fileSize else { return try make(record) }
        let number = try newest(bytes).number + 1
        let file = open(path, O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { throw FileError("write", path) }
        defer { close(file) }
        try Self.write(Self.place(record, number), to: file, at: Int(number % 2) * Self.stride, path: path)
        guard fdatasync(file) == 0 else { throw FileError("sync", path) }
    }

    /// A file of its full size, so that no later write changes more than bytes in it.
    private func make(_ record: [UInt8]) throws {
        let bytes = Self.place(record, 0)
        try DurableFile(path: path).write(bytes + [UInt8](repeating: 0, count: Self.fileSize - bytes.count))
    }

    private func stored() throws -> [UInt8]? { try DurableFile(path: path).read(limit: 1 << 20) }

    private func newest(_ bytes: [UInt8]) throws -> (number: UInt64, record: [UInt8]) {
        let copies = [0, Self.copy, Self.stride, Self.stride + Self.copy].compactMap {
            Self.record(Array(bytes[$0..<$0 + Self.copy]))
        }
        guard let newest = copies.max(by: { $0.number < $1.number }) else {
            throw RecordError(path: path, reason: "is damaged: no copy of its record is sound")
        }
        return newest
    }

    private static func place(_ record: [UInt8], _ number: UInt64) -> [UInt8] {
        var writer = ByteWriter()
        writer.raw(tag)
        writer.integer(number)
        writer.byteString(record)
        writer.value(Digest(of: writer.bytes, domain: "poise/record/1"))
        let copy = writer.bytes + [UInt8](repeating: 0, count: copy - writer.bytes.count)
        return copy + copy
    }

    private static func record(_ bytes: [UInt8]) -> (number: UInt64, record: [UInt8])? {
        var reader = ByteReader(bytes)
        guard let found = try? reader.raw(tag.count), found == tag, let number = try? reader.integer(UInt64.self),
            let record = try? reader.byteString("a record", limit: limit), case let end = reader.offset,
            let digest = try? reader.value(Digest.self),
            digest == Digest(of: Array(bytes[..<end]), domain: "poise/record/1")
        else { return nil }
        return (number, record)
    }

    private static func write(_ bytes: [UInt8], to file: Int32, at offset: Int, path: String) throws {
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes {
                pwrite(file, $0.baseAddress, $0.count, off_t(offset + written))
            }
            if count < 0 {
                if errno == EINTR { continue }
                throw FileError("write", path)
            }
            written += count
        }
    }
}

/// Why a record can't be had or kept.
public struct RecordError: Error, CustomStringConvertible {
    public var path: String
    public var reason: String
    public var description: String { "\(path) \(reason)" }
}
