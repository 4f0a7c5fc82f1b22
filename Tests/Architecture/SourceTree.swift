import Foundation

/// A file of the repository.
struct SourceFile: CustomStringConvertible {
    /// From the repository's root: `Sources/gossip/Core/GossipMachine.swift`.
    let path: String
    let text: String
    /// Without comments and the texts of literals, line by line as it was.
    let code: String

    init(path: String, text: String) {
        self.path = path
        self.text = text
        code = path.hasSuffix(".swift") ? SwiftCode.strippingCommentsAndLiterals(text) : ""
    }

    var name: String { String(path.split(separator: "/").last ?? "") }
    var description: String { path }

    /// The service whose folder this is in, if any.
    var service: String? {
        let parts = path.split(separator: "/")
        guard parts.count > 2, parts[0] == "Sources", Architecture.services.contains(String(parts[1])) else {
            return nil
        }
        return String(parts[1])
    }

    /// Numbers of the lines of `code` that `pattern` is found in, from 1.
    func lines(matching pattern: Regex<Substring>) -> [Int] {
        // Of the default kind there is no boundary in `Date.now`.
        let pattern = pattern.wordBoundaryKind(.simple)
        return code.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
            .filter { $0.element.firstMatch(of: pattern) != nil }.map { $0.offset + 1 }
    }
}

/// The repository as it lies on disk.
enum SourceTree {
    static let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Files below `folder` whose names end with `suffix`, in order of their paths.
    static func files(_ folder: String, suffix: String = ".swift") throws -> [SourceFile] {
        let base = root.appendingPathComponent(folder).path
        guard let found = FileManager.default.enumerator(atPath: base) else { return [] }
        return try found.compactMap { $0 as? String }
            .filter { $0.hasSuffix(suffix) && !$0.split(separator: "/").contains { $0.hasPrefix(".") } }
            .sorted()
            .map { path in
                SourceFile(
                    path: "\(folder)/\(path)", text: try String(contentsOfFile: "\(base)/\(path)", encoding: .utf8))
            }
    }
}
