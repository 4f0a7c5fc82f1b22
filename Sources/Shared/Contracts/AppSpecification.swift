// An app as its owner describes it: what a Compose service says, as far as Poise keeps it.

/// A volume or bind mount of an app.
public struct VolumeMount: ByteCodable, Codable, Hashable {
    public enum Kind: String, Codable, Sendable { case volume, bind, tmpfs }

    public var kind: Kind
    /// The volume's name or the host's path; empty for tmpfs.
    public var source: String
    public var target: String
    public var readOnly: Bool

    public init(kind: Kind, source: String, target: String, readOnly: Bool = false) {
        self.kind = kind
        self.source = source
        self.target = target
        self.readOnly = readOnly
    }

    public func encode(to writer: inout ByteWriter) {
        writer.text(kind.rawValue)
        writer.text(source)
        writer.text(target)
        writer.bool(readOnly)
    }

    public init(from reader: inout ByteReader) throws {
        let raw = try reader.text("a mount's kind", limit: 16)
        guard let kind = Kind(rawValue: raw) else { throw ByteCodingError.invalid(what: "a mount's kind", value: raw) }
        self.kind = kind
        source = try reader.text("a mount's source", limit: AppSpecification.textLimit)
        target = try reader.text("a mount's target", limit: AppSpecification.textLimit)
        readOnly = try reader.bool()
    }
}

/// A published port.
public struct PortMapping: ByteCodable, Codable, Hashable {
    /// The device's port, 1 to 65535.
    public var published: UInt16
    /// The container's port, 1 to 65535.
    public var target: UInt16
    /// `tcp` or `udp`.
    public var transport: String

    public init(published: UInt16, target: UInt16, transport: String = "tcp") {
        self.published = published
        self.target = target
        self.transport = transport
    }

    public func encode(to writer: inout ByteWriter) {
        writer.integer(published)
        writer.integer(target)
        writer.text(transport)
    }

    public init(from reader: inout ByteReader) throws {
        published = try reader.integer()
        target = try reader.integer()
        transport = try reader.text("a port's protocol", limit: 3)
        guard published > 0, target > 0, ["tcp", "udp"].contains(transport) else {
            throw ByteCodingError.invalid(what: "a port", value: "\(published):\(target)/\(transport)")
        }
    }
}

/// When an app that ended is started again, as in Compose.
public enum RestartPolicy: String, Codable, Sendable, CaseIterable {
    case never = "no"
    case onFailure = "on-failure"
    case always = "always"
    case unlessStopped = "unless-stopped"
}

/// How an app may be moved: its label `poise.move`.
public enum MovePolicy: String, Codable, Sendable, CaseIterable {
    /// With its memory, by checkpoint and restore.
    case live
    /// Never: it stays where it was placed first.
    case never
}

/// What becomes of an app on a device that is out of touch with the site: its label `poise.isolated`.
public enum IsolationPolicy: String, Codable, Sendable, CaseIterable {
    /// It goes on, and may run twice until the device is back: the site places it elsewhere meanwhile.
    case run
    /// It is frozen before the site may place it elsewhere.
    case freeze
}

/// What becomes of an app with named volumes whose device is absent: its label `poise.restart`.
public enum RecoveryPolicy: String, Codable, Sendable, CaseIterable {
    /// It waits for the device that has its volumes.
    case wait
    /// It is placed anew elsewhere, with empty volumes.
    case fresh
}

/// An application as submitted. Its name is unique in the site.
public struct AppSpecification: ByteCodable, Codable, Hashable {
    public static let nameLimit = AppScore.nameLimit
    public static let textLimit = 4_096
    public static let listLimit = 256
    /// Bytes of the whole encoding at most: a placement lists every app of the site, and must stay readable.
    public static let byteLimit = 65_536

    public var name: String
    public var image: String
    public var entrypoint: [String]?
    public var command: [String]?
    public var environment: [String: String]
    public var labels: [String: String]
    public var volumes: [VolumeMount]
    public var ports: [PortMapping]
    public var restart: RestartPolicy
    /// Processor limit in thousandths of a core; nil for none.
    public var cpuMillicores: Int?
    /// Memory limit in bytes; nil for none.
    public var memoryBytes: Int?
    public var hostname: String?
    public var user: String?
    public var workingDirectory: String?
    public var move: MovePolicy
    public var isolated: IsolationPolicy
    public var recovery: RecoveryPolicy
    /// All of them must hold of the node that runs it.
    public var constraints: [PlacementConstraint]
    public var devices: [DeviceMapping]

    public init(
        name: String, image: String, entrypoint: [String]? = nil, command: [String]? = nil,
        environment: [String: String] = [:], labels: [String: String] = [:], volumes: [VolumeMount] = [],
        ports: [PortMapping] = [], restart: RestartPolicy = .never, cpuMillicores: Int? = nil,
        memoryBytes: Int? = nil, hostname: String? = nil, user: String? = nil, workingDirectory: String? = nil,
        move: MovePolicy = .live, isolated: IsolationPolicy = .run, recovery: RecoveryPolicy = .wait,
        constraints: [PlacementConstraint] = [], devices: [DeviceMapping] = []
    ) {
        self.name = name
        self.image = image
        self.entrypoint = entrypoint
        self.command = command
        self.environment = environment
        self.labels = labels
        self.volumes = volumes
        self.ports = ports
        self.restart = restart
        self.cpuMillicores = cpuMillicores
        self.memoryBytes = memoryBytes
        self.hostname = hostname
        self.user = user
        self.workingDirectory = workingDirectory
        self.move = move
        self.isolated = isolated
        self.recovery = recovery
        self.constraints = constraints
        self.devices = devices
    }

    /// Whether `name` can name an app: 1 to 63 of `a-z 0-9 - _ .`, beginning with a letter or digit.
    public static func isValid(name: String) -> Bool {
        let utf8 = Array(name.utf8)
        guard (1...nameLimit).contains(utf8.count) else { return false }
        func isLetterOrDigit(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) }
        return isLetterOrDigit(utf8[0]) && utf8.allSatisfy { isLetterOrDigit($0) || [0x2D, 0x5F, 0x2E].contains($0) }
    }

    /// Whether it may run only where its volumes are, once it has run somewhere.
    public var keepsVolumes: Bool { recovery == .wait && volumes.contains { $0.kind == .volume } }

    public func encode(to writer: inout ByteWriter) {
        writer.text(name)
        writer.text(image)
        for list in [entrypoint, command] {
            writer.bool(list != nil)
            if let list { writer.texts(list) }
        }
        writer.pairs(environment)
        writer.pairs(labels)
        writer.list(volumes)
        writer.list(ports)
        writer.text(restart.rawValue)
        writer.optional(integer: cpuMillicores.map(Int64.init))
        writer.optional(integer: memoryBytes.map(Int64.init))
        for text in [hostname, user, workingDirectory] { writer.optional(text: text) }
        writer.text(move.rawValue)
        writer.text(isolated.rawValue)
        writer.text(recovery.rawValue)
        writer.list(constraints)
        writer.list(devices)
    }

    public init(from reader: inout ByteReader) throws {
        let start = reader.offset
        name = try reader.appName()
        image = try reader.text("an image", limit: 512)
        func texts(_ what: String) throws -> [String]? {
            try reader.bool() ? try reader.texts(what, limit: Self.listLimit, each: Self.textLimit) : nil
        }
        entrypoint = try texts("an entrypoint")
        command = try texts("a command")
        environment = try reader.pairs("an environment", limit: Self.listLimit, each: Self.textLimit)
        labels = try reader.pairs("labels", limit: Self.listLimit, each: Self.textLimit)
        volumes = try reader.list("volumes", limit: Self.listLimit)
        ports = try reader.list("ports", limit: Self.listLimit)
        restart = try reader.named("a restart policy")
        cpuMillicores = try reader.positive("a CPU limit")
        memoryBytes = try reader.positive("a memory limit")
        hostname = try reader.optional(text: "a hostname", limit: 253)
        user = try reader.optional(text: "a user", limit: 255)
        workingDirectory = try reader.optional(text: "a working directory", limit: Self.textLimit)
        move = try reader.named("a move policy")
        isolated = try reader.named("an isolation policy")
        recovery = try reader.named("a recovery policy")
        constraints = try reader.list("an app's constraints", limit: PlacementConstraint.limit)
        devices = try reader.list("an app's devices", limit: DeviceMapping.limit)
        let size = reader.offset - start
        guard size <= Self.byteLimit else {
            throw ByteCodingError.tooLong(what: "the app \(name)", count: size, limit: Self.byteLimit)
        }
    }
}

extension ByteReader {
    fileprivate mutating func positive(_ what: String) throws -> Int? {
        guard let value = try optional(integer: Int64.self) else { return nil }
        guard value > 0 else { throw ByteCodingError.invalid(what: what, value: "\(value)") }
        return Int(value)
    }

    mutating func appName() throws -> String {
        let name = try text("an app's name", limit: AppSpecification.nameLimit)
        guard AppSpecification.isValid(name: name) else {
            throw ByteCodingError.invalid(what: "an app's name", value: name.debugDescription)
        }
        return name
    }

    mutating func named<T: RawRepresentable>(_ what: String) throws -> T where T.RawValue == String {
        let raw = try text(what, limit: 64)
        guard let value = T(rawValue: raw) else { throw ByteCodingError.invalid(what: what, value: "\"\(raw)\"") }
        return value
    }
}
