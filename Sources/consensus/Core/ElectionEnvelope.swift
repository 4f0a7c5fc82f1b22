public import Contracts

/// The payload of a message of kind `election`: an engine's own message, with the site and the engine it is for.
/// An empty one tells by which engine its sender elects.
public struct ElectionEnvelope: ByteCodable, Hashable {
    static let domain = "poise/election/1"
    /// Bytes of an engine's message at most: a certificate, and what stands before it.
    public static let bodyLimit = Leadership.certificateLimit + 256

    public var genesis: Digest
    public var engine: String
    public var body: [UInt8]

    public init(genesis: Digest, engine: String, body: [UInt8]) {
        self.genesis = genesis
        self.engine = engine
        self.body = body
    }

    public func encode(to writer: inout ByteWriter) {
        writer.text(Self.domain)
        writer.value(genesis)
        writer.text(engine)
        writer.byteString(body)
    }

    public init(from reader: inout ByteReader) throws {
        try reader.domain(Self.domain)
        genesis = try reader.value()
        engine = try reader.text("the election engine", limit: 32)
        guard engine.utf8.allSatisfy({ 0x61...0x7A ~= $0 || 0x30...0x39 ~= $0 || $0 == 0x2D }) else {
            throw ByteCodingError.invalid(what: "the election engine", value: "not lower-case letters and digits")
        }
        body = try reader.byteString("an election message", limit: Self.bodyLimit)
    }
}
