/// Columns for people.
public struct Table: Sendable {
    private let header: [String]
    private let rows: [[String]]
    private let rightAligned: Set<Int>

    /// - Parameter rightAligned: columns of numbers, from 0.
    public init(_ header: [String], _ rows: [[String]], rightAligned: Set<Int> = []) {
        self.header = header
        self.rows = rows
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
}
