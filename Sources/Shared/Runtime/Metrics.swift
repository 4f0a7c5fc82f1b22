import Synchronization

/// Counters and gauges, shown in Prometheus' text format (version 0.0.4). Names begin with `poise_` and end with
/// their unit or, for counters, `_total`.
public final class Metrics: Sendable {
    fileprivate struct Family {
        var kind: String
        var help: String
        var values: [String: Double] = [:]
    }

    private let families = Mutex<[String: Family]>([:])

    public init() {}

    /// A number that only grows.
    public struct Counter: Sendable {
        fileprivate let metrics: Metrics
        fileprivate let name: String
        fileprivate let labels: String
        public func increment(by amount: Double = 1) {
            metrics.families.withLock { $0[name]?.values[labels, default: 0] += amount }
        }
    }

    /// A number that goes up and down.
    public struct Gauge: Sendable {
        fileprivate let metrics: Metrics
        fileprivate let name: String
        fileprivate let labels: String
        public func set(_ value: Double) { metrics.families.withLock { $0[name]?.values[labels] = value } }
    }

    /// The counter of this name and these labels, made at first use. It is shown from then on, at 0 if nothing was counted.
    public func counter(_ name: String, help: String, labels: KeyValuePairs<String, String> = [:]) -> Counter {
        let labels = Self.text(labels)
        declare(name, "counter", help, labels)
        return Counter(metrics: self, name: name, labels: labels)
    }

    public func gauge(_ name: String, help: String, labels: KeyValuePairs<String, String> = [:]) -> Gauge {
        let labels = Self.text(labels)
        declare(name, "gauge", help, labels)
        return Gauge(metrics: self, name: name, labels: labels)
    }

    private func declare(_ name: String, _ kind: String, _ help: String, _ labels: String) {
        families.withLock { families in
            families[name, default: Family(kind: kind, help: help)].values[labels, default: 0] += 0
        }
    }

    private static func text(_ labels: KeyValuePairs<String, String>) -> String {
        guard !labels.isEmpty else { return "" }
        let pairs = labels.map { name, value in "\(name)=\"\(escaped(value, quotes: true))\"" }
        return "{" + pairs.joined(separator: ",") + "}"
    }

    /// By Unicode scalars: as a `Character`, "\r\n" is no "\n" and would break the line.
    private static func escaped(_ text: String, quotes: Bool) -> String {
        var escaped = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": escaped.append(contentsOf: "\\\\".unicodeScalars)
            case "\"" where quotes: escaped.append(contentsOf: "\\\"".unicodeScalars)
            case "\n": escaped.append(contentsOf: "\\n".unicodeScalars)
            default: escaped.append(scalar)
            }
        }
        return String(escaped)
    }

    /// Prometheus reads what Go's `ParseFloat` reads.
    private static func text(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
    }

    /// Everything, in order of name.
    public func render() -> String {
        let families = families.withLock { $0 }
        var text = ""
        for (name, family) in families.sorted(by: { $0.key < $1.key }) {
            let help = Self.escaped(family.help, quotes: false)
            text += "# HELP \(name) \(help)\n# TYPE \(name) \(family.kind)\n"
            for (labels, value) in family.values.sorted(by: { $0.key < $1.key }) {
                text += "\(name)\(labels) \(Self.text(value))\n"
            }
        }
        return text
    }
}
