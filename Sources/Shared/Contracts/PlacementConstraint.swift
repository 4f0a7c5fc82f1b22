// Where an app may run: what its owner asks of the device.

/// A condition on the node that runs an app, written as Docker Swarm writes it: `node.labels.floor==2`.
public struct PlacementConstraint: ByteCodable, Hashable {
    /// Conditions of one app at most.
    public static let limit = 32

    /// What of a node is looked at.
    public enum Subject: Hashable, Sendable {
        /// Its name in the site.
        case hostname
        /// As Docker names it: `x86_64`, `aarch64`.
        case architecture
        /// The label of this key. A node without it satisfies every `!=`, as in Swarm.
        case label(String)
    }

    public var subject: Subject
    /// Whether the node's value must be this one, or must be another.
    public var isEqual: Bool
    public var value: String

    public init(_ subject: Subject, isEqual: Bool = true, _ value: String) {
        self.subject = subject
        self.isEqual = isEqual
        self.value = value
    }

    /// Why a text is no constraint.
    public struct Fault: Error, Equatable, CustomStringConvertible {
        /// The beginning of a sentence: "constraint `a` has no operator".
        public var what: String
        /// What to write instead.
        public var remedy: String

        public var description: String { "\(what): \(remedy)" }
    }

    /// Reads the text form; blanks around subject and value don't count.
    public init(parsing text: String) throws(Fault) {
        let shown = "constraint `\(text.prefix(80))`"
        guard let (left, isEqual, right) = Self.split(text) else {
            throw Fault(
                what: "\(shown) has no operator", remedy: "write node.labels.KEY==VALUE or node.labels.KEY!=VALUE")
        }
        let (key, value) = (Self.trimmed(left), Self.trimmed(right))
        guard let subject = Subject(text: key) else {
            guard key.hasPrefix(Subject.labelPrefix) else {
                throw Fault(
                    what: "\(shown) asks for `\(key.prefix(80))`",
                    remedy: "allowed are node.hostname, node.platform.arch and node.labels.KEY")
            }
            throw Fault(what: "\(shown) names no label", remedy: "a label's key has \(Facts.labelKeyRule)")
        }
        self.init(subject, isEqual: isEqual, value)
        if let remedy = fault { throw Fault(what: "\(shown) has no value that a node could have", remedy: remedy) }
    }

    /// The text form.
    public var text: String { "\(subject.text)\(isEqual ? "==" : "!=")\(value)" }

    /// What a value may be where this one is none; nil where it is one.
    private var fault: String? {
        guard value.utf8.count <= Facts.labelValueLimit, !value.utf8.contains(0),
            value == Self.trimmed(Substring(value))
        else { return "write at most \(Facts.labelValueLimit) bytes" }
        if case .label = subject { return nil }
        return value.isEmpty ? "write it after the operator, as in node.hostname==attic" : nil
    }

    /// At the first operator.
    private static func split(_ text: String) -> (Substring, Bool, Substring)? {
        let bytes = text.utf8
        var place = bytes.startIndex
        while place < bytes.endIndex {
            let next = bytes.index(after: place)
            if next < bytes.endIndex, bytes[next] == 0x3D, bytes[place] == 0x3D || bytes[place] == 0x21 {
                return (text[..<place], bytes[place] == 0x3D, text[bytes.index(after: next)...])
            }
            place = next
        }
        return nil
    }

    private static func trimmed(_ text: Substring) -> String {
        func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
        let bytes = text.utf8
        guard let first = bytes.firstIndex(where: { !isBlank($0) }), let last = bytes.lastIndex(where: { !isBlank($0) })
        else { return "" }
        return String(decoding: bytes[first...last], as: UTF8.self)
    }

    public func encode(to writer: inout ByteWriter) {
        writer.text(subject.text)
        writer.bool(isEqual)
        writer.text(value)
    }

    public init(from reader: inout ByteReader) throws {
        let text = try reader.text("a constraint's subject", limit: 80)
        guard let subject = Subject(text: text) else {
            throw ByteCodingError.invalid(what: "a constraint's subject", value: text.debugDescription)
        }
        self.init(
            subject, isEqual: try reader.bool(), try reader.text("a constraint's value", limit: Facts.labelValueLimit))
        guard fault == nil else {
            throw ByteCodingError.invalid(what: "a constraint's value", value: value.debugDescription)
        }
    }
}

extension PlacementConstraint.Subject {
    static let labelPrefix = "node.labels."

    /// As constraints write it.
    public var text: String {
        switch self {
        case .hostname: "node.hostname"
        case .architecture: "node.platform.arch"
        case .label(let key): Self.labelPrefix + key
        }
    }

    init?(text: String) {
        switch text {
        case "node.hostname": self = .hostname
        case "node.platform.arch": self = .architecture
        default:
            let key = String(decoding: text.utf8.dropFirst(Self.labelPrefix.utf8.count), as: UTF8.self)
            guard text.hasPrefix(Self.labelPrefix), Facts.isValid(labelKey: key) else { return nil }
            self = .label(key)
        }
    }
}

extension PlacementConstraint: Codable {
    /// In JSON it is its text form.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        do throws(Fault) {
            try self.init(parsing: text)
        } catch {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "\(error)")
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}

/// A device node that an app uses. It runs only where the device's owner lets apps use it (``Facts/devices``).
public struct DeviceMapping: ByteCodable, Codable, Hashable {
    /// Device nodes of one app at most.
    public static let limit = 32
    public static let pathLimit = 255

    /// On the device, under `/dev/`.
    public var source: String
    /// In the container.
    public var target: String
    /// Which of read, write and mknod the app may do: of `r`, `w` and `m` one at least, each once.
    public var permissions: String

    public init(source: String, target: String? = nil, permissions: String = "rwm") {
        self.source = source
        self.target = target ?? source
        self.permissions = permissions
    }

    /// Whether `path` can name a device node: an absolute path under `/dev/`, of printable ASCII without blanks, colons and
    /// commas, which separate such paths in settings and Compose files.
    public static func isValid(source path: String) -> Bool {
        path.hasPrefix("/dev/") && isValid(target: path)
            && path.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != 0x3A && $0 != 0x2C }
    }

    /// Whether `path` can be where a container has the node.
    public static func isValid(target path: String) -> Bool {
        let utf8 = path.utf8
        guard utf8.first == 0x2F, (2...pathLimit).contains(utf8.count), !utf8.contains(0) else { return false }
        return utf8.dropFirst().split(separator: 0x2F, omittingEmptySubsequences: false).allSatisfy {
            !$0.isEmpty && !$0.elementsEqual([0x2E]) && !$0.elementsEqual([0x2E, 0x2E])
        }
    }

    public static func isValid(permissions: String) -> Bool {
        let utf8 = Array(permissions.utf8)
        return (1...3).contains(utf8.count) && Set(utf8).count == utf8.count
            && utf8.allSatisfy { [0x72, 0x77, 0x6D].contains($0) }
    }

    public func encode(to writer: inout ByteWriter) {
        writer.text(source)
        writer.text(target)
        writer.text(permissions)
    }

    public init(from reader: inout ByteReader) throws {
        source = try reader.text("a device", limit: Self.pathLimit)
        target = try reader.text("a device's place in the container", limit: Self.pathLimit)
        permissions = try reader.text("a device's permissions", limit: 3)
        guard Self.isValid(source: source), Self.isValid(target: target), Self.isValid(permissions: permissions) else {
            throw ByteCodingError.invalid(
                what: "a device", value: "\(source):\(target):\(permissions)".debugDescription)
        }
    }
}
