public import Contracts

/// How draws become the chain's seed.
extension Draw {
    private static let seedDomain = "poise/seed/1"

    /// The seed before a chain's first block.
    public static func firstSeed(of genesis: Digest) -> Digest { Digest(of: genesis.bytes, domain: seedDomain) }

    /// The seed after a block whose builder drew `output`.
    public static func seed(after seed: Digest, _ output: VRFOutput) -> Digest {
        Digest(of: seed.bytes + output.bytes, domain: seedDomain)
    }
}
