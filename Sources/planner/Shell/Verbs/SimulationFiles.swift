import Glibc

/// Files that a simulation reads and writes.
enum SimulationFiles {
    struct Problem: Error, CustomStringConvertible {
        var description: String
        init(_ doing: String) { description = "\(doing): \(String(cString: strerror(errno)))" }
    }

    static func read(_ path: String) throws -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw Problem("it can't be opened") }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = chunk.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Problem("it can't be read") }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
        }
    }

    /// A text file, written line by line.
    final class Writer {
        private let file: UnsafeMutablePointer<FILE>
        private let path: String

        init(_ path: String, header: String? = nil) throws {
            guard let file = fopen(path, "we") else { throw Problem("\(path) can't be written") }
            self.file = file
            self.path = path
            if let header { try line(header) }
        }

        func line(_ text: String) throws {
            guard fputs(text, file) >= 0, fputc(0x0A, file) >= 0 else { throw Problem("\(path) can't be written") }
        }

        /// - Throws: also if what was written before could not be kept.
        func close() throws {
            guard fclose(file) == 0 else { throw Problem("\(path) can't be written") }
        }
    }
}
