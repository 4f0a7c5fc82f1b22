import Contracts

/// What a device's owner says of it to more than one service.
extension Settings {
    /// The setting `labels`: `floor=1,camera=`.
    public func labels(flag: String? = nil) throws -> [String: String] {
        try parsed("labels", flag: flag) { text in
            var labels: [String: String] = [:]
            for entry in Self.entries(of: text) {
                let parts = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                    .map { $0.trimmed }
                guard parts.count == 2, Facts.isValid(labelKey: parts[0]) else {
                    throw SettingError(
                        "\"\(entry.prefix(80))\" is no label: allowed is KEY=VALUE, where the key has \(Facts.labelKeyRule)"
                    )
                }
                guard parts[1].utf8.count <= Facts.labelValueLimit else {
                    throw SettingError(
                        "label \(parts[0]) is \"\(parts[1].prefix(40))…\": allowed are \(Facts.labelValueLimit) bytes at most"
                    )
                }
                guard labels.updateValue(parts[1], forKey: parts[0]) == nil else {
                    throw SettingError("label \(parts[0]) stands twice in \"\(text.prefix(200))\": keep one of them")
                }
            }
            guard labels.count <= Facts.labelLimit else {
                throw SettingError("\(labels.count) labels: at most \(Facts.labelLimit) are allowed")
            }
            return labels
        } ?? [:]
    }

    /// The setting `devices`, what apps may use of the device: `/dev/i2c-1,/dev/video0`.
    ///
    /// - Returns: the paths in ascending order, each once.
    public func devices(flag: String? = nil) throws -> [String] {
        try parsed("devices", flag: flag) { text in
            let paths = Set(Self.entries(of: text))
            for path in paths.sorted() where !DeviceMapping.isValid(source: path) {
                throw SettingError(
                    "\"\(path.prefix(80))\" is no device: allowed are absolute paths under /dev/ without `.` and `..`, of at "
                        + "most \(DeviceMapping.pathLimit) printable ASCII characters without blanks, colons and commas"
                )
            }
            guard paths.count <= Facts.deviceLimit else {
                throw SettingError("\(paths.count) devices: at most \(Facts.deviceLimit) are allowed")
            }
            return paths.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        } ?? []
    }

    private static func entries(of text: String) -> [String] {
        text.split(separator: ",").map { $0.trimmed }.filter { !$0.isEmpty }
    }
}
