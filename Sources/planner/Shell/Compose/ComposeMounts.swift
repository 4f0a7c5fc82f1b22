import Contracts

/// Volumes, bind mounts and temporary file systems.
enum ComposeMounts {
    /// The short form: `data:/var/lib/data`, `/etc/localtime:/etc/localtime:ro`.
    static func parse(_ text: String) throws(ValueProblem) -> VolumeMount {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        if parts.count == 1 {
            throw ValueProblem(
                "volume `\(text)` has no name",
                "a volume without a name can't follow its app: write `some-name:\(text)`")
        }
        var readOnly = false
        if parts.count == 3 {
            for option in parts[2].split(separator: ",", omittingEmptySubsequences: false) {
                guard ["ro", "rw"].contains(option) else {
                    throw ValueProblem("volume `\(text)` has the option `\(option)`", "allowed are ro and rw")
                }
                readOnly = option == "ro"
            }
        }
        guard parts.count <= 3 else {
            throw ValueProblem("`\(text)` is no volume", "write NAME:PATH or NAME:PATH:ro")
        }
        let isPath = parts[0].contains("/") || parts[0].hasPrefix(".") || parts[0].hasPrefix("~")
        return try mount(isPath ? .bind : .volume, source: parts[0], target: parts[1], readOnly: readOnly)
    }

    /// Checks a mount's two ends.
    static func mount(
        _ kind: VolumeMount.Kind, source: String, target: String, readOnly: Bool
    ) throws(ValueProblem) -> VolumeMount {
        switch kind {
        case .volume:
            guard isName(source) else {
                throw ValueProblem(
                    "volume name `\(source)` is not allowed",
                    "use 1 to 200 letters, digits, `-`, `_` and `.`, a letter or digit first")
            }
        case .bind:
            guard isPath(source) else {
                throw ValueProblem(
                    "bind mount of `\(source)` is no absolute path",
                    "devices have no folder in common with this file: name a path that every device has, or use a named volume"
                )
            }
        case .tmpfs:
            guard source.isEmpty else {
                throw ValueProblem("tmpfs has the source `\(source)`", "a tmpfs has only a target; remove `source`")
            }
        }
        guard isPath(target), target != "/" else {
            throw ValueProblem(
                "mount target `\(target)` is no path in the container", "write an absolute path without `..`, as /data")
        }
        return VolumeMount(kind: kind, source: source, target: target, readOnly: readOnly)
    }

    static func isName(_ text: String) -> Bool {
        let utf8 = Array(text.utf8)
        guard (1...200).contains(utf8.count) else { return false }
        func isPlain(_ byte: UInt8) -> Bool {
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
        }
        return isPlain(utf8[0]) && utf8.allSatisfy { isPlain($0) || [0x2D, 0x2E, 0x5F].contains($0) }
    }

    static func isPath(_ text: String) -> Bool {
        text.hasPrefix("/") && text.utf8.count <= AppSpecification.textLimit
            && !text.split(separator: "/").contains { $0 == ".." || $0 == "." }
    }
}
