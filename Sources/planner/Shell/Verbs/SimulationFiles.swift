import Glibc

/// Files that a simulation reads and writes.
enum SimulationFiles {
    struct Problem: Error, CustomStringConvertible {
        var description: String
        init(_ doing: String) { description = "\(doing): \(String(cString: strerror(errno)))" }
    }

    /// Gives `take` the file's bytes piece by piece.
    static func read(_ path: String, _ take: (ArraySlice<UInt8>) throws -> Void) throws {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw Problem("it can't be opened") }
        defer { close(file) }
        var chunk = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = chunk.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Problem("it can't be read") }
            if count == 0 { return }
            try take(chunk[..<count])
        }
    }

    /// Whether both name the same file, or would.
    static func isSame(_ one: String, _ other: String) -> Bool {
        var (a, b) = (stat(), stat())
        guard stat(one, &a) == 0, stat(other, &b) == 0 else { return one == other }
        // Two results may share a device such as /dev/null.
        return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_mode & S_IFMT == S_IFREG
    }

    /// A text file, written line by line.
    final class Writer {
        private let file: UnsafeMutablePointer<FILE>
        private let name: String

        /// - Parameter option: the option that named the file.
        init(_ path: String, _ option: String, header: String? = nil) throws {
            name = "\(option) \(path)"
            guard let file = fopen(path, "we") else { throw Problem("\(name) can't be written") }
            self.file = file
            if let header { try line(header) }
        }

        /// Standard output, which isn't checked where it is printed to.
        init() throws {
            name = "standard output"
            guard let file = fdopen(dup(STDOUT_FILENO), "w") else { throw Problem("\(name) can't be written") }
            self.file = file
        }

        func line(_ text: String) throws {
            guard fputs(text, file) >= 0, fputc(0x0A, file) >= 0 else { throw Problem("\(name) can't be written") }
        }

        /// - Throws: also if what was written before could not be kept.
        func close() throws {
            guard fclose(file) == 0 else { throw Problem("\(name) can't be written") }
        }
    }
}
