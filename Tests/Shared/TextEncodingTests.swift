import Contracts
import Testing

/// RFC 4648, section 10, and what strict readers must refuse.
@Suite struct TextEncodingTests {
    @Test(arguments: [
        ("", "", ""), ("f", "Zg==", "66"), ("fo", "Zm8=", "666f"), ("foo", "Zm9v", "666f6f"),
        ("foob", "Zm9vYg==", "666f6f62"), ("fooba", "Zm9vYmE=", "666f6f6261"), ("foobar", "Zm9vYmFy", "666f6f626172"),
    ])
    func vectors(_ text: String, _ base64: String, _ hex: String) {
        let bytes = Array(text.utf8)
        #expect(Base64Bytes.encode(bytes) == base64)
        #expect(Base64Bytes.decode(base64) == bytes)
        #expect(Hex.encode(bytes) == hex)
        #expect(Hex.decode(hex) == bytes)
        #expect(Hex.decode(hex.uppercased()) == bytes)
    }

    @Test func everyDigitIsKnown() {
        let bytes = (0...255).map { UInt8($0) }
        #expect(Base64Bytes.decode(Base64Bytes.encode(bytes)) == bytes)
        #expect(Base64Bytes.encode([0xFB, 0xEF, 0xFF]) == "++//")
        #expect(Hex.decode(Hex.encode(bytes)) == bytes)
    }

    @Test(arguments: [
        "Z", "Zg", "Zg=", "Zg===", "====", "=", "Zh==", "Zm9=", "Zm8=Zm8=", "Zm=v", "=Zm9", "Zm9v\n", "Zm 9", "Zm9-",
        "Zm9_",
        "Zmé=", "Zm9vY===",
    ])
    func base64IsReadStrictly(_ text: String) { #expect(Base64Bytes.decode(text) == nil) }

    @Test(arguments: ["0", "0g", " 0", "0x", "00 ", "é", "0é", "００"])
    func hexIsReadStrictly(_ text: String) { #expect(Hex.decode(text) == nil) }

    @Test(arguments: 0..<30 as Range<UInt64>) func whatIsReadIsWhatIsWritten(seed: UInt64) {
        var arbitrary = Arbitrary(seed: seed)
        let digits = Array("AZaz09+/=-_ ")
        for _ in 0..<100 {
            let bytes = arbitrary.bytes(arbitrary.below(70))
            #expect(Base64Bytes.decode(Base64Bytes.encode(bytes)) == bytes, "seed \(seed)")
            #expect(Hex.decode(Hex.encode(bytes)) == bytes, "seed \(seed)")
            let text = String((0..<4 * arbitrary.below(4)).map { _ in digits[arbitrary.below(digits.count)] })
            if let read = Base64Bytes.decode(text) { #expect(Base64Bytes.encode(read) == text, "seed \(seed)") }
        }
    }

    @Test func fixedBytesAreHex() {
        let digest = Digest(unchecked: Array(0..<32))
        #expect(digest.description == "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
        #expect(digest.short == "00010203")
        #expect(Digest(hex: digest.description) == digest)
        #expect(Digest(hex: String(digest.description.dropLast(2))) == nil && Digest(Array(0..<31)) == nil)
        #expect(Digest.zero < digest && !(digest < digest) && digest < Digest(unchecked: [1] + Array(1..<32)))
    }
}
