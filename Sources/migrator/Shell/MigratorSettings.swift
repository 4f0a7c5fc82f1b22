import ArgumentParser
import Runtime

struct MigratorOptions: ParsableArguments, Sendable {
    @Option(
        name: .customLong("port"),
        help:
            "TCP port for other devices' migrators (POISE_MIGRATOR_PORT; default 7701). It must be the same as gossip tells."
    )
    var port: Int?

    @Option(name: .customLong("site"), help: "The site's name (POISE_SITE; default poise).")
    var site: String?

    @OptionGroup var engine: EngineOptions

    @Option(
        name: .customLong("minimum-free-mib"),
        help: "MiB that must stay free on Docker's disk when an app comes in (POISE_MINIMUM_FREE_MIB; default 256).")
    var minimumFreeMiB: Int?

    @Option(
        help: ArgumentHelp(
            "What apps may use of this device (POISE_DEVICES, the same as for monitor; default nothing).",
            valueName: "/dev/i2c-1,/dev/video0"))
    var devices: String?
}

struct EngineOptions: ParsableArguments, Sendable {
    @Option(
        name: .customLong("docker-socket"), help: "Docker's socket (POISE_DOCKER_SOCKET; default /var/run/docker.sock)."
    )
    var socket: String?

    @Option(
        name: .customLong("docker-root"),
        help: """
            Docker's data folder, under the same path as Docker has it (POISE_DOCKER_ROOT; default /var/lib/docker): \
            checkpoints, writable layers and volumes are read and written there.
            """)
    var root: String?
}

struct MigratorSettings: Sendable {
    static let defaultPort = 7701

    var port: Int
    var site: String
    var dockerSocket: String
    var dockerRoot: String
    /// Bytes.
    var reserve: Int64
    /// What apps may use of this device.
    var devices: [String]

    init(_ options: MigratorOptions, _ settings: Settings) throws {
        port = try settings.integer("migrator-port", flag: options.port, default: Self.defaultPort, in: 1...65_535)
        site = try settings.string("site", flag: options.site, default: "poise")
        (dockerSocket, dockerRoot) = try Self.engine(options.engine, settings)
        let free = try settings.integer(
            "minimum-free-mib", flag: options.minimumFreeMiB, default: 256, in: 0...16_777_216)
        reserve = Int64(free) << 20
        devices = try settings.devices(flag: options.devices)
    }

    static func engine(_ options: EngineOptions, _ settings: Settings) throws -> (socket: String, root: String) {
        let socket = try settings.string("docker-socket", flag: options.socket, default: "/var/run/docker.sock")
        var root = try settings.string("docker-root", flag: options.root, default: "/var/lib/docker")
        while root.count > 1, root.hasSuffix("/") { root.removeLast() }
        guard root.hasPrefix("/"), root.count > 1 else {
            throw SettingError("POISE_DOCKER_ROOT is \"\(root)\": allowed is the absolute path of Docker's data folder")
        }
        return (socket, root)
    }
}
