import CSodium
public import Contracts

extension Digest {
    /// BLAKE2b-256 (RFC 7693) of `bytes`, keyed with nothing, of 32 bytes.
    ///
    /// - Parameter domain: what the bytes are, so that a hash of one kind of thing is never one of another.
    public init(of bytes: [UInt8], domain: String) {
        Sodium.prepare()
        var writer = ByteWriter()
        writer.text(domain)
        writer.raw(bytes)
        let input = writer.bytes
        var output = [UInt8](repeating: 0, count: Digest.count)
        let status = crypto_generichash(&output, output.count, input, UInt64(input.count), nil, 0)
        precondition(status == 0, "BLAKE2b-256 takes any input")
        self.init(unchecked: output)
    }
}

extension Genesis {
    /// The chain's name, which every vote carries.
    public var hash: Digest { Digest(of: encoded, domain: "poise/genesis-hash/3") }
}
