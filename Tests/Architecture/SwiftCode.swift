/// As much of Swift's lexical structure as the rules need.
enum SwiftCode {
    /// Blanks comments and the texts of string literals. Lines keep their numbers; what is interpolated into a
    /// literal is code and stays.
    static func strippingCommentsAndLiterals(_ text: String) -> String {
        var lexer = Lexer(input: Array(text.utf8))
        lexer.code(until: nil)
        return String(decoding: lexer.output, as: UTF8.self)
    }

    /// A function, initialiser or accessor-like declaration with a body.
    struct Function: Equatable {
        var name: String
        /// The line of its first word, from 1.
        var line: Int
        /// Lines from its first word to the brace that ends it.
        var length: Int
    }

    /// The functions in stripped code, by counting braces.
    static func functions(in code: String) -> [Function] {
        let words = Word.all(in: code)
        var found: [Function] = []
        for (index, word) in words.enumerated() where ["func", "init", "deinit", "subscript"].contains(word.text) {
            // `self.init`, `.init(…)` and `init:` are uses.
            if index > 0, words[index - 1].text == "." { continue }
            guard let end = bodyEnd(words, after: index) else { continue }
            let isNamed = word.text == "func" && index + 1 < words.count
            found.append(
                Function(
                    name: isNamed ? words[index + 1].text : word.text, line: word.line,
                    length: words[end].line - word.line + 1))
        }
        return found
    }

    /// The bodies of the closures given to calls of `name` in stripped code, each with the line of its first word.
    static func closures(of name: String, in code: String) -> [(line: Int, words: [String])] {
        let words = Word.all(in: code)
        return words.indices.filter { words[$0].text == name }.compactMap { start in
            guard let end = bodyEnd(words, after: start) else { return nil }
            return (words[start].line, words[start...end].map(\.text))
        }
    }

    /// The index of the brace that ends the body of the declaration at `start`; nil if it has none, as in a protocol.
    private static func bodyEnd(_ words: [Word], after start: Int) -> Int? {
        let declarations: Set<String> = [
            "func", "init", "deinit", "var", "let", "case", "struct", "enum", "class", "actor", "protocol",
            "extension", "subscript", "static", "mutating", "public", "private", "internal", "typealias", "import",
        ]
        var depth = 0
        var braces = 0
        for index in words.indices.dropFirst(start + 1) {
            switch words[index].text {
            case "(", "[": depth += 1
            case ")", "]": depth -= 1
            case "{" where braces > 0 || depth == 0: braces += 1
            case "}" where braces > 0:
                braces -= 1
                if braces == 0 { return index }
            case "}" where depth == 0: return nil
            case let text where braces == 0 && depth == 0 && declarations.contains(text): return nil
            default: break
            }
            if depth < 0 { return nil }
        }
        return nil
    }
}

/// An identifier, keyword or single character, with its line.
private struct Word {
    var text: String
    var line: Int

    static func all(in code: String) -> [Word] {
        var words: [Word] = []
        var line = 1
        var current = ""
        func isPart(_ character: Character) -> Bool { character.isLetter || character.isNumber || character == "_" }
        for character in code {
            if isPart(character) {
                current.append(character)
                continue
            }
            if !current.isEmpty { words.append(Word(text: current, line: line)) }
            current = ""
            if character.isNewline { line += 1 }
            if !character.isWhitespace { words.append(Word(text: String(character), line: line)) }
        }
        if !current.isEmpty { words.append(Word(text: current, line: line)) }
        return words
    }
}

private struct Lexer {
    let input: [UInt8]
    var position = 0
    var output: [UInt8] = []

    init(input: [UInt8]) { self.input = input }

    private func starts(_ text: StaticString, at offset: Int = 0) -> Bool {
        let begin = position + offset
        guard begin >= 0, begin + text.utf8CodeUnitCount <= input.count else { return false }
        return (0..<text.utf8CodeUnitCount).allSatisfy { input[begin + $0] == text.utf8Start[$0] }
    }

    private mutating func keep(_ count: Int = 1) {
        output += input[position..<min(position + count, input.count)]
        position += count
    }

    private mutating func drop(_ count: Int = 1) {
        for byte in input[position..<min(position + count, input.count)] where byte == 0x0A { output.append(byte) }
        position += count
    }

    /// Copies code to the end, or to the parenthesis that closes an interpolation.
    mutating func code(until end: UInt8?) {
        var depth = 0
        while position < input.count {
            if starts("//") {
                while position < input.count, input[position] != 0x0A { drop() }
            } else if starts("/*") {
                comment()
            } else if let hashes = literalStart() {
                literal(hashes: hashes)
            } else {
                let byte = input[position]
                if byte == UInt8(ascii: "(") { depth += 1 }
                if byte == UInt8(ascii: ")") {
                    if depth == 0, end == byte { return }
                    depth -= 1
                }
                keep()
            }
        }
    }

    private mutating func comment() {
        var depth = 0
        repeat {
            if starts("/*") {
                depth += 1
                drop(2)
            } else if starts("*/") {
                depth -= 1
                drop(2)
            } else {
                drop()
            }
        } while depth > 0 && position < input.count
    }

    /// How many number signs a string literal has that begins here; nil if none does.
    private func literalStart() -> Int? {
        var hashes = 0
        while position + hashes < input.count, input[position + hashes] == UInt8(ascii: "#") { hashes += 1 }
        return starts("\"", at: hashes) ? hashes : nil
    }

    private mutating func literal(hashes: Int) {
        let isLong = starts("\"\"\"", at: hashes)
        let quotes = isLong ? 3 : 1
        keep(hashes + quotes)
        func follow(_ offset: Int, _ byte: UInt8, times: Int) -> Bool {
            (0..<times).allSatisfy { position + offset + $0 < input.count && input[position + offset + $0] == byte }
        }
        while position < input.count {
            if follow(0, UInt8(ascii: "\""), times: quotes), follow(quotes, UInt8(ascii: "#"), times: hashes) {
                return keep(quotes + hashes)
            }
            if starts("\\"), follow(1, UInt8(ascii: "#"), times: hashes) {
                if starts("(", at: 1 + hashes) {
                    drop(1 + hashes)
                    keep()
                    code(until: UInt8(ascii: ")"))
                    keep()
                } else {
                    drop(2 + hashes)
                }
            } else if !isLong, input[position] == 0x0A {
                return
            } else {
                drop()
            }
        }
    }
}
