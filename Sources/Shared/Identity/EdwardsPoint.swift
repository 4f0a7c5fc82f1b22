import CSodium

/// A point of edwards25519, whatever its order, by its one encoding (RFC 8032 section 5.1.2).
///
/// libsodium multiplies points of the prime-order subgroup only. What comes from others need not lie there, and to refuse
/// it would be to accept other proofs than RFC 9381 does, so its part outside is multiplied apart.
struct EdwardsPoint: Equatable {
    static let count = 32
    static let identity = EdwardsPoint(unchecked: [1] + [UInt8](repeating: 0, count: count - 1))

    let bytes: [UInt8]

    private init(unchecked: [UInt8]) { bytes = unchecked }

    /// Decodes as section 5.1.3 of RFC 8032 says; nil where that fails.
    init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.count, Self.isCanonical(bytes) else { return nil }
        // libsodium tells of any encoding whether it is on the curve when it adds, here nothing.
        var same = bytes
        guard crypto_core_ed25519_add(&same, bytes, Self.identity.bytes) == 0 else { return nil }
        self.bytes = bytes
    }

    /// Whether y is below p = 2^255 − 19, and x = 0 has the sign of zero. libsodium takes either otherwise too.
    private static func isCanonical(_ bytes: [UInt8]) -> Bool {
        let isNegative = bytes[31] >= 0x80
        let high = bytes[1..<31] + [bytes[31] & 0x7f]
        let isTop = high.dropLast().allSatisfy { $0 == 0xff } && high.last == 0x7f
        if isTop, bytes[0] >= 0xed { return false }
        // x is 0 for y = 1 and y = −1 alone.
        let isOne = bytes[0] == 1 && high.allSatisfy { $0 == 0 }
        let isMinusOne = isTop && bytes[0] == 0xec
        return !(isNegative && (isOne || isMinusOne))
    }

    static func + (a: Self, b: Self) -> Self {
        var sum = a.bytes
        let status = crypto_core_ed25519_add(&sum, a.bytes, b.bytes)
        precondition(status == 0, "points of the curve have a sum")
        return Self(unchecked: sum)
    }

    static func - (a: Self, b: Self) -> Self {
        var difference = a.bytes
        let status = crypto_core_ed25519_sub(&difference, a.bytes, b.bytes)
        precondition(status == 0, "points of the curve have a difference")
        return Self(unchecked: difference)
    }

    /// This point times the cofactor 8: always of the prime-order subgroup.
    var cleared: Self {
        let two = self + self
        let four = two + two
        return four + four
    }

    /// The base point times `scalar`, in a time that doesn't depend on either.
    static func base(_ scalar: Scalar) -> Self {
        var product = [UInt8](repeating: 0, count: count)
        // Fails for 0 alone.
        guard crypto_scalarmult_ed25519_base_noclamp(&product, scalar.bytes) == 0 else { return .identity }
        return Self(unchecked: product)
    }

    /// This point times `scalar`. For a point of the prime-order subgroup the time doesn't depend on either.
    func times(_ scalar: Scalar) -> Self {
        if self == .identity { return .identity }
        if let product = product(scalar) { return product }
        // P = M + T with M of prime order and T of small order; 8P = 8M.
        let eighth = Scalar.eight.inverse
        let cleared = cleared
        let main = cleared == .identity ? .identity : cleared.product(scalar * eighth) ?? .identity
        let torsion = self - (cleared == .identity ? .identity : cleared.product(eighth) ?? .identity)
        return (0..<(scalar.bytes[0] & 7)).reduce(main) { sum, _ in sum + torsion }
    }

    /// nil for a point that is not of the prime-order subgroup, where libsodium checks that.
    private func product(_ scalar: Scalar) -> Self? {
        var product = [UInt8](repeating: 0, count: Self.count)
        guard crypto_scalarmult_ed25519_noclamp(&product, scalar.bytes, bytes) == 0 else { return nil }
        return Self(unchecked: product)
    }
}

/// A number below the order L of edwards25519's prime-order subgroup, in 32 bytes, the lowest first.
struct Scalar: Equatable {
    static let count = 32
    static let zero = Scalar(reducing: [])
    static let eight = Scalar(reducing: [8])

    let bytes: [UInt8]

    /// The number modulo L.
    /// - Precondition: at most 64 bytes.
    init(reducing bytes: [UInt8]) {
        precondition(bytes.count <= 64, "libsodium reduces 64 bytes")
        var reduced = [UInt8](repeating: 0, count: Self.count)
        crypto_core_ed25519_scalar_reduce(&reduced, bytes + [UInt8](repeating: 0, count: 64 - bytes.count))
        self.bytes = reduced
    }

    /// The number, or nil if it isn't below L: it would be another writing of one that is.
    init?(canonical bytes: [UInt8]) {
        self.init(reducing: bytes)
        guard self.bytes == bytes else { return nil }
    }

    static func + (a: Self, b: Self) -> Self {
        var sum = a.bytes
        crypto_core_ed25519_scalar_add(&sum, a.bytes, b.bytes)
        return Self(reducing: sum)
    }

    static func * (a: Self, b: Self) -> Self {
        var product = a.bytes
        crypto_core_ed25519_scalar_mul(&product, a.bytes, b.bytes)
        return Self(reducing: product)
    }

    /// - Precondition: not zero.
    var inverse: Self {
        var inverse = bytes
        let status = crypto_core_ed25519_scalar_invert(&inverse, bytes)
        precondition(status == 0, "zero has no inverse")
        return Self(reducing: inverse)
    }
}
