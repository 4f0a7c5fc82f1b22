import ArgumentParser
import Contracts
import Glibc
import Logging

/// The options that every command of every service takes.
public struct CommonOptions: ParsableArguments, Sendable {
    @Option(name: .customLong("run-dir"), help: "Where the services' sockets are (POISE_RUN; default /run/poise).")
    public var runDirectory: String?

    @Option(name: .customLong("config"), help: "A YAML file of settings (POISE_CONFIG).")
    public var config: String?

    @Option(
        name: .customLong("log-level"), help: "debug, info, notice, warning or error (POISE_LOG_LEVEL; default info).")
    public var logLevel: String?

    public init() {}

    /// Reads the settings file, if any.
    public func settings() throws -> Settings {
        let first = try Settings(config: nil)
        return try Settings(config: try first.optional("config", flag: config))
    }

    /// The directory of the sockets.
    public func runDirectory(_ settings: Settings) throws -> String {
        try settings.string("run", flag: runDirectory, default: "/run/poise")
    }

    /// Sends the log to standard error, a line an entry. Call once, first.
    public func startLogging(_ settings: Settings) throws {
        let level = try settings.choice(
            "log-level", flag: logLevel, default: "info", of: ["trace", "debug", "info", "notice", "warning", "error"])
        LoggingSystem.bootstrap { label in
            var handler = LineLog(label: label)
            handler.logLevel = Logger.Level(rawValue: level) ?? .info
            return handler
        }
    }
}

/// The option of commands that keep something on disk.
public struct StateOptions: ParsableArguments, Sendable {
    @Option(
        name: .customLong("state-dir"),
        help: "Where the service keeps what must survive (POISE_STATE; default /var/lib/poise).")
    public var stateDirectory: String?

    public init() {}

    /// The directory, made if it isn't there.
    /// - Throws: ``FileError``.
    public func directory(_ settings: Settings) throws -> String {
        let path = try settings.string("state", flag: stateDirectory, default: "/var/lib/poise")
        if mkdir(path, 0o700) != 0, errno != EEXIST { throw FileError("make", path) }
        return path
    }
}

/// Log entries as single lines on standard error: `2026-05-01T12:00:00.123Z warning planner: text key=value`.
struct LineLog: LogHandler {
    let label: String
    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    init(label: String) { self.label = label }

    func log(event: LogEvent) {
        let values = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
        var line = "\(Self.timestamp()) \(event.level) \(label): \(event.message)"
        for (key, value) in values { line += " \(key)=\(value)" }
        line = String(line.map { $0.isNewline ? " " : $0 }) + "\n"
        // One write a line, so that the lines of several tasks never mix.
        _ = line.withCString { write(STDERR_FILENO, $0, strlen($0)) }
    }

    private static func timestamp() -> String {
        let milliseconds = WallClock.nowMilliseconds()
        var seconds = time_t(milliseconds / 1_000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let fraction = String(1_000 + milliseconds % 1_000).dropFirst()
        return "\(parts.tm_year + 1_900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
            + "T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)).\(fraction)Z"
    }
}
