import ArgumentParser
import MonitorCore
import Runtime

/// What `run` and `sample --direct` are told of the device.
struct DeviceOptions: ParsableArguments, Sendable {
    @Option(help: "Docker's socket (POISE_DOCKER_SOCKET; default /var/run/docker.sock).")
    var dockerSocket: String?

    @Option(help: "Milliseconds from one sample to the next (POISE_SAMPLE_INTERVAL_MS; default 500).")
    var sampleIntervalMs: Int?

    @Option(help: "Thousandths of a core that are all of the device (POISE_CPU_MILLICORES; default: Docker's count).")
    var cpuMillicores: Int?

    @Option(help: "Bytes of memory that are all of the device (POISE_RAM_BYTES; default: Docker's figure).")
    var ramBytes: Int?

    @Option(
        help: "What the disk can do, read and write together (POISE_DISK_BYTES_PER_SECOND; default 50000000).")
    var diskBytesPerSecond: Int?

    @Option(
        help: "What the network can do, both ways together (POISE_NETWORK_BYTES_PER_SECOND; default 125000000).")
    var networkBytesPerSecond: Int?

    @Option(
        help: ArgumentHelp(
            "Labels of this device, for apps' constraints (POISE_LABELS; default none).", valueName: "floor=1,camera="))
    var labels: String?

    @Option(
        help: ArgumentHelp(
            "What apps may use of this device (POISE_DEVICES, the same for migrator; default nothing).",
            valueName: "/dev/i2c-1,/dev/video0"))
    var devices: String?
}

struct MonitorSettings: Sendable {
    var dockerSocket: String
    var parameters: MonitorParameters

    /// - Throws: `SettingError`.
    init(_ options: DeviceOptions, _ settings: Settings) throws {
        dockerSocket = try settings.string(
            "docker-socket", flag: options.dockerSocket, default: "/var/run/docker.sock")
        let interval = try settings.integer(
            "sample-interval-ms", flag: options.sampleIntervalMs, default: 500, in: 100...60_000)
        let most = 1 << 50
        parameters = MonitorParameters(
            interval: Int64(interval),
            capacity: StatedCapacity(
                cpuMillicores: try settings.optionalInteger(
                    "cpu-millicores", flag: options.cpuMillicores, in: 1...1 << 30),
                ramBytes: try settings.optionalInteger("ram-bytes", flag: options.ramBytes, in: 1...most),
                diskBytesPerSecond: try settings.integer(
                    "disk-bytes-per-second", flag: options.diskBytesPerSecond, default: 50_000_000, in: 1...most),
                networkBytesPerSecond: try settings.integer(
                    "network-bytes-per-second", flag: options.networkBytesPerSecond, default: 125_000_000,
                    in: 1...most)),
            facts: StatedFacts(
                labels: try settings.labels(flag: options.labels),
                devices: try settings.devices(flag: options.devices)))
    }
}
