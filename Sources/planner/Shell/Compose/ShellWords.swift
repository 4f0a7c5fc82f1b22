/// Splits a command line into words as Compose does for a command that is written as one string: by spaces, with
/// quotes and backslashes. No shell will read it, so what only a shell understands is refused rather than passed on.
enum ShellWords {
    static func split(_ line: String) throws(ValueProblem) -> [String] {
        var splitter = Splitter()
        for character in line.unicodeScalars {
            guard let operation = splitter.take(character) else { continue }
            throw ValueProblem(
                "command needs a shell for `\(operation)`",
                "write [\"sh\", \"-c\", \"…\"] if the image has a shell, or quote it")
        }
        guard let words = splitter.finish() else {
            throw ValueProblem("command ends inside quotes or after a backslash", "close the quotes, or write a list")
        }
        return words
    }

    private struct Splitter {
        private var words: [String] = []
        /// nil between words, so that `''` is a word and a space is none.
        private var word: String?
        private var quote: Unicode.Scalar?
        private var escaped = false

        /// Takes the next character; returns it if it would need a shell.
        mutating func take(_ character: Unicode.Scalar) -> Unicode.Scalar? {
            if escaped {
                escaped = false
                append(character == "n" ? "\n" : character == "t" ? "\t" : character)
            } else if character == "\\", quote != "'" {
                escaped = true
            } else if let quote {
                if character == quote { self.quote = nil } else { append(character) }
            } else {
                switch character {
                case "'", "\"":
                    quote = character
                    word = word ?? ""
                case " ", "\t", "\r", "\n":
                    if let word { words.append(word) }
                    word = nil
                case ";", "&", "|", "<", ">", "(", ")", "`": return character
                default: append(character)
                }
            }
            return nil
        }

        private mutating func append(_ character: Unicode.Scalar) {
            word = word ?? ""
            word?.unicodeScalars.append(character)
        }

        /// nil if quotes are open.
        mutating func finish() -> [String]? {
            guard quote == nil, !escaped else { return nil }
            return words + (word.map { [$0] } ?? [])
        }
    }
}
