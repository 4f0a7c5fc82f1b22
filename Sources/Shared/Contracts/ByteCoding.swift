/// A value with one byte-exact encoding. What is signed or hashed is always such an encoding, never JSON,
/// so that two builds of Poise can never disagree about the bytes.
///
/// Integers are big-endian and of fixed width; byte strings, text and lists carry a 32-bit count first.
public protocol ByteCodable: Sendable {
    /// Appends this value's encoding.
    func encode(to writer: inout ByteWriter)

    /// Reads one value.
    /// - Throws: ``ByteCodingError`` where the bytes are not an encoding of this type.
    init(from reader: inout ByteReader) throws
}

extension ByteCodable {
    /// This value's encoding.
    public var encoded: [UInt8] {
        var writer = ByteWriter()
        encode(to: &writer)
        return writer.bytes
    }

    /// Reads a value that fills `bytes` exactly.
    /// - Throws: ``ByteCodingError``, also for bytes left over.
    public init(encoded bytes: [UInt8]) throws {
        var reader = ByteReader(bytes)
        self = try Self(from: &reader)
        try reader.finish()
    }
}

/// Why bytes could not be read.
public enum ByteCodingError: Error, Equatable, CustomStringConvertible {
    case truncated(at: Int)
    case trailing(count: Int)
    case tooLong(what: String, count: Int, limit: Int)
    case invalid(what: String, value: String)

    public var description: String {
        switch self {
        case .truncated(let offset): "the message ends early, at byte \(offset)"
        case .trailing(let count): "\(count) bytes are left over after the message"
        case .tooLong(let what, let count, let limit):
            "\(what) has \(count) entries or bytes; at most \(limit) are allowed"
        case .invalid(let what, let value): "\(what) is \(value), which is not allowed"
        }
    }
}

/// Collects an encoding.
public struct ByteWriter: Sendable {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    public mutating func raw(_ value: some Sequence<UInt8>) { bytes.append(contentsOf: value) }

    public mutating func integer<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }

    public mutating func bool(_ value: Bool) { bytes.append(value ? 1 : 0) }

    public mutating func byteString(_ value: [UInt8]) {
        integer(UInt32(value.count))
        raw(value)
    }

    public mutating func text(_ value: String) {
        integer(UInt32(value.utf8.count))
        raw(value.utf8)
    }

    public mutating func value(_ value: some ByteCodable) { value.encode(to: &self) }

    public mutating func optional<T: ByteCodable>(_ value: T?) {
        bool(value != nil)
        if let value { self.value(value) }
    }

    public mutating func optional<T: FixedWidthInteger>(integer value: T?) {
        bool(value != nil)
        if let value { integer(value) }
    }

    public mutating func optional(text value: String?) {
        bool(value != nil)
        if let value { text(value) }
    }

    public mutating func list<T: ByteCodable>(_ values: [T]) {
        integer(UInt32(values.count))
        for entry in values { value(entry) }
    }

    public mutating func texts(_ values: [String]) {
        integer(UInt32(values.count))
        for entry in values { text(entry) }
    }

    /// Pairs in ascending order of their keys' UTF-8 bytes: Swift's own order of text depends on a version of Unicode.
    public mutating func pairs(_ values: [String: String]) {
        integer(UInt32(values.count))
        for (key, value) in values.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
            text(key)
            text(value)
        }
    }
}

/// Reads an encoding, never past its end and never more than a stated count.
public struct ByteReader: Sendable {
    private let bytes: [UInt8]
    public private(set) var offset = 0

    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    public var remaining: Int { bytes.count - offset }

    public mutating func raw(_ count: Int) throws -> [UInt8] {
        guard count >= 0, count <= remaining else { throw ByteCodingError.truncated(at: bytes.count) }
        defer { offset += count }
        return Array(bytes[offset..<offset + count])
    }

    public mutating func integer<T: FixedWidthInteger>(_ type: T.Type = T.self) throws -> T {
        let width = T.bitWidth / 8
        guard width <= remaining else { throw ByteCodingError.truncated(at: bytes.count) }
        defer { offset += width }
        return bytes.withUnsafeBytes { T(bigEndian: $0.loadUnaligned(fromByteOffset: offset, as: T.self)) }
    }

    public mutating func bool() throws -> Bool {
        let byte = try integer(UInt8.self)
        guard byte < 2 else { throw ByteCodingError.invalid(what: "a truth value", value: "\(byte)") }
        return byte == 1
    }

    public mutating func byteString(_ what: String, limit: Int) throws -> [UInt8] {
        try raw(count(what, limit: limit))
    }

    public mutating func text(_ what: String, limit: Int) throws -> String {
        let count = try count(what, limit: limit)
        guard count <= remaining else { throw ByteCodingError.truncated(at: bytes.count) }
        guard let text = String(validating: bytes[offset..<offset + count], as: UTF8.self) else {
            throw ByteCodingError.invalid(what: what, value: "not UTF-8")
        }
        offset += count
        return text
    }

    public mutating func value<T: ByteCodable>(_ type: T.Type = T.self) throws -> T { try T(from: &self) }

    public mutating func optional<T: ByteCodable>(_ type: T.Type = T.self) throws -> T? {
        try bool() ? try value(type) : nil
    }

    public mutating func optional<T: FixedWidthInteger>(integer type: T.Type) throws -> T? {
        try bool() ? try integer(type) : nil
    }

    public mutating func optional(text what: String, limit: Int) throws -> String? {
        try bool() ? try text(what, limit: limit) : nil
    }

    public mutating func list<T: ByteCodable>(_ what: String, of type: T.Type = T.self, limit: Int) throws -> [T] {
        let count = try count(what, limit: limit)
        var values: [T] = []
        for _ in 0..<count { values.append(try value(type)) }
        return values
    }

    public mutating func texts(_ what: String, limit: Int, each: Int) throws -> [String] {
        let count = try count(what, limit: limit)
        var values: [String] = []
        for _ in 0..<count { values.append(try text(what, limit: each)) }
        return values
    }

    public mutating func pairs(_ what: String, limit: Int, each: Int) throws -> [String: String] {
        let count = try count(what, limit: limit)
        var values: [String: String] = [:]
        var last: String?
        for _ in 0..<count {
            let key = try text(what, limit: each)
            if let last, !last.utf8.lexicographicallyPrecedes(key.utf8) {
                throw ByteCodingError.invalid(what: what, value: "out of order at \"\(key)\"")
            }
            last = key
            // Two keys of different bytes can be one text to Swift ("é" composed or not): a dictionary holds but one.
            guard values.updateValue(try text(what, limit: each), forKey: key) == nil else {
                throw ByteCodingError.invalid(what: what, value: "twice \"\(key)\", written in two ways")
            }
        }
        return values
    }

    /// - Throws: ``ByteCodingError/trailing(count:)`` unless every byte was read.
    public func finish() throws {
        guard remaining == 0 else { throw ByteCodingError.trailing(count: remaining) }
    }

    private mutating func count(_ what: String, limit: Int) throws -> Int {
        let count = Int(try integer(UInt32.self))
        guard count <= limit else { throw ByteCodingError.tooLong(what: what, count: count, limit: limit) }
        return count
    }
}
