import Testing

/// That each rule catches what it is for, and nothing else: a rule that can't be broken is none.
@Suite struct RuleTests {
    private func file(_ path: String, _ text: String) -> SourceFile { SourceFile(path: path, text: text) }
    private let core = "Sources/gossip/Core/X.swift"

    @Test(
        "An impure import is caught in every spelling",
        arguments: [
            "import Foundation", "import FoundationEssentials", "import Glibc", "  import Dispatch",
            "public import Transport", "@preconcurrency import Runtime", "@testable import Hummingbird",
            "import struct Foundation.Date", "internal import func Glibc.time",
            "import Contracts; import Synchronization",
            "import\tFoundation", "#if os(Linux)\nimport Glibc\n#endif", "import CSodium", "import YAML",
        ])
    func impureImports(text: String) {
        #expect(Architecture.impureImports([file(core, text)]).count == 1)
        #expect(Architecture.impureImports([file("Sources/gossip/Shell/X.swift", text)]).isEmpty)
    }

    @Test("A pure import is not, nor an import in a comment or literal")
    func pureImports() {
        let text = """
            import Contracts
            public import Machine
            import Identity
            // import Foundation
            /* import /* import Glibc */ Foundation */
            let text = "import Foundation"
            let important = 1
            """
        #expect(Architecture.impureImports([file(core, text)]).isEmpty)
        #expect(Architecture.impureImports([file("Sources/Shared/Identity/X.swift", "import CSodium")]).isEmpty)
        #expect(Architecture.impureImports([file("Sources/Shared/Contracts/X.swift", "import Machine")]).count == 1)
        #expect(Architecture.impureImports([file("Sources/Shared/Machine/X.swift", "import Identity")]).count == 1)
    }

    @Test(
        "An impure symbol is caught",
        arguments: [
            "let now = Date()", "Date.now", "let x = Double.pi", "ContinuousClock().now",
            "var g = SystemRandomNumberGenerator()",
            "Int.random(in: 0...1)", "list.randomElement()", "list.shuffled()", "list.shuffle()", "Task { }",
            "Task.detached { }", "Task<Void, Never> { }", "DispatchQueue.main", "print(1)", "debugPrint(1)",
            "let x: Double = 1", "Float(1)", "[Double]()", "try! f()", "fatalError(\"x\")", "x as! Y",
            "\"\\(Date())\"", "\"\"\"\n\\(list.shuffled())\n\"\"\"", "x.hashValue", "await f()",
            "actor A {}",
        ])
    func impureSymbols(text: String) {
        #expect(!Architecture.impureSymbols([file(core, text)]).isEmpty)
        #expect(!Architecture.impureSymbols([file("Sources/Shared/Contracts/X.swift", text)]).isEmpty)
        #expect(Architecture.impureSymbols([file("Sources/gossip/Shell/X.swift", text)]).isEmpty)
    }

    @Test(
        "A pure line is not",
        arguments: [
            "list.shuffled(using: &generator)", "list.shuffle(using: &generator)",
            "Int.random(in: 0...1, using: &generator)", "// Date() and print(1)", "/* Task { } */",
            "let text = \"print(1) Double Task { }\"", "let raw = #\"Date() \\(Float)\"#", "let dateline = update(1)",
            "let floating = DoubleEntry()", "blueprint(1)", "x.random", "let task: ServiceTask", "switch x { }",
        ])
    func pureSymbols(text: String) { #expect(Architecture.impureSymbols([file(core, text)]) == []) }

    @Test("A violation names its file and line")
    func places() {
        #expect(
            Architecture.impureSymbols([file(core, "let a = 1\n/* a\n b */ let b = Date()\n")]) == [
                "\(core):3 uses a clock"
            ])
    }

    @Test("A feed too many, a feed missing, a feed read elsewhere, an unknown neighbour")
    func dataFlow() {
        let all = DataFlow.feedFiles.map { file($0, "FeedReader<LoadMatrix>(") }
        #expect(DataFlow.feedFiles.count == 5)
        #expect(DataFlow.wrongFeeds(all).isEmpty)
        #expect(DataFlow.wrongFeeds(Array(all.dropFirst())).count == 1)
        #expect(DataFlow.wrongFeeds(all + [file("Sources/monitor/Shell/GossipFeed.swift", "")]).count == 1)
        #expect(DataFlow.wrongFeeds(all + [file("Sources/gossip/Core/MonitorFeed.swift", "")]).count == 1)
        func stray(_ path: String, _ text: String) -> Int { DataFlow.strayReaders([file(path, text)]).count }
        #expect(stray("Sources/gossip/Shell/MonitorFeed.swift", "FeedReader<LoadMatrix>(\"monitor\")") == 0)
        #expect(stray("Sources/gossip/Shell/GossipMain.swift", "FeedReader<LoadMatrix>(\"x\")") == 1)
        #expect(stray("Sources/gossip/Shell/GossipMain.swift", "// FeedReader<LoadMatrix>") == 0)
        #expect(stray("Sources/Shared/Runtime/FeedReader.swift", "FeedReader<LoadMatrix>(") == 0)
        #expect(stray("Sources/planner/Shell/X.swift", "\"\\(run)/monitor.sock\"") == 1)
        #expect(stray("Sources/planner/Shell/X.swift", "\"\\(run)/gossip.sock\"") == 0)
        #expect(stray("Sources/gossip/Shell/X.swift", "LocalClient(\"planner\", common)") == 1)
    }

    @Test("A file or function that is too long")
    func sizes() {
        let path = "Sources/gossip/Shell/X.swift"
        func lines(_ count: Int) -> String { String(repeating: "let a = 1\n", count: count) }
        #expect(Architecture.oversized([file(path, lines(Architecture.fileLimit))]).isEmpty)
        #expect(Architecture.oversized([file(path, lines(Architecture.fileLimit + 1))]).count == 1)
        let most = Architecture.functionLimit - 2
        #expect(Architecture.oversized([file(path, "func f() {\n\(lines(most))}\n")]).isEmpty)
        #expect(Architecture.oversized([file(path, "func f() {\n\(lines(most + 1))}\n")]).count == 1)
        #expect(Architecture.oversized([file(path, "init() {\n\(lines(most + 1))}\n")]).count == 1)
    }

    @Test("Functions are found by their braces, whatever stands in literals and around them")
    func functions() {
        let code = SwiftCode.strippingCommentsAndLiterals(
            """
            protocol P {
                func required(_ a: Int) -> Int
                init(b: Int)
            }
            struct S {
                init(b: Int) { self.init() }
                // }
                func one(_ f: (Int) -> Void = { _ in }) async throws -> [Int]
                where Int: Sendable {
                    let text = "}" + "\\(g { 1 })"
                    if true { .init() }
                }
                subscript(i: Int) -> Int { 1 }
                deinit { }
            }
            """)
        #expect(
            SwiftCode.functions(in: code) == [
                .init(name: "init", line: 6, length: 1), .init(name: "one", line: 8, length: 5),
                .init(name: "subscript", line: 13, length: 1), .init(name: "deinit", line: 14, length: 1),
            ])
    }

    @Test(
        "Untidy files are caught",
        arguments: [
            ("Sources/gossip/Shell/X.swift", "let a = try! f()"), ("Tests/gossip/X.swift", "// TODO: later"),
            ("Sources/gossip/Shell/X.swift", "/// FIXME"), ("Sources/gossip/Shell/X.swift", "// XXX"),
            ("Sources/gossip/Shell/X.swift", "// HACK"), ("Sources/gossip/Shell/PeerManager.swift", ""),
            ("Sources/gossip/Shell/Utils.swift", ""), ("Tests/gossip/TestHelpers.swift", ""),
        ])
    func untidy(path: String, text: String) { #expect(Architecture.untidy([file(path, text)]).count == 1) }

    @Test(
        "Tidy ones are not",
        arguments: [
            ("Sources/gossip/Shell/X.swift", "let a = \"try! it\" // try! it"),
            ("Sources/gossip/Shell/Utility.swift", "let todo = 1"),
        ])
    func tidy(path: String, text: String) { #expect(Architecture.untidy([file(path, text)]).isEmpty) }

    @Test("A route without documentation and a document without a route")
    func contracts() {
        let yaml = """
            openapi: 3.1.0
            paths:
              /health:
                get:
                  summary: /not/a/path
              /health/ready:
                get: {}
              /metrics:
                get: {}
              /openapi.yaml:
                get: {}
              "/shared/{node}":
                parameters: []
                put:
                  x: y
                delete: {}
            components:
              /no:
                get: {}
            """
        func differences(_ text: String) -> [String] {
            ServiceContract.differences(
                service: "gossip", yaml: yaml, files: [file("Sources/gossip/Shell/R.swift", text)])
        }
        let both = "router.put(\"shared/{id}\") { }\nnetworkRouter.delete(\n    \"shared/:id\", use: x)"
        #expect(differences(both).isEmpty)
        #expect(
            differences(both + "\nrouter.get(\"peers\")") == ["gossip serves GET /peers, which its openapi.yaml lacks"])
        #expect(
            differences("router.put(\"shared/{id}\")\nlocal.get(\"/peers\")") == [
                "gossip documents DELETE /shared/{}, which it doesn't serve"
            ])
    }

    @Test(
        "A task that is woken or cancelled under a lock is caught",
        arguments: [
            ("state.withLock { $0.waiter?.resume() }", 1), ("state.withLock { $0.waiter }?.resume()", 0),
            ("state.withLock { state in\n if x { state.task.cancel() }\n}", 1),
            ("let task = state.withLock { $0.task }\ntask.cancel()", 0),
            ("state.withLock { for l in $0.all { l.yield(1); l.yield(2) } }", 2),
            ("if (state.withLock { $0.isOpen }) { task.cancel() }", 0), ("// withLock { $0.resume() }", 0),
        ])
    func wakers(text: String, count: Int) {
        #expect(Architecture.wakersUnderLock([file("Sources/Shared/Runtime/X.swift", text)]).count == count)
    }
}
