import CSodium
public import Contracts

/// An Ed25519 private key (RFC 8032). Its public half is the node's name in every protocol.
public struct SigningKey: Sendable {
    public static let seedCount = 32

    public let nodeID: NodeID
    /// The 32 bytes that the key was made from: what must be kept secret and durable.
    public let seed: [UInt8]
    /// The key by which this node draws: made of the same seed, so that there is but one secret to keep.
    public let vrf: VRFSecretKey
    private let secret: [UInt8]

    /// The key of a seed. The same seed always gives the same key.
    ///
    /// - Parameter seed: 32 bytes from the operating system's entropy (or, in a simulation, from its own seed).
    /// - Returns: nil if `seed` has another length.
    public init?(seed: [UInt8]) {
        guard seed.count == Self.seedCount else { return nil }
        var publicKey = [UInt8](repeating: 0, count: NodeID.count)
        var secret = [UInt8](repeating: 0, count: Int(crypto_sign_secretkeybytes()))
        Sodium.prepare()
        let status = crypto_sign_seed_keypair(&publicKey, &secret, seed)
        precondition(status == 0, "libsodium makes a key pair of any 32 bytes")
        guard let vrf = VRFSecretKey(seed: Digest(of: seed, domain: "poise/vrf-key/1").bytes) else { return nil }
        self.seed = seed
        self.vrf = vrf
        self.secret = secret
        nodeID = NodeID(unchecked: publicKey)
    }

    /// The public half, where the key is no node's.
    public var publicKey: PublicKey { PublicKey(unchecked: nodeID.bytes) }

    /// Signs `bytes`. Deterministic, as Ed25519 is.
    public func sign(_ bytes: [UInt8]) -> Signature {
        var signature = [UInt8](repeating: 0, count: Signature.count)
        let status = crypto_sign_detached(&signature, nil, bytes, UInt64(bytes.count), secret)
        precondition(status == 0, "Ed25519 signs any bytes")
        let made = Signature(unchecked: signature)
        VerificationMemo.current?.made(made, by: nodeID, of: bytes)
        return made
    }
}

extension NodeID {
    /// Whether `signature` is this node's for `bytes`.
    public func verifies(_ signature: Signature, of bytes: [UInt8]) -> Bool {
        guard let memo = VerificationMemo.current else { return computesAsSigned(signature, bytes) }
        return memo.verifies(self, signature, bytes) { computesAsSigned(signature, bytes) }
    }

    private func computesAsSigned(_ signature: Signature, _ bytes: [UInt8]) -> Bool {
        Ed25519.verifies(signature, of: bytes, by: self.bytes)
    }
}

extension PublicKey {
    /// Whether `signature` was made with this key's other half for `bytes`.
    public func verifies(_ signature: Signature, of bytes: [UInt8]) -> Bool {
        NodeID(unchecked: self.bytes).verifies(signature, of: bytes)
    }
}

private enum Ed25519 {
    static func verifies(_ signature: Signature, of bytes: [UInt8], by key: [UInt8]) -> Bool {
        Sodium.prepare()
        return crypto_sign_verify_detached(signature.bytes, bytes, UInt64(bytes.count), key) == 0
    }
}
