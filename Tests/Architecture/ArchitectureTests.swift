import Testing

/// The rules, on the repository.
@Suite struct ArchitectureTests {
    private static let tree = Result { try SourceTree.files("Sources") }
    private let sources: [SourceFile]

    init() throws { sources = try Self.tree.get() }

    private func expectNone(_ violations: [String]) {
        #expect(violations.isEmpty, "\(violations.joined(separator: "\n"))")
    }

    @Test("There is a tree to check")
    func tree() {
        for folder in Architecture.pureImports.keys {
            #expect(sources.contains { $0.path.hasPrefix(folder) }, "\(folder) is empty: the rules look elsewhere")
        }
        #expect(sources.count > 50)
    }

    @Test("Cores and the pure modules of Shared import nothing that could do input or output")
    func imports() { expectNone(Architecture.impureImports(sources)) }

    @Test("Cores use no clock, chance, concurrency, floating point or output, and don't trap on input")
    func symbols() { expectNone(Architecture.impureSymbols(sources)) }

    @Test("Feeds run one way, each in its file")
    func feeds() {
        expectNone(DataFlow.wrongFeeds(sources))
        expectNone(DataFlow.strayReaders(sources))
    }

    @Test("Files and functions are of a size to be read")
    func sizes() { expectNone(Architecture.oversized(sources)) }

    @Test("No task is woken or cancelled under a lock")
    func wakers() { expectNone(Architecture.wakersUnderLock(sources)) }

    @Test("Nothing is left for later, nothing is named for nothing")
    func tidiness() throws {
        let tests = try SourceTree.files("Tests").filter { !$0.path.hasPrefix("Tests/Architecture/") }
        #expect(!tests.isEmpty)
        expectNone(Architecture.untidy(sources + tests))
    }

    @Test("A service's contract has the routes that it serves", arguments: Architecture.services)
    func contracts(service: String) throws {
        let documents = try SourceTree.files("Sources/\(service)", suffix: "openapi.yaml")
        let yaml = try #require(documents.first { $0.name == "openapi.yaml" }).text
        let files = sources.filter { $0.service == service }
        expectNone(ServiceContract.differences(service: service, yaml: yaml, files: files))
    }
}
