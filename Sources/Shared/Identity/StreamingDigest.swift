import CSodium
import Contracts

/// BLAKE2b-256 (RFC 7693) of bytes that come in pieces, for what is too large to be held.
///
/// Unlike ``Digest/init(of:domain:)`` it names no domain: it is compared with the same hash of the same stream only.
public final class StreamingDigest {
    private let state: UnsafeMutableRawPointer
    private var result: Digest?

    public init() {
        // libsodium's state must be aligned to 64 bytes.
        state = .allocate(byteCount: Int(crypto_generichash_statebytes()), alignment: 64)
        let status = crypto_generichash_init(OpaquePointer(state), nil, 0, Digest.count)
        precondition(status == 0, "BLAKE2b-256 needs no key")
    }

    deinit { state.deallocate() }

    /// - Precondition: ``finish()`` was not called yet.
    public func update(_ bytes: [UInt8]) {
        precondition(result == nil, "the digest is finished")
        let status = crypto_generichash_update(OpaquePointer(state), bytes, UInt64(bytes.count))
        precondition(status == 0, "BLAKE2b-256 takes any input")
    }

    /// The digest of all that was given. May be asked again.
    public func finish() -> Digest {
        if let result { return result }
        var output = [UInt8](repeating: 0, count: Digest.count)
        let status = crypto_generichash_final(OpaquePointer(state), &output, output.count)
        precondition(status == 0, "BLAKE2b-256 of 32 bytes is defined")
        let digest = Digest(unchecked: output)
        result = digest
        return digest
    }
}
