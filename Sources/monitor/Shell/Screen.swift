import Glibc

/// A live display. On a terminal each frame replaces the one before, on a screen of its own that leaves what stood there
/// untouched; into a file or pipe the frames follow each other.
struct Screen {
    private let isTerminal: Bool

    /// - Parameter isTerminal: nil to find out.
    init(isTerminal: Bool? = nil) { self.isTerminal = isTerminal ?? (isatty(STDOUT_FILENO) == 1) }

    func open() {
        // The alternate screen, without a cursor.
        if isTerminal { write("\u{1B}[?1049h\u{1B}[?25l") }
    }

    func close() {
        if isTerminal { write("\u{1B}[?25h\u{1B}[?1049l") }
    }

    func show(_ frame: String) {
        guard isTerminal else { return append(frame + "\n") }
        let (rows, columns) = Self.size()
        write(Self.drawn(frame, rows: rows, columns: columns))
    }

    /// A frame as the terminal takes it: from the top left corner, each line cut to the screen, the rest cleared.
    static func drawn(_ frame: String, rows: Int, columns: Int) -> String {
        let lines = frame.split(separator: "\n", omittingEmptySubsequences: false).prefix(rows)
            .map { "\($0.prefix(columns))\u{1B}[K" }
        return "\u{1B}[H" + lines.joined(separator: "\n") + "\u{1B}[J"
    }

    /// A line by itself, at once: whoever reads it waits for it.
    func append(_ line: String) { write(line + "\n") }

    private static func size() -> (rows: Int, columns: Int) {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_row > 0, size.ws_col > 0 else {
            return (24, 80)
        }
        return (Int(size.ws_row), Int(size.ws_col))
    }

    private func write(_ text: String) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            // Whoever read is gone.
            guard count > 0 else { return }
            bytes = bytes.dropFirst(count)
        }
    }
}
