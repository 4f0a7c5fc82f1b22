/// The rules, each a function from files to the sentences that say where they are broken.
enum Architecture {
    static let services = ["monitor", "gossip", "consensus", "planner", "migrator"]

    /// What a pure module may import. Everything else does input or output, or could.
    static let pureImports: [String: Set<String>] = [
        "Sources/Shared/Contracts/": [],
        "Sources/Shared/Machine/": ["Contracts"],
        "Sources/Shared/Identity/": ["Contracts", "CSodium"],
        "Sources/monitor/Core/": ["Contracts", "Machine", "Identity"],
        "Sources/gossip/Core/": ["Contracts", "Machine", "Identity"],
        "Sources/consensus/Core/": ["Contracts", "Machine", "Identity"],
        "Sources/planner/Core/": ["Contracts", "Machine", "Identity"],
        "Sources/migrator/Core/": ["Contracts", "Machine", "Identity"],
    ]

    static func impureImports(_ files: [SourceFile]) -> [String] {
        files.flatMap { file -> [String] in
            guard let allowed = pureImports.first(where: { file.path.hasPrefix($0.key) })?.value else { return [] }
            return imports(of: file).filter { !allowed.contains($0) }
                .map { "\(file) imports \($0): a pure module may import only \(allowed.sorted())" }
        }
    }

    static func imports(of file: SourceFile) -> [String] {
        let pattern = /(?:^|[;\s])import\s+(?:(?:struct|class|enum|protocol|func|var|let|typealias|actor)\s+)?(\w+)/
        return file.code.split(whereSeparator: { $0.isNewline || $0 == ";" })
            .compactMap { $0.firstMatch(of: pattern).map { String($0.1) } }
    }

    /// What would make a core depend on the moment, on chance, on the processor, or on what the device is doing.
    static func impureSymbols(_ files: [SourceFile]) -> [String] {
        let forbidden: [(String, Regex<Substring>)] = [
            ("a clock", /\bDate\b|\bContinuousClock\b|\bSuspendingClock\b|\bclock_gettime\b/),
            ("randomness of its own", /\bSystemRandomNumberGenerator\b/),
            ("randomness of its own", /\.(?:random|randomElement|shuffled)\s*\((?![^)]*\busing\s*:)/),
            ("randomness of its own", /\.shuffle\s*\(\s*\)/),
            ("a hash that differs in each process", /\bHasher\b|\.hashValue\b/),
            ("concurrency", /\bTask\s*(?:\.detached)?\s*[\{(<]|\bDispatchQueue\b|\bThread\b|\bawait\b|\bactor\b/),
            ("output", /\b(?:print|debugPrint|dump)\s*\(/),
            ("floating point", /\b(?:Double|Float|Float16|Float32|Float64|Float80|CGFloat)\b/),
            ("a trap on input", /\btry!|\bfatalError\s*\(|\bas!/),
        ]
        return files.filter { file in pureImports.keys.contains { file.path.hasPrefix($0) } }.flatMap { file in
            forbidden.flatMap { what, pattern in
                file.lines(matching: pattern).map { "\(file):\($0) uses \(what)" }
            }
        }
    }

    static let fileLimit = 450
    static let functionLimit = 80

    static func oversized(_ files: [SourceFile]) -> [String] {
        files.flatMap { file -> [String] in
            let count = file.text.split(separator: "\n", omittingEmptySubsequences: false).count - 1
            let long = SwiftCode.functions(in: file.code).filter { $0.length > functionLimit }
                .map { "\(file):\($0.line): \($0.name) has \($0.length) lines, at most \(functionLimit) are allowed" }
            return (count > fileLimit ? ["\(file) has \(count) lines, at most \(fileLimit) are allowed"] : []) + long
        }
    }

    /// Tasks woken or cancelled under a lock. Waking takes the task's own lock; whoever cancels that task holds it while
    /// the task's cancellation handler waits for ours.
    static func wakersUnderLock(_ files: [SourceFile]) -> [String] {
        let wakers: Set<String> = ["yield", "resume", "cancel"]
        return files.flatMap { file in
            SwiftCode.closures(of: "withLock", in: file.code).flatMap { line, words in
                zip(words, words.dropFirst()).filter { $0.0 == "." && wakers.contains($0.1) }
                    .map { "\(file):\(line): .\($0.1) under a lock: take out what is to be woken, then wake it" }
            }
        }
    }

    static func untidy(_ files: [SourceFile]) -> [String] {
        files.flatMap { file -> [String] in
            var found = file.lines(matching: /\btry!/).map { "\(file):\($0) has try!" }
            let marker = /\b(?:TODO|FIXME|XXX|HACK)\b/.wordBoundaryKind(.simple)
            for (index, line) in file.text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
            where line.firstMatch(of: marker) != nil {
                found.append("\(file):\(index + 1) leaves work for later: do it, or write down why not")
            }
            if file.name.firstMatch(of: /(?:Manager|Util|Utils|Utilities|Helper|Helpers)\.swift$/) != nil {
                found.append("\(file) is named for nothing: name what it is")
            }
            return found
        }
    }
}
