import ConsensusCore
import Contracts
import Identity

/// What a node of a simulation signs and draws with.
struct SimulatedKeys: Sendable {
    let id: NodeID
    let vrf: VRFKey
    let sign: @Sendable ([UInt8]) -> Signature
    let draw: @Sendable (_ alpha: [UInt8]) -> VRFProof

    /// Signatures and draws that cost a microsecond: hashes of the node's name. Anybody could forge them; nobody in a
    /// simulation does, and a liar there signs with noise.
    static func cheap(_ index: Int) -> SimulatedKeys {
        let first = UInt8(index / 250)
        let id = NodeID(unchecked: [first] + [UInt8](repeating: UInt8(index % 250 + 1), count: 31))
        let vrf = VRFKey(unchecked: id.bytes)
        return SimulatedKeys(
            id: id, vrf: vrf, sign: { cheapSignature(of: id, $0) }, draw: { cheapProof(of: vrf, $0) })
    }

    /// Ed25519 and RFC 9381, as on a real device.
    static func real(_ index: Int) -> SimulatedKeys {
        let seed = Digest(of: [UInt8(index / 256), UInt8(index % 256)], domain: "simulated-key").bytes
        guard let key = SigningKey(seed: seed) else { preconditionFailure("a digest is as long as a seed") }
        return SimulatedKeys(
            id: key.nodeID, vrf: key.vrf.publicKey, sign: { key.sign($0) }, draw: { key.vrf.prove($0) })
    }

    static let cheapChecks = ElectionChecks(
        signs: { cheapSignature(of: $0, $2) == $1 },
        draws: { key, proof, alpha in cheapProof(of: key, alpha) == proof ? cheapOutput(of: proof) : nil })

    /// Takes everything for good.
    static let blindChecks = ElectionChecks(
        signs: { _, _, _ in true }, draws: { _, proof, _ in cheapOutput(of: proof) })

    private static func cheapSignature(of node: NodeID, _ bytes: [UInt8]) -> Signature {
        let half = Digest(of: node.bytes + bytes, domain: "simulated-signature").bytes
        return Signature(unchecked: half + half)
    }

    private static func cheapProof(of key: VRFKey, _ alpha: [UInt8]) -> VRFProof {
        let part = Digest(of: key.bytes + alpha, domain: "simulated-draw").bytes
        return VRFProof(unchecked: part + part + part.prefix(16))
    }

    private static func cheapOutput(of proof: VRFProof) -> VRFOutput {
        let half = Digest(of: proof.bytes, domain: "simulated-output").bytes
        return VRFOutput(unchecked: half + half)
    }
}
