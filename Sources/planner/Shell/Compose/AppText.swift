import Contracts

/// Checks of an app's texts, for Compose files and for flags alike.
enum AppText {
    /// A name that an engine can look up: `nginx`, `registry.example:5000/team/app:1.2`, `app@sha256:…`.
    static func image(_ text: String) throws(ValueProblem) -> String {
        let marks = Array("-._/:@".utf8)
        let isPlain = text.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || marks.contains(byte)
        }
        guard isPlain, (1...512).contains(text.utf8.count), let first = text.utf8.first, !marks.contains(first) else {
            throw ValueProblem("`\(text.prefix(80))` is no image's name", "write NAME, NAME:TAG or NAME@DIGEST")
        }
        return text
    }

    /// A host's name (RFC 1123).
    static func hostname(_ text: String) throws(ValueProblem) -> String {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        let isValid = parts.allSatisfy { part in
            (1...63).contains(part.utf8.count) && part.first != "-" && part.last != "-"
                && part.utf8.allSatisfy {
                    (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x2D
                }
        }
        guard isValid, text.utf8.count <= 253 else {
            throw ValueProblem(
                "`\(text.prefix(80))` is no hostname", "use letters, digits and hyphens, 1 to 63 between dots")
        }
        return text
    }

    static func user(_ text: String) throws(ValueProblem) -> String {
        guard (1...255).contains(text.utf8.count), !text.utf8.contains(where: { $0 <= 0x20 }) else {
            throw ValueProblem("`\(text.prefix(80))` is no user", "write NAME, UID or UID:GID")
        }
        return text
    }

    static func directory(_ text: String) throws(ValueProblem) -> String {
        guard ComposeMounts.isPath(text) else {
            throw ValueProblem("working directory `\(text.prefix(80))` is no absolute path", "write a path from `/`")
        }
        return text
    }
}

/// Labels. Those that begin with `poise.` are Poise's own words.
enum AppLabels {
    static let prefix = "poise."

    static func set(_ key: String, _ value: String, of app: inout AppSpecification) throws(ValueProblem) {
        guard key.hasPrefix(prefix) else {
            app.labels[key] = value
            return
        }
        switch key {
        case "poise.pin": try AppPlacement.pin(to: value, &app)
        case "poise.move": app.move = try choice(key, value)
        case "poise.isolated": app.isolated = try choice(key, value)
        case "poise.restart": app.recovery = try choice(key, value)
        default:
            throw ValueProblem(
                "unknown label `\(key.prefix(80))`",
                "labels that begin with `poise.` are Poise's own; there are `poise.move` (live or never), `poise.pin` "
                    + "(a device's name), `poise.isolated` (run or freeze) and `poise.restart` (wait or fresh)")
        }
    }

    private static func choice<T: RawRepresentable & CaseIterable>(
        _ key: String, _ value: String
    ) throws(ValueProblem) -> T where T.RawValue == String {
        guard let choice = T(rawValue: value) else {
            let allowed = T.allCases.map { "`\($0.rawValue)`" }.joined(separator: " and ")
            throw ValueProblem("label `\(key)` is `\(value.prefix(80))`", "allowed are \(allowed)")
        }
        return choice
    }
}

/// What an app may be as a whole.
enum AppLimits {
    /// Bytes of one app's encoding: a block carries many, a message one.
    static let encodedBytes = 64 << 10

    /// What is too much about `app`, or nil.
    static func problem(_ app: AppSpecification) -> ValueProblem? {
        if app.ports.count > AppSpecification.listLimit {
            return ValueProblem(
                "\(app.ports.count) ports are published", "at most \(AppSpecification.listLimit) can be")
        }
        let bytes = app.encoded.count
        guard bytes > encodedBytes else { return nil }
        return ValueProblem(
            "the app's description has \(bytes) bytes",
            "at most \(encodedBytes) are kept: put long values into files or into the image")
    }
}
