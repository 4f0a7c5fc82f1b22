/// Columns for people, on a terminal.
public struct Table: Sendable {
    private let header: [String]
    private let rows: [[String]]
    private let rightAligned: Set<Int>

    /// - Parameters:
    ///   - rows: a cell that a row lacks is empty. Control characters are shown as `?`: names come from other devices,
    ///     and must not command the terminal.
    ///   - rightAligned: columns of numbers, from 0.
    public init(_ header: [String], _ rows: [[String]], rightAligned: Set<Int> = []) {
        self.header = header
        self.rows = rows.map { row in
            header.indices.map { $0 < row.count ? Self.printable(row[$0]) : "" }
        }
        self.rightAligned = rightAligned
    }

    /// The header and the rows, two blanks between columns, no blanks at the ends of lines.
    public var text: String {
        let all = [header] + rows
        let widths = header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                let blanks = String(repeating: " ", count: widths[column] - cell.count)
                line += rightAligned.contains(column) ? blanks + cell : cell + blanks
                line += "  "
            }
            while line.last == " " { line.removeLast() }
            return line
        }.joined(separator: "\n")
    }

    private static func printable(_ text: String) -> String {
        var shown = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            let isControl = [.control, .format, .lineSeparator, .paragraphSeparator].contains(
                scalar.properties.generalCategory)
            shown.append(isControl ? "?" : scalar)
        }
        return String(shown)
    }
}
