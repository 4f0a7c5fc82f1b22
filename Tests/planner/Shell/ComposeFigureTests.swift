import Testing

@testable import planner

@Suite struct ComposeFigureTests {
    @Test(arguments: [
        ("6m", 6 << 20), ("512m", 512 << 20), ("512M", 512 << 20), ("1.5g", 3 << 29), ("64MB", 64 << 20),
        ("64mib", 64 << 20),
        ("6291456", 6 << 20), ("6291456b", 6 << 20), ("1t", 1 << 40), ("8192.5k", 8192 * 1024 + 512),
        ("0.0123g", 13_207_024),
    ])
    func sizes(_ text: String, _ bytes: Int) throws {
        #expect(try ComposeFigures.bytes(text) == bytes)
    }

    @Test(arguments: [
        "", "m", ".", "1..5m", "-1m", "1e9", "0x100000", "99999999999999999999", "1 g", "1gg", "٣m", "5bb",
    ])
    func noSizes(_ text: String) {
        #expect(throws: ValueProblem.self) { try ComposeFigures.bytes(text) }
    }

    @Test(arguments: [
        ("1", 1_000), ("0.5", 500), (".5", 500), ("2.", 2_000), ("0.001", 1), ("1024", 1_024_000), ("1.250", 1_250),
    ])
    func cores(_ text: String, _ millicores: Int) throws {
        #expect(try ComposeFigures.millicores(text) == millicores)
    }

    @Test(arguments: ["", "0.0", "1024.001", "1.2345", "a", "-1", "1,5", "999999999999999999999"])
    func noCores(_ text: String) {
        #expect(throws: ValueProblem.self) { try ComposeFigures.millicores(text) }
    }

    @Test(arguments: [
        ("", []), ("  ", []), ("a", ["a"]), ("a  b\tc\nd", ["a", "b", "c", "d"]), ("''", [""]), ("a'b c'd", ["ab cd"]),
        (#""a \" b" 'c \ d'"#, ["a \" b", #"c \ d"#]), (#"a\ b \n"#, ["a b", "\n"]), (#"'a'"b"c"#, ["abc"]),
        (#""a;b|c" '$(x)' "`y`""#, ["a;b|c", "$(x)", "`y`"]), ("é 'ü'", ["é", "ü"]),
    ])
    func words(_ line: String, _ words: [String]) throws {
        #expect(try ShellWords.split(line) == words)
    }

    @Test(arguments: ["a | b", "a && b", "a > b", "(a)", "`a`", "a;", "'a", "\"a", "a\\"])
    func noWords(_ line: String) {
        #expect(throws: ValueProblem.self) { try ShellWords.split(line) }
    }
}
