/// A byte string of one length, written as lower-case hex wherever people or JSON see it.
public protocol FixedBytes: ByteCodable, Hashable, Comparable, Codable, CustomStringConvertible, CodingKeyRepresentable
{
    static var count: Int { get }
    var bytes: [UInt8] { get }

    /// - Precondition: `unchecked.count == Self.count`.
    init(unchecked: [UInt8])
}

extension FixedBytes {
    /// The value, or nil if `bytes` has another length.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.count else { return nil }
        self.init(unchecked: bytes)
    }

    /// The value that `hex` writes, or nil if it isn't `2 × count` hex digits.
    public init?(hex: String) {
        guard let bytes = Hex.decode(hex) else { return nil }
        self.init(bytes)
    }

    public static func < (a: Self, b: Self) -> Bool { a.bytes.lexicographicallyPrecedes(b.bytes) }

    public var description: String { Hex.encode(bytes) }

    /// The first 8 hex digits, as people see it beside a name.
    public var short: String { String(description.prefix(8)) }

    public func encode(to writer: inout ByteWriter) { writer.raw(bytes) }

    public init(from reader: inout ByteReader) throws { self.init(unchecked: try reader.raw(Self.count)) }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let value = Self(hex: text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "expected \(Self.count * 2) hex digits, found \"\(text.prefix(80))\"")
        }
        self = value
    }

    public var codingKey: any CodingKey { HexKey(stringValue: description) }

    public init?(codingKey: some CodingKey) { self.init(hex: codingKey.stringValue) }
}

private struct HexKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

/// 32 bytes without a place of their own in memory: states hold them by the hundred thousand, and copy and look them up in
/// every block.
private struct FourWords: Hashable, Comparable, Sendable {
    /// Big-endian, so that they compare as the bytes do.
    private let a, b, c, d: UInt64

    /// - Parameter offset: where in `bytes` they begin.
    init(_ bytes: [UInt8], at offset: Int = 0) {
        precondition(bytes.count >= offset + 32, "a key or digest has 32 bytes, a signature 64")
        func word(_ index: Int) -> UInt64 {
            bytes.withUnsafeBytes {
                UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: offset + index * 8, as: UInt64.self))
            }
        }
        (a, b, c, d) = (word(0), word(1), word(2), word(3))
    }

    init(from reader: inout ByteReader) throws {
        (a, b, c, d) = (try reader.integer(), try reader.integer(), try reader.integer(), try reader.integer())
    }

    func encode(to writer: inout ByteWriter) {
        let words = (a.bigEndian, b.bigEndian, c.bigEndian, d.bigEndian)
        withUnsafeBytes(of: words) { writer.raw($0) }
    }

    var bytes: [UInt8] {
        let words = (a.bigEndian, b.bigEndian, c.bigEndian, d.bigEndian)
        return withUnsafeBytes(of: words) { [UInt8]($0) }
    }

    static func < (one: Self, other: Self) -> Bool {
        (one.a, one.b, one.c, one.d) < (other.a, other.b, other.c, other.d)
    }
}

/// A node: its Ed25519 public key. Nodes are ordered by their keys.
public struct NodeID: FixedBytes {
    public static let count = 32
    private let words: FourWords
    public var bytes: [UInt8] { words.bytes }
    public init(unchecked: [UInt8]) { words = FourWords(unchecked) }
    public init(from reader: inout ByteReader) throws { words = try FourWords(from: &reader) }
    public func encode(to writer: inout ByteWriter) { words.encode(to: &writer) }
    public static func < (a: Self, b: Self) -> Bool { a.words < b.words }

    /// Nobody.
    public static let zero = NodeID(unchecked: [UInt8](repeating: 0, count: count))
}

/// An Ed25519 public key that is no node's: the operator's, or that of an invitation.
public struct PublicKey: FixedBytes {
    public static let count = 32
    private let words: FourWords
    public var bytes: [UInt8] { words.bytes }
    public init(unchecked: [UInt8]) { words = FourWords(unchecked) }
    public init(from reader: inout ByteReader) throws { words = try FourWords(from: &reader) }
    public func encode(to writer: inout ByteWriter) { words.encode(to: &writer) }
    public static func < (a: Self, b: Self) -> Bool { a.words < b.words }

    /// Stands where nobody can sign.
    public static let zero = PublicKey(unchecked: [UInt8](repeating: 0, count: count))
}

/// A BLAKE2b-256 hash.
public struct Digest: FixedBytes {
    public static let count = 32
    private let words: FourWords
    public var bytes: [UInt8] { words.bytes }
    public init(unchecked: [UInt8]) { words = FourWords(unchecked) }
    public init(from reader: inout ByteReader) throws { words = try FourWords(from: &reader) }
    public func encode(to writer: inout ByteWriter) { words.encode(to: &writer) }
    public static func < (a: Self, b: Self) -> Bool { a.words < b.words }

    /// The digest that stands where there is nothing to hash, as before the first block.
    public static let zero = Digest(unchecked: [UInt8](repeating: 0, count: count))
}

/// An Ed25519 signature.
public struct Signature: FixedBytes {
    public static let count = 64
    private let r, s: FourWords
    public var bytes: [UInt8] { r.bytes + s.bytes }

    public init(unchecked: [UInt8]) { (r, s) = (FourWords(unchecked), FourWords(unchecked, at: 32)) }

    public init(from reader: inout ByteReader) throws {
        (r, s) = (try FourWords(from: &reader), try FourWords(from: &reader))
    }

    public func encode(to writer: inout ByteWriter) {
        r.encode(to: &writer)
        s.encode(to: &writer)
    }

    public static func < (a: Self, b: Self) -> Bool { (a.r, a.s) < (b.r, b.s) }

    /// Stands where there is nothing to sign, as for the parent of the first block.
    public static let zero = Signature(unchecked: [UInt8](repeating: 0, count: count))
}

/// The public key of a node's verifiable random function (RFC 9381, ECVRF-EDWARDS25519-SHA512-TAI).
public struct VRFKey: FixedBytes {
    public static let count = 32
    private let words: FourWords
    public var bytes: [UInt8] { words.bytes }
    public init(unchecked: [UInt8]) { words = FourWords(unchecked) }
    public init(from reader: inout ByteReader) throws { words = try FourWords(from: &reader) }
    public func encode(to writer: inout ByteWriter) { words.encode(to: &writer) }
    public static func < (a: Self, b: Self) -> Bool { a.words < b.words }

    /// Stands where nobody draws.
    public static let zero = VRFKey(unchecked: [UInt8](repeating: 0, count: count))
}

/// What shows that a node's draw is its only one for its input: `pi_string` of RFC 9381.
public struct VRFProof: FixedBytes {
    public static let count = 80
    public let bytes: [UInt8]
    public init(unchecked: [UInt8]) { bytes = unchecked }
}

/// A draw: 64 bytes that nobody could choose, `beta_string` of RFC 9381.
public struct VRFOutput: FixedBytes {
    public static let count = 64
    public let bytes: [UInt8]
    public init(unchecked: [UInt8]) { bytes = unchecked }
}
