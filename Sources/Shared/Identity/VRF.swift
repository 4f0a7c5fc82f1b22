import CSodium
public import Contracts

// A verifiable random function: ECVRF-EDWARDS25519-SHA512-TAI of RFC 9381, whose sections the comments name.

/// A private key that draws: for each input one output that nobody can foresee and everybody can check.
public struct VRFSecretKey: Sendable {
    public static let seedCount = 32

    public let publicKey: VRFKey
    /// The secret scalar x. Reduced, which changes no product with a point of the prime-order subgroup.
    private let secret: Scalar
    /// The second half of the hashed seed: what nonces are made of.
    private let prefix: [UInt8]

    /// The key of a seed, SK in the RFC. The same seed always gives the same key.
    ///
    /// - Returns: nil unless `seed` has 32 bytes.
    public init?(seed: [UInt8]) {
        guard seed.count == Self.seedCount else { return nil }
        Sodium.prepare()
        let hash = ECVRF.hash(seed)
        var clamped = Array(hash[..<32])
        clamped[0] &= 0xf8
        clamped[31] = clamped[31] & 0x7f | 0x40
        secret = Scalar(reducing: clamped)
        prefix = Array(hash[32...])
        publicKey = VRFKey(unchecked: EdwardsPoint.base(secret).bytes)
    }

    /// The one proof of this key's draw for `alpha` (5.1).
    public func prove(_ alpha: [UInt8]) -> VRFProof {
        guard let memo = VerificationMemo.current else { return proof(alpha) }
        return memo.proof(publicKey, alpha) { proof(alpha) }
    }

    private func proof(_ alpha: [UInt8]) -> VRFProof {
        guard let h = ECVRF.encodeToCurve(publicKey, alpha) else {
            preconditionFailure("every input meets the curve: 256 tries fail with a probability of 2^-256")
        }
        let gamma = h.times(secret)
        // 5.4.2.2: the same input never gets two nonces, two inputs never get one.
        let nonce = Scalar(reducing: ECVRF.hash(prefix + h.bytes))
        let challenge = ECVRF.challenge(publicKey, [h, gamma, .base(nonce), h.times(nonce)])
        let response = nonce + Scalar(reducing: challenge) * secret
        return VRFProof(unchecked: gamma.bytes + challenge + response.bytes)
    }
}

extension VRFKey {
    /// The output that `proof` proves to be this key's for `alpha` (5.3); nil if it proves nothing, or the key can't be
    /// trusted to have only one output for each input (5.4.5).
    public func output(of proof: VRFProof, for alpha: [UInt8]) -> VRFOutput? {
        guard let memo = VerificationMemo.current else { return verified(proof, alpha) }
        return memo.output(self, proof, alpha) { verified(proof, alpha) }
    }

    private func verified(_ proof: VRFProof, _ alpha: [UInt8]) -> VRFOutput? {
        Sodium.prepare()
        guard let key = EdwardsPoint(bytes), key.cleared != .identity, let proof = ECVRF.Proof(proof),
            let h = ECVRF.encodeToCurve(self, alpha)
        else { return nil }
        let challenge = Scalar(reducing: proof.challenge)
        let u = EdwardsPoint.base(proof.response) - key.times(challenge)
        let v = h.times(proof.response) - proof.gamma.times(challenge)
        guard ECVRF.challenge(self, [h, proof.gamma, u, v]) == proof.challenge else { return nil }
        return proof.output
    }
}

extension VRFProof {
    /// What this proof would prove (5.2), unchecked; nil if it is no proof at all.
    public var output: VRFOutput? {
        guard let memo = VerificationMemo.current else { return computedOutput }
        return memo.output(of: self) { computedOutput }
    }

    private var computedOutput: VRFOutput? {
        Sodium.prepare()
        return ECVRF.Proof(self)?.output
    }
}

/// The steps that proving and verifying share.
private enum ECVRF {
    private static let suite: UInt8 = 3
    private static let challengeCount = 16

    static func hash(_ bytes: [UInt8]) -> [UInt8] {
        var output = [UInt8](repeating: 0, count: VRFOutput.count)
        let status = crypto_hash_sha512(&output, bytes, UInt64(bytes.count))
        precondition(status == 0, "SHA-512 takes any input")
        return output
    }

    /// 5.4.1.1: try and increment. nil if no counter gives a point.
    static func encodeToCurve(_ key: VRFKey, _ alpha: [UInt8]) -> EdwardsPoint? {
        for counter in UInt8.min...UInt8.max {
            let hash = hash([suite, 1] + key.bytes + alpha + [counter, 0])
            guard let point = EdwardsPoint(Array(hash[..<EdwardsPoint.count]))?.cleared, point != .identity else {
                continue
            }
            return point
        }
        return nil
    }

    /// 5.4.3, of the key and the points H, Γ, U and V.
    static func challenge(_ key: VRFKey, _ points: [EdwardsPoint]) -> [UInt8] {
        Array(hash([suite, 2] + key.bytes + points.flatMap(\.bytes) + [0])[..<challengeCount])
    }

    /// 5.4.4: a proof whose point is on the curve and whose number is below L.
    struct Proof {
        let gamma: EdwardsPoint
        let challenge: [UInt8]
        let response: Scalar

        init?(_ proof: VRFProof) {
            let bytes = proof.bytes
            let end = EdwardsPoint.count + ECVRF.challengeCount
            guard let gamma = EdwardsPoint(Array(bytes[..<EdwardsPoint.count])),
                let response = Scalar(canonical: Array(bytes[end...]))
            else { return nil }
            self.gamma = gamma
            challenge = Array(bytes[EdwardsPoint.count..<end])
            self.response = response
        }

        var output: VRFOutput { VRFOutput(unchecked: ECVRF.hash([suite, 3] + gamma.cleared.bytes + [0])) }
    }
}
