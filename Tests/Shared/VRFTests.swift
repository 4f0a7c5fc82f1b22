import Contracts
import Identity
import Testing

/// Draws are those of RFC 9381, and nothing but a key's own proof is taken for one.
@Suite struct VRFTests {
    /// Appendix B.3: examples 16, 17 and 18.
    @Test(arguments: [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
            "8657106690b5526245a92b003bb079ccd1a92130477671f6fc01ad16f26f723f26f8a57ccaed74ee1b190bed1f479d97"
                + "27d2d0f9b005a6e456a35d4fb0daab1268a1b0db10836d9826a528ca76567805",
            "90cf1df3b703cce59e2a35b925d411164068269d7b2d29f3301c03dd757876ff"
                + "66b71dda49d2de59d03450451af026798e8f81cd2e333de5cdf4f3e140fdd8ae"
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
            "f3141cd382dc42909d19ec5110469e4feae18300e94f304590abdced48aed5933bf0864a62558b3ed7f2fea45c92a465"
                + "301b3bbf5e3e54ddf2d935be3b67926da3ef39226bbc355bdc9850112c8f4b02",
            "eb4440665d3891d668e7e0fcaf587f1b4bd7fbfe99d0eb2211ccec90496310eb"
                + "5e33821bc613efb94db5e5b54c70a848a0bef4553a41befc57663b56373a5031"
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
            "9bc0f79119cc5604bf02d23b4caede71393cedfbb191434dd016d30177ccbf8096bb474e53895c362d8628ee9f9ea3c0"
                + "e52c7a5c691b6c18c9979866568add7a2d41b00b05081ed0f58ee5e31b3a970e",
            "645427e5d00c62a23fb703732fa5d892940935942101e456ecca7bb217c61c45"
                + "2118fec1219202a0edcf038bb6373241578be7217ba85a2687f7a0310b2df19f"
        ),
    ])
    func drawsAsRFC9381(_ seed: String, _ publicKey: String, _ alpha: String, _ pi: String, _ beta: String) throws {
        let key = try #require(Hex.decode(seed).flatMap(VRFSecretKey.init(seed:)))
        let alpha = try #require(Hex.decode(alpha))
        #expect(key.publicKey.description == publicKey)
        let proof = key.prove(alpha)
        #expect(proof.description == pi)
        #expect(proof.output?.description == beta)
        #expect(key.publicKey.output(of: proof, for: alpha)?.description == beta)
    }

    /// Keys, proofs and outputs of 64 seeds and inputs, against a digest that another implementation computed.
    @Test func agreesWithAnotherImplementation() throws {
        var bytes: [UInt8] = []
        for index in 0..<64 as Range<UInt8> {
            let key = try #require(VRFSecretKey(seed: [UInt8](repeating: index, count: 32)))
            let proof = key.prove(Array(0..<index))
            bytes += key.publicKey.bytes + proof.bytes + (try #require(proof.output)).bytes
        }
        #expect(
            Digest(of: bytes, domain: "x").description
                == "0cb679537d5387a706ab9c192b10b3dc59c280568394903811c723bd16fa9fc6")
    }

    @Test func aSeedHas32Bytes() {
        for count in [0, 31, 33, 64] { #expect(VRFSecretKey(seed: [UInt8](repeating: 1, count: count)) == nil) }
    }

    @Test(arguments: 0..<30 as Range<UInt64>) func onlyTheKeysOwnProofIsTaken(seed: UInt64) throws {
        var arbitrary = Arbitrary(seed: seed)
        let key = try #require(VRFSecretKey(seed: arbitrary.bytes(32)))
        let alpha = arbitrary.bytes(1 + arbitrary.below(200))
        let proof = key.prove(alpha)
        #expect(key.prove(alpha) == proof)
        let output = try #require(key.publicKey.output(of: proof, for: alpha), "seed \(seed)")
        #expect(proof.output == output)

        let other = try #require(VRFSecretKey(seed: arbitrary.bytes(32)))
        #expect(other.publicKey.output(of: proof, for: alpha) == nil, "seed \(seed)")
        #expect(key.publicKey.output(of: proof, for: alpha + [0]) == nil, "seed \(seed)")
        for bit in stride(from: arbitrary.below(5), to: 8 * VRFProof.count, by: 5) {
            let bent = VRFProof(unchecked: flipped(proof.bytes, bit))
            #expect(key.publicKey.output(of: bent, for: alpha) == nil, "seed \(seed), bit \(bit)")
        }
        for bit in stride(from: arbitrary.below(7), to: 8 * alpha.count, by: 7) {
            #expect(key.publicKey.output(of: proof, for: flipped(alpha, bit)) == nil, "seed \(seed), bit \(bit)")
        }
        for bit in stride(from: arbitrary.below(3), to: 8 * VRFKey.count, by: 3) {
            let bent = VRFKey(unchecked: flipped(key.publicKey.bytes, bit))
            #expect(bent.output(of: proof, for: alpha) == nil, "seed \(seed), bit \(bit)")
        }
    }

    private func flipped(_ bytes: [UInt8], _ bit: Int) -> [UInt8] {
        var bytes = bytes
        bytes[bit / 8] ^= 1 << UInt8(bit % 8)
        return bytes
    }

    /// The order of the prime-order subgroup, the lowest byte first.
    private static let order =
        Hex.decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010") ?? []

    /// A number that means the same modulo the order is no second proof.
    @Test(arguments: 0..<20 as Range<UInt64>) func aProofHasOneWriting(seed: UInt64) throws {
        var arbitrary = Arbitrary(seed: seed)
        let key = try #require(VRFSecretKey(seed: arbitrary.bytes(32)))
        let proof = key.prove([])
        var bytes = proof.bytes
        var carry = 0
        for index in 0..<32 {
            let sum = Int(bytes[48 + index]) + Int(Self.order[index]) + carry
            bytes[48 + index] = UInt8(sum & 255)
            carry = sum >> 8
        }
        #expect(carry == 0)
        let other = VRFProof(unchecked: bytes)
        #expect(other.output == nil)
        #expect(key.publicKey.output(of: other, for: []) == nil, "seed \(seed)")
    }

    /// With such a key every proof of the form (1, c, k) would hold, whatever the input.
    @Test(arguments: [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        // Other writings of y = 1, of x = 0, and a y that is on no curve.
        "0100000000000000000000000000000000000000000000000000000000000080",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "0200000000000000000000000000000000000000000000000000000000000000",
    ])
    func keysOfSmallOrderAreRefused(_ hex: String) throws {
        let key = try #require(VRFKey(hex: hex))
        let proof = try #require(
            VRFProof(
                hex: "0100000000000000000000000000000000000000000000000000000000000000"
                    + "3d8d6c990dd6a74d46f4afba3b6670a1"
                    + "3930000000000000000000000000000000000000000000000000000000000000"))
        #expect(proof.output != nil)
        #expect(key.output(of: proof, for: Array("torsion".utf8)) == nil)
    }

    /// RFC 9381 takes points outside the prime-order subgroup too, and so every implementation must: their outputs are
    /// still the only ones. The proofs were made by another implementation that knows the secret key.
    @Test func pointsOutsideTheSubgroupAreJudgedAsRFC9381Says() throws {
        let alpha = Array("torsion".utf8)
        let key = try #require(VRFSecretKey(seed: Array(0..<32)))
        let point = "cf585f9e4e346113471c65c8c7c1ebcd0bf11cf6d9a19204b2fe3042eba39e9f"
        let proof = try #require(
            VRFProof(
                hex: point + "e058c0cb65fb5e443158a70e54d1d7a6"
                    + "a3c5d9efcb8f6f840f018ccdf4dcab9cd98cf4573f1dafb8b6cc63877e601b09"))
        #expect(proof != key.prove(alpha))
        #expect(key.publicKey.output(of: proof, for: alpha) == key.prove(alpha).output)
        let refused = try #require(
            VRFProof(
                hex: point + "0d2ddc638654b73e9b58c9a18772deff"
                    + "3623791a557879158490afe071a55e35f129a1343e54fd027a26ad800e7a8a07"))
        #expect(key.publicKey.output(of: refused, for: alpha) == nil)

        let mixed = try #require(VRFKey(hex: "b502ff3d92e31d8190b4aa4ea0414005167fad089c4de9dac8a2fc850fed4f58"))
        let other = try #require(
            VRFProof(
                hex: "45451207adf2bc8e078f85348b53c4b223dff21efd3a18c467d911336f1a1174"
                    + "58ef4aa7179ebbcee08cfcb63688b4e6"
                    + "b54c03c8307411b9419b719de6235dae2442bc8aa2c6be6dff31af0a3e1f580a"))
        #expect(
            mixed.output(of: other, for: alpha)?.description
                == "dc26e1f291d93dccb0e673e76e9fdd717591ff481e98c05b19018649ab9c579d"
                + "0c4953972801aff29938c8077e95dfa1a4f149b6094e5bae17790ad7c9fb2263")
    }

    @Test func seedsAreDrawnOneAfterTheOther() throws {
        let genesis = Digest(of: [1], domain: "x")
        let first = Draw.firstSeed(of: genesis)
        let key = try #require(SigningKey(seed: [UInt8](repeating: 1, count: 32))?.vrf)
        let output = try #require(key.prove(Draw.alpha(genesis: genesis, height: 1, seed: first)).output)
        let second = Draw.seed(after: first, output)
        #expect(first == Digest(of: genesis.bytes, domain: "poise/seed/1"))
        #expect(second == Digest(of: first.bytes + output.bytes, domain: "poise/seed/1"))
        let draw = Draw(genesis: genesis, height: 2, seed: second)
        #expect(try Draw(encoded: Draw.alpha(genesis: genesis, height: 2, seed: second)) == draw)
    }
}
