import Contracts

/// How long a node waits with its draw: exponentially distributed, so that whoever has waited for a while is no nearer
/// to its end than anybody else, and the shortest of n waits is again exponential with an n-th of the mean. Integers
/// only: every node computes the same.
enum WaitingTime {
    /// ln 2 in units of 2⁻³².
    private static let ln2: UInt64 = 2_977_044_472

    /// Milliseconds: the quantile −mean · ln u of the exponential distribution (inverse transform sampling), where u in
    /// (0, 1] is the draw's first 64 bits.
    ///
    /// - Parameter mean: milliseconds, 0 to 2³².
    static func milliseconds(of draw: VRFOutput, mean: Int64) -> Int64 {
        let bits = draw.bytes.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let (high, low) = negativeLogarithm(bits).multipliedFullWidth(by: UInt64(mean))
        return Int64(high << 32 | low >> 32)
    }

    /// −ln((bits + 1) / 2⁶⁴) in units of 2⁻³², within 2 units.
    static func negativeLogarithm(_ bits: UInt64) -> UInt64 {
        if bits == .max { return 0 }
        let number = bits + 1
        // number = m · 2^(63 − zeros) with m in [1, 2), in units of 2⁻⁶³.
        let zeros = number.leadingZeroBitCount
        var m = number << UInt64(zeros)
        // log₂ m bit by bit: squaring doubles the logarithm, and a square of 2 or more has a bit to give.
        var fraction: UInt64 = 0
        for _ in 0..<40 {
            fraction <<= 1
            let (high, low) = m.multipliedFullWidth(by: m)
            if high >> 63 == 1 {
                fraction |= 1
                m = high
            } else {
                m = high << 1 | low >> 63
            }
        }
        // 64 − log₂ number, in units of 2⁻⁴⁰: at most 64 · 2⁴⁰.
        let log2 = UInt64(zeros + 1) << 40 - fraction
        let (high, low) = log2.multipliedFullWidth(by: ln2)
        return high << 24 | low >> 40
    }
}
