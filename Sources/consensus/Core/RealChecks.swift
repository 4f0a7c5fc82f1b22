import Contracts
import Identity

extension ElectionChecks {
    /// Ed25519 (RFC 8032) and ECVRF-EDWARDS25519-SHA512-TAI (RFC 9381).
    public static let real = ElectionChecks(
        signs: { $0.verifies($1, of: $2) }, draws: { $0.output(of: $1, for: $2) })
}
