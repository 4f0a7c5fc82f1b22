/// What is wrong with one value, without its place: whoever reads it knows where it stood.
struct ValueProblem: Error, Equatable, CustomStringConvertible {
    /// What is wrong, as the beginning of a sentence: "port `80` names no device port".
    var what: String
    /// What to write instead.
    var remedy: String

    init(_ what: String, _ remedy: String) {
        self.what = what
        self.remedy = remedy
    }

    var description: String { "\(what): \(remedy)" }
}

/// Why a Compose file was refused: everything that is wrong with it.
struct ComposeRefusal: Error, Equatable, CustomStringConvertible {
    /// In the order of their lines, each a whole sentence with its place.
    var problems: [String]

    var description: String { problems.joined(separator: "\n") }
}

/// Collects what is wrong with a file, so that its author learns all of it at once.
struct ComposeProblems {
    /// More than a person reads; a file that is no Compose file at all would fill the screen.
    static let shown = 50

    private let file: String
    private var found: [(line: Int, text: String)] = []

    init(file: String) { self.file = file }

    /// - Parameters:
    ///   - line: from 1; 0 for the file as a whole.
    ///   - place: "in service `web`", or empty.
    mutating func add(_ problem: ValueProblem, line: Int, place: String = "") {
        let position = line > 0 ? "(\(file):\(line))" : "(\(file))"
        let subject = ([problem.what, place, position] as [String]).filter { !$0.isEmpty }.joined(separator: " ")
        found.append((line, "\(subject): \(problem.remedy)"))
    }

    /// nil if nothing is wrong.
    var refusal: ComposeRefusal? {
        guard !found.isEmpty else { return nil }
        // By line; what stands in one line stays in the order found.
        let sorted = found.enumerated().sorted {
            ($0.element.line, $0.offset) < ($1.element.line, $1.offset)
        }
        var problems = sorted.prefix(Self.shown).map(\.element.text)
        if found.count > Self.shown { problems.append("and \(found.count - Self.shown) more problems in \(file)") }
        return ComposeRefusal(problems: problems)
    }
}
