import Machine
import Testing
import YAML

@Suite struct YAMLTests {
    private func parse(_ text: String, _ limits: YAMLLimits = YAMLLimits()) throws -> YAMLDocument {
        try YAMLDocument.parse(Array(text.utf8), limits: limits)
    }

    private func map(_ node: YAMLNode?) -> [String: YAMLNode] {
        guard case .map(let entries) = node?.content else { return [:] }
        return Dictionary(uniqueKeysWithValues: entries.map { ($0.key, $0.value) })
    }

    private func problem(_ text: String, _ limits: YAMLLimits = YAMLLimits()) -> String {
        do {
            return "none; it gave \(try parse(text, limits))"
        } catch {
            return "\(error)"
        }
    }

    @Test func scalarsStayTextAndKnowTheirLines() throws {
        let root = map(try parse("a: no\nb: \"no\"\nc:\nd: ~\ne: 0x1F\nf: |\n  two\n  lines\n").root)
        #expect(root["a"] == YAMLNode(.scalar("no", quoted: false), line: 1))
        #expect(root["b"] == YAMLNode(.scalar("no", quoted: true), line: 2))
        #expect(root["c"]?.isNull == true && root["d"]?.isNull == true)
        #expect(root["e"]?.text == "0x1F")
        #expect(root["f"]?.text == "two\nlines\n")
        #expect(try parse("").root == nil)
        #expect(try parse("# nothing but this\n").root == nil)
    }

    @Test func aKeyThatStandsTwiceIsReportedAndTheFirstIsKept() throws {
        let document = try parse("a: 1\nb: {c: 1, c: 2}\na: 3\n")
        #expect(
            document.problems.map(\.description) == [
                "line 2: `c` stands here again, first in line 2", "line 3: `a` stands here again, first in line 1",
            ])
        #expect(map(document.root)["a"]?.text == "1")
    }

    @Test func aliasesAndMergeKeysAreWrittenOut() throws {
        let document = try parse(
            """
            base: &base {image: i, cpus: 1}
            other: &other {cpus: 2, user: u}
            app:
              <<: [*base, *other]
              image: mine
            again: *base
            """)
        let app = map(map(document.root)["app"])
        #expect(app.mapValues(\.text) == ["image": "mine", "cpus": "1", "user": "u"])
        #expect(map(map(document.root)["again"])["image"]?.text == "i")
        #expect(document.problems.isEmpty)
    }

    @Test(arguments: [
        ("a: [1, 2\nb: 3", "line 2: while parsing a flow sequence: did not find expected ',' or ']'"),
        ("a: *b", "line 1: nothing before this place is anchored as `&b`"),
        ("a: &a [*a]", "line 1: nothing before this place is anchored as `&a`"),
        ("a: 1\n---\nb: 2", "line 2: a second document begins; one file is one document"),
        ("a: !reset 1", "line 1: the tag `!reset` isn't supported; write the value without it"),
        ("? [a]\n: 1", "line 1: a key must be text; here it is a list"),
        ("a:\n  <<: 1", "line 2: `<<` merges a map or a list of maps; here is a single value"),
        ("a:\n\tb: 1", "line 2: while scanning for the next token: found character that cannot start any token"),
    ])
    func whatCannotBeReadIsNamedWithItsLine(_ text: String, _ expected: String) {
        #expect(problem(text) == expected)
    }

    @Test func sizeIsBoundedWithAliasesWrittenOut() {
        var bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
        for level in 1...12 {
            bomb +=
                "a\(level): &a\(level) [" + Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ", ") + "]\n"
        }
        #expect(problem(bomb).contains("more than 100000 values, with aliases (`*name`) written out"))
        #expect(problem(bomb + "? *a12\n: x\n").contains("more than 100000 values"))
        #expect(problem(String(repeating: "[", count: 100_000)).contains("nested deeper than 32 levels"))
        var chain = "a0: &a0 [x]\n"
        for level in 1...40 { chain += "a\(level): &a\(level) [*a\(level - 1)]\n" }
        #expect(problem(chain).contains("nested deeper than 32 levels"))
        #expect(problem("a: bcd", YAMLLimits(bytes: 5)) == "the file has 6 bytes; at most 5 are read")
        #expect((try? YAMLDocument.parse([0x61, 0xFF])) == nil)
    }

    @Test(arguments: 0..<40 as Range<UInt64>) func mutatedTextIsReadOrRefused(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let sample = Array(
            "a: &x {b: [1, \"two\", 'three'], c: |\n  four\n}\nd: *x\n? e\n: - f\n<<: *x\n--- # end".utf8)
        let marks = Array(":-[]{}&*!|>'\"%@`#?,\n\t \u{0}\u{7F}".utf8) + [0xC3, 0xFF]
        for _ in 0..<200 {
            var bytes = sample
            for _ in 0..<random.next(in: 1...8) {
                let place = random.next(in: 0...bytes.count - 1)
                switch random.next(below: 3) {
                case 0: bytes.remove(at: place)
                case 1: bytes.insert(marks[random.next(in: 0...marks.count - 1)], at: place)
                default: bytes[place] = marks[random.next(in: 0...marks.count - 1)]
                }
            }
            do {
                _ = try YAMLDocument.parse(bytes)
            } catch {
                #expect(!error.reason.isEmpty, "seed \(seed)")
            }
        }
    }
}
