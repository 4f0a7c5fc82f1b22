import Contracts

/// What was found of signatures and draws before, so that a simulated site, which checks each of them in every node, computes
/// it once.
///
/// Both are pure functions, and nothing gets in here but what they have returned and what a key has signed or drawn itself, so a
/// memo changes no answer: key, bytes and signature are compared in full. Without one, as in the services, nothing is remembered. It is not bounded: give it no
/// longer life than a simulation's, and to one task at a time.
public final class VerificationMemo: @unchecked Sendable {
    /// The memo of whatever runs inside ``TaskLocal/withValue(_:operation:file:line:)``.
    @TaskLocal static var current: VerificationMemo?

    /// Who is said to have signed what, and whether that is so.
    private struct Claim {
        let node: NodeID
        let bytes: [UInt8]
        let isTrue: Bool
    }

    private struct Drawn: Hashable {
        let key: VRFKey
        let proof: VRFProof
        let alpha: [UInt8]
    }

    private struct Drawing: Hashable {
        let key: VRFKey
        let alpha: [UInt8]
    }

    /// A signature names its bytes well enough: hardly one has two claims.
    private var claims: [Signature: [Claim]] = [:]
    private var draws: [Drawn: VRFOutput?] = [:]
    /// What keys have drawn themselves: each has one draw for an input.
    private var proofs: [Drawing: VRFProof] = [:]
    /// What proofs would prove.
    private var outputs: [VRFProof: VRFOutput?] = [:]

    public init() {}

    /// Runs `body`, in which nothing is verified twice.
    public func during<Result>(_ body: () throws -> Result) rethrows -> Result {
        try Self.$current.withValue(self, operation: body)
    }

    /// What a key has signed it verifies.
    func made(_ signature: Signature, by node: NodeID, of bytes: [UInt8]) {
        let isKnown = claims[signature]?.contains { $0.node == node && $0.bytes == bytes } == true
        if !isKnown { claims[signature, default: []].append(Claim(node: node, bytes: bytes, isTrue: true)) }
    }

    func verifies(
        _ node: NodeID, _ signature: Signature, _ bytes: [UInt8], _ verify: () -> Bool
    ) -> Bool {
        for claim in claims[signature] ?? [] where claim.node == node && claim.bytes == bytes { return claim.isTrue }
        let found = verify()
        claims[signature, default: []].append(Claim(node: node, bytes: bytes, isTrue: found))
        return found
    }

    /// A key's proof, which then needs no verification.
    func proof(_ key: VRFKey, _ alpha: [UInt8], _ prove: () -> VRFProof) -> VRFProof {
        let drawing = Drawing(key: key, alpha: alpha)
        if let known = proofs[drawing] { return known }
        let made = prove()
        proofs[drawing] = made
        draws[Drawn(key: key, proof: made, alpha: alpha)] = .some(made.output)
        return made
    }

    func output(of proof: VRFProof, _ compute: () -> VRFOutput?) -> VRFOutput? {
        if let known = outputs[proof] { return known }
        let found = compute()
        outputs[proof] = .some(found)
        return found
    }

    func output(
        _ key: VRFKey, _ proof: VRFProof, _ alpha: [UInt8], _ compute: () -> VRFOutput?
    ) -> VRFOutput? {
        let key = Drawn(key: key, proof: proof, alpha: alpha)
        if let known = draws[key] { return known }
        let found = compute()
        draws[key] = .some(found)
        return found
    }
}
