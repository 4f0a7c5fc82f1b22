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

/// A node: its Ed25519 public key. Nodes are ordered by their keys.
public struct NodeID: FixedBytes {
    public static let count = 32
    public let bytes: [UInt8]
    public init(unchecked: [UInt8]) { bytes = unchecked }
}

/// A BLAKE2b-256 hash.
public struct Digest: FixedBytes {
    public static let count = 32
    public let bytes: [UInt8]
    public init(unchecked: [UInt8]) { bytes = unchecked }

    /// The digest that stands where there is nothing to hash, as before the first block.
    public static let zero = Digest(unchecked: [UInt8](repeating: 0, count: count))
}

/// An Ed25519 signature.
public struct Signature: FixedBytes {
    public static let count = 64
    public let bytes: [UInt8]
    public init(unchecked: [UInt8]) { bytes = unchecked }

    /// Stands where there is nothing to sign, as for the parent of the first block.
    public static let zero = Signature(unchecked: [UInt8](repeating: 0, count: count))
}
