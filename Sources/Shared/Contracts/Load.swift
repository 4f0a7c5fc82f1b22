// monitor → gossip: what a device and its apps use.

/// How much of each of a device's resources is in use, in parts per million of that device's total.
///
/// A figure that could not be had is nil, never zero. A figure may exceed 1,000,000 where the total is an
/// estimate (a link faster than stated).
public struct Score: ByteCodable, Codable, Hashable {
    public var cpu: Int?
    public var ram: Int?
    public var disk: Int?
    public var network: Int?

    public init(cpu: Int? = nil, ram: Int? = nil, disk: Int? = nil, network: Int? = nil) {
        self.cpu = cpu
        self.ram = ram
        self.disk = disk
        self.network = network
    }

    public func encode(to writer: inout ByteWriter) {
        for figure in [cpu, ram, disk, network] { writer.optional(integer: figure.map { Int32(clamping: $0) }) }
    }

    public init(from reader: inout ByteReader) throws {
        func figure(_ name: String) throws -> Int? {
            guard let value = try reader.optional(integer: Int32.self) else { return nil }
            guard value >= 0 else { throw ByteCodingError.invalid(what: "the \(name) score", value: "\(value)") }
            return Int(value)
        }
        cpu = try figure("CPU")
        ram = try figure("RAM")
        disk = try figure("disk")
        network = try figure("network")
    }
}

/// One app's row of the state matrix.
public struct AppScore: ByteCodable, Codable, Hashable {
    public static let nameLimit = 63

    public var app: String
    /// Which placement of the app was measured (``PlacedApp/incarnation``); 0 for a container that Poise did not place.
    public var incarnation: UInt64
    public var score: Score

    public init(app: String, incarnation: UInt64, score: Score) {
        self.app = app
        self.incarnation = incarnation
        self.score = score
    }

    public func encode(to writer: inout ByteWriter) {
        writer.text(app)
        writer.integer(incarnation)
        writer.value(score)
    }

    public init(from reader: inout ByteReader) throws {
        app = try reader.appName()
        incarnation = try reader.integer()
        score = try reader.value()
    }
}

/// What a device has in total: the denominators of its scores.
public struct Capacity: ByteCodable, Codable, Hashable {
    /// Thousandths of a processor core.
    public var cpuMillicores: Int
    public var ramBytes: Int
    /// Bytes a second, reads and writes together.
    public var diskBytesPerSecond: Int
    /// Bytes a second, both directions together.
    public var networkBytesPerSecond: Int

    public init(cpuMillicores: Int, ramBytes: Int, diskBytesPerSecond: Int, networkBytesPerSecond: Int) {
        self.cpuMillicores = cpuMillicores
        self.ramBytes = ramBytes
        self.diskBytesPerSecond = diskBytesPerSecond
        self.networkBytesPerSecond = networkBytesPerSecond
    }

    public func encode(to writer: inout ByteWriter) {
        for total in [cpuMillicores, ramBytes, diskBytesPerSecond, networkBytesPerSecond] {
            writer.integer(Int64(total))
        }
    }

    public init(from reader: inout ByteReader) throws {
        func total(_ name: String) throws -> Int {
            let value = try reader.integer(Int64.self)
            guard (1...1 << 50).contains(value) else {
                throw ByteCodingError.invalid(what: "the \(name) capacity", value: "\(value)")
            }
            return Int(value)
        }
        cpuMillicores = try total("CPU")
        ramBytes = try total("RAM")
        diskBytesPerSecond = try total("disk")
        networkBytesPerSecond = try total("network")
    }
}

/// What a device can do: decides where an app can be restored.
public struct Facts: ByteCodable, Codable, Hashable {
    /// As Docker names it: `x86_64`, `aarch64`.
    public var architecture: String
    public var kernel: String
    public var engineVersion: String
    public var storageDriver: String
    /// Whether Docker on this device offers checkpoints at all.
    public var checkpoints: Bool
    public var pageSize: Int
    /// What its owner says of it, for apps' constraints.
    public var labels: [String: String]
    /// Paths under `/dev/` that its owner lets apps use, in ascending order of their bytes, each once.
    public var devices: [String]

    public init(
        architecture: String, kernel: String, engineVersion: String, storageDriver: String, checkpoints: Bool,
        pageSize: Int, labels: [String: String] = [:], devices: [String] = []
    ) {
        self.architecture = architecture
        self.kernel = kernel
        self.engineVersion = engineVersion
        self.storageDriver = storageDriver
        self.checkpoints = checkpoints
        self.pageSize = pageSize
        self.labels = labels
        self.devices = devices
    }

    public func encode(to writer: inout ByteWriter) {
        for text in [architecture, kernel, engineVersion, storageDriver] { writer.text(text) }
        writer.bool(checkpoints)
        writer.integer(UInt32(clamping: pageSize))
        writer.pairs(labels)
        writer.texts(devices)
    }

    public init(from reader: inout ByteReader) throws {
        architecture = try reader.text("the architecture", limit: 32)
        kernel = try reader.text("the kernel's version", limit: 128)
        engineVersion = try reader.text("the engine's version", limit: 64)
        storageDriver = try reader.text("the storage driver", limit: 32)
        checkpoints = try reader.bool()
        pageSize = Int(try reader.integer(UInt32.self))
        labels = try reader.pairs("the device's labels", limit: Self.labelLimit, each: Self.labelValueLimit)
        for key in labels.keys where !Self.isValid(labelKey: key) {
            throw ByteCodingError.invalid(what: "a label's key", value: key.debugDescription)
        }
        devices = try reader.texts("the device's devices", limit: Self.deviceLimit, each: DeviceMapping.pathLimit)
        for device in devices where !DeviceMapping.isValid(source: device) {
            throw ByteCodingError.invalid(what: "a device", value: device.debugDescription)
        }
        for (a, b) in zip(devices, devices.dropFirst()) where !a.utf8.lexicographicallyPrecedes(b.utf8) {
            throw ByteCodingError.invalid(what: "the device's devices", value: "out of order at \(b)")
        }
    }
}

extension Facts {
    public static let labelLimit = 64
    public static let labelValueLimit = 255
    public static let deviceLimit = 64
    public static let labelKeyRule =
        "1 to 63 of a-z, 0-9, hyphen, underscore and dot, and begins with a letter or digit"

    /// Whether `key` can name a label: the rule is that of apps' names.
    public static func isValid(labelKey key: String) -> Bool { AppSpecification.isValid(name: key) }
}

/// The state matrix S(APP, CPU, RAM, DISK, NETWORK, TIMESTAMP) of one device at one moment (paper, section 5),
/// with the device's totals. One line of monitor's `GET /load`.
public struct LoadMatrix: ByteCodable, Codable, Hashable {
    public static let appLimit = 1_000

    /// Milliseconds since 1970-01-01 UTC, by the device's own clock. Never compared with another device's.
    public var timestamp: Int64
    /// All that runs on the device, whether Poise placed it or not.
    public var device: Score
    /// Managed apps in ascending order of name, each once, at most ``appLimit``.
    public var apps: [AppScore]
    /// Poise's own services: measured, so that its cost is seen, and never moved.
    public var services: [AppScore]
    public var capacity: Capacity
    public var facts: Facts

    public init(
        timestamp: Int64, device: Score, apps: [AppScore], services: [AppScore], capacity: Capacity, facts: Facts
    ) {
        self.timestamp = timestamp
        self.device = device
        self.apps = apps
        self.services = services
        self.capacity = capacity
        self.facts = facts
    }

    public func encode(to writer: inout ByteWriter) {
        writer.integer(timestamp)
        writer.value(device)
        writer.list(apps)
        writer.list(services)
        writer.value(capacity)
        writer.value(facts)
    }

    public init(from reader: inout ByteReader) throws {
        timestamp = try reader.integer()
        device = try reader.value()
        apps = try reader.list("the state matrix", limit: Self.appLimit)
        for (a, b) in zip(apps, apps.dropFirst()) where a.app >= b.app {
            throw ByteCodingError.invalid(what: "the state matrix", value: "out of order at \(b.app)")
        }
        services = try reader.list("the services' scores", limit: 16)
        capacity = try reader.value()
        facts = try reader.value()
    }
}

/// What a node says of itself: the payload of a `report` message, and what the chain plans by.
public struct Report: ByteCodable, Codable, Hashable {
    public var name: String
    /// `host:port` of this node's gossip, as other devices reach it.
    public var gossipAddress: String
    /// `host:port` of this node's migrator, as other devices reach it.
    public var migratorAddress: String
    /// By which this node's draws are checked.
    public var vrf: VRFKey
    public var load: LoadMatrix

    public init(name: String, gossipAddress: String, migratorAddress: String, vrf: VRFKey, load: LoadMatrix) {
        self.name = name
        self.gossipAddress = gossipAddress
        self.migratorAddress = migratorAddress
        self.vrf = vrf
        self.load = load
    }

    public func encode(to writer: inout ByteWriter) {
        for text in [name, gossipAddress, migratorAddress] { writer.text(text) }
        writer.value(vrf)
        writer.value(load)
    }

    public init(from reader: inout ByteReader) throws {
        name = try reader.text("a node's name", limit: 63)
        gossipAddress = try reader.text("gossip's address", limit: 255)
        migratorAddress = try reader.text("migrator's address", limit: 255)
        vrf = try reader.value()
        load = try reader.value()
    }
}
