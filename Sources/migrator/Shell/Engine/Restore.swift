import Contracts
import Glibc
import Logging
import Runtime

extension DockerEngine {
    /// Starts a container from a checkpoint. What remains of the checkpoint afterwards is small.
    ///
    /// - Throws: `Problem` with the engine's words if it can't; the checkpoint is then whole.
    func restore(_ container: String, from checkpoint: String, of checkpoints: Checkpoints) async throws {
        try checkpoints.setPagesAside(container, checkpoint)
        do {
            try checkpoints.makeUnique(container, checkpoint)
            try await start(container, checkpoint: checkpoint)
        } catch {
            // An engine that doesn't follow links must not cost the app its memory: once more, the slow way.
            guard try checkpoints.putPagesBack(container, checkpoint), let problem = error as? Problem else {
                throw error
            }
            Logger(label: "docker").notice("restores \(container.prefix(12)) again, without links: \(problem.detail)")
            try checkpoints.makeUnique(container, checkpoint)
            try await start(container, checkpoint: checkpoint)
        }
        try checkpoints.removePages(container, checkpoint)
    }
}

extension Checkpoints {
    /// Deeper than any folder that the engine unpacks a checkpoint into: at the root, `..` is the root.
    private static let way = String(repeating: "../", count: 32)

    private func asideFolder(_ container: String, _ checkpoint: String) -> String {
        "\(dockerRoot)/containers/\(container)/pages-of-\(checkpoint)"
    }

    /// Puts the app's memory pages beside the checkpoint and links to them in their place. Safe to repeat.
    ///
    /// The engine packs a checkpoint's folder into its store and unpacks it elsewhere for CRIU, which for the pages
    /// takes several times as long as restoring them. A link is copied as a link, and CRIU follows it; only a relative
    /// one, as it looks from a mount tree with another root.
    func setPagesAside(_ container: String, _ checkpoint: String) throws {
        let folder = folder(container, checkpoint)
        let aside = asideFolder(container, checkpoint)
        for name in Folder.names(folder) where name.hasPrefix("pages-") && !isLink("\(folder)/\(name)") {
            try Folder.make(aside)
            try move("\(folder)/\(name)", to: "\(aside)/\(name)")
            if symlink("\(Self.way)\(aside.dropFirst())/\(name)", "\(folder)/\(name)") != 0 {
                throw FileError("link", "\(folder)/\(name)")
            }
        }
    }

    /// Undoes ``setPagesAside(_:_:)``, also one that was broken off.
    ///
    /// - Returns: whether there was something to put back.
    @discardableResult
    func putPagesBack(_ container: String, _ checkpoint: String) throws -> Bool {
        let folder = folder(container, checkpoint)
        let aside = asideFolder(container, checkpoint)
        let names = Folder.names(aside)
        for name in names { try move("\(aside)/\(name)", to: "\(folder)/\(name)") }
        return !names.isEmpty
    }

    /// Frees their disk space, which on a small device is missed.
    func removePages(_ container: String, _ checkpoint: String) throws {
        let aside = asideFolder(container, checkpoint)
        try Folder.empty(aside)
        if rmdir(aside) != 0, errno != ENOENT { throw FileError("remove", aside) }
    }

    private func isLink(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
    }

    private func move(_ source: String, to target: String) throws {
        if rename(source, target) != 0 { throw FileError("move", source) }
    }
}
