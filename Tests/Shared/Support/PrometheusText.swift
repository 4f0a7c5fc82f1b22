/// A strict reader of Prometheus' text format 0.0.4, by its specification: what `Metrics` writes must pass it.
struct PrometheusText {
    struct Sample {
        var labels: [String: String]
        var value: Double
    }

    struct Family {
        var help: String
        var kind: String
        var samples: [Sample] = []
    }

    struct Invalid: Error, CustomStringConvertible {
        var line: String
        var reason: String
        var description: String { "\(reason): \(line)" }
    }

    static func parse(_ text: String) throws -> [String: Family] {
        var families: [String: Family] = [:]
        guard text.utf8.last == 0x0A || text.isEmpty else {
            throw Invalid(line: text, reason: "no line feed at the end")
        }
        var help: (name: String, text: String)?
        // Lines end with a line feed alone; as a Character, "\r\n" would be another.
        for bytes in text.utf8.split(separator: 0x0A) {
            let line = String(decoding: Array(bytes), as: UTF8.self)
            var reader = Reader(line)
            if reader.skip("# HELP ") {
                let name = try reader.name()
                guard reader.skip(" "), families[name] == nil else { throw Invalid(line: line, reason: "HELP") }
                help = (name, reader.rest())
            } else if reader.skip("# TYPE ") {
                let name = try reader.name()
                guard reader.skip(" "), let text = help, text.name == name else {
                    throw Invalid(line: line, reason: "TYPE without HELP")
                }
                let kind = reader.rest()
                guard ["counter", "gauge"].contains(kind) else { throw Invalid(line: line, reason: "kind") }
                families[name] = Family(help: text.text, kind: kind)
            } else {
                let name = try reader.name()
                let labels = try reader.labels()
                guard reader.skip(" "), let value = number(reader.rest()), families[name] != nil else {
                    throw Invalid(line: line, reason: "value or family")
                }
                guard families[name]?.samples.allSatisfy({ $0.labels != labels }) == true else {
                    throw Invalid(line: line, reason: "the same sample twice")
                }
                families[name]?.samples.append(Sample(labels: labels, value: value))
            }
        }
        return families
    }

    private static func number(_ text: String) -> Double? {
        switch text {
        case "NaN": .nan
        case "+Inf": .infinity
        case "-Inf": -.infinity
        default: text.utf8.allSatisfy { "0123456789+-.e".utf8.contains($0) } ? Double(text) : nil
        }
    }

    private struct Reader {
        private let line: String
        private var scalars: Substring.UnicodeScalarView

        init(_ line: String) {
            self.line = line
            scalars = line[...].unicodeScalars
        }

        mutating func skip(_ text: String) -> Bool {
            guard scalars.starts(with: text.unicodeScalars) else { return false }
            scalars = scalars.dropFirst(text.unicodeScalars.count)
            return true
        }

        mutating func rest() -> String { String(scalars) }

        mutating func name() throws -> String {
            let name = String(
                scalars.prefix {
                    $0.isASCII && ($0.properties.isAlphabetic || "0123456789_:".unicodeScalars.contains($0))
                })
            guard let first = name.unicodeScalars.first, !"0123456789".unicodeScalars.contains(first) else {
                throw Invalid(line: line, reason: "name")
            }
            scalars = scalars.dropFirst(name.unicodeScalars.count)
            return name
        }

        mutating func labels() throws -> [String: String] {
            var labels: [String: String] = [:]
            guard skip("{") else { return labels }
            while true {
                let name = try name()
                guard skip("=\"") else { throw Invalid(line: line, reason: "label") }
                guard labels.updateValue(try value(), forKey: name) == nil else {
                    throw Invalid(line: line, reason: "the same label twice")
                }
                if skip("}") { return labels }
                guard skip(",") else { throw Invalid(line: line, reason: "label's end") }
            }
        }

        private mutating func value() throws -> String {
            var value = ""
            while let scalar = scalars.popFirst() {
                switch scalar {
                case "\"": return value
                case "\\":
                    switch scalars.popFirst() {
                    case "\\": value += "\\"
                    case "\"": value += "\""
                    case "n": value += "\n"
                    default: throw Invalid(line: line, reason: "escape")
                    }
                default: value.unicodeScalars.append(scalar)
                }
            }
            throw Invalid(line: line, reason: "value's end")
        }
    }
}
