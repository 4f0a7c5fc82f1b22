import Contracts

/// Published ports.
enum ComposePorts {
    private static let example = "write DEVICE_PORT:CONTAINER_PORT, as 8080:80 or 5353:53/udp"

    /// The short form: `8080:80`, `8080:80/udp`, `8000-8002:80-82`.
    static func parse(_ text: String) throws(ValueProblem) -> [PortMapping] {
        let halves = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        let transport = halves.count == 2 ? halves[1] : "tcp"
        guard halves.count <= 2, ["tcp", "udp"].contains(transport) else {
            throw ValueProblem("port `\(text)` has an unknown protocol", "allowed are /tcp and /udp")
        }
        let parts = halves[0].split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        if parts.count == 1, let target = range(parts[0]) {
            throw ValueProblem(
                "port `\(text)` names no port of the device",
                "an app may run on any device, so choose one: `8080:\(target.lowerBound)`")
        }
        if parts.count > 2 {
            throw ValueProblem(
                "port `\(text)` names an address of the device",
                "it has to hold on every device, so a port is published on all addresses: `\(parts.suffix(2).joined(separator: ":"))`"
            )
        }
        guard parts.count == 2, let published = range(parts[0]), let target = range(parts[1]) else {
            throw ValueProblem("`\(text)` is no port", "\(example); ports go from 1 to 65535")
        }
        return try mappings(text, published, target, transport)
    }

    /// The long form's figures: `published` may be a range as long as `target`'s.
    static func parse(published: String, target: String, transport: String) throws(ValueProblem) -> [PortMapping] {
        guard ["tcp", "udp"].contains(transport) else {
            throw ValueProblem("protocol `\(transport)` is unknown", "allowed are tcp and udp")
        }
        guard let devicePorts = range(published), let containerPorts = range(target) else {
            throw ValueProblem("`\(published):\(target)` is no port", "ports go from 1 to 65535")
        }
        return try mappings("\(published):\(target)", devicePorts, containerPorts, transport)
    }

    private static func mappings(
        _ text: String, _ published: ClosedRange<UInt16>, _ target: ClosedRange<UInt16>, _ transport: String
    ) throws(ValueProblem) -> [PortMapping] {
        guard published.count == target.count else {
            throw ValueProblem(
                "port `\(text)` pairs \(published.count) ports with \(target.count)", "give both ranges the same length"
            )
        }
        guard published.count <= AppSpecification.listLimit else {
            throw ValueProblem(
                "port `\(text)` is a range of \(published.count)",
                "at most \(AppSpecification.listLimit) ports can be published")
        }
        return zip(published, target).map { PortMapping(published: $0, target: $1, transport: transport) }
    }

    private static func range(_ text: String) -> ClosedRange<UInt16>? {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false).map(port)
        guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1], first <= last else {
            return nil
        }
        return first...last
    }

    private static func port(_ text: Substring) -> UInt16? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(text), port > 0
        else { return nil }
        return port
    }
}
