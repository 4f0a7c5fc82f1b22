import Contracts
import Glibc
import Hummingbird
import Logging
import MigratorCore
import NIOCore
import Runtime
import Synchronization
import Transport

/// The target's half of a handoff: takes an app's image, checkpoint and files, and restores it.
final class HandoffTarget: Sendable {
    let engine: DockerEngine
    let local: LocalOperations
    let transfers = IncomingTransfers()
    /// Bytes that must stay free on Docker's disk.
    let reserve: Int64
    private let stateDirectory: String
    private let known = Mutex<Set<HandoffKey>?>(nil)
    private let received = Mutex<[HandoffKey: [String: PartDigest]]>([:])
    private let log = Logger(label: "handoff")

    init(engine: DockerEngine, local: LocalOperations, reserve: Int64, stateDirectory: String) {
        self.engine = engine
        self.local = local
        self.reserve = reserve
        self.stateDirectory = stateDirectory
    }

    /// What of the offered image is here.
    func survey(_ offer: Offer) async throws -> OfferAnswer {
        try checkDisk()
        if try await engine.image(offer.imageID) != nil { return OfferAnswer(missingAfter: nil) }
        var known: [[String]] = []
        for summary in try await engine.get("/images/json?all=1", as: [DockerImageSummary].self) {
            if let layers = try await engine.image(summary.Id)?.RootFS.Layers { known.append(layers) }
        }
        return OfferAnswer(missingAfter: ImageLayers.shared(offer.layers, with: known))
    }

    func takeImage<Body: AsyncSequence & Sendable>(_ key: HandoffKey, _ body: Body) async throws -> PartDigest
    where Body.Element == ByteBuffer {
        let meter = PartMeter()
        let chunks = BodyChunks(base: body) { [self] in try checkDisk() }
        return try await transfers.write(key) { [engine] in
            do { try await engine.load(Metered(base: chunks, meter: meter)) } catch let problem as Problem {
                throw Problem(409, "refused", "the image could not be loaded: \(problem.detail)")
            }
            return meter.digest(of: "image")
        }
    }

    /// Makes the container that the app will be restored in.
    func makeContainer(_ specification: AppSpecification, _ key: HandoffKey, image: String) async throws {
        if let reason = try await conflict(specification) { throw Problem(409, "refused", reason) }
        try await transfers.write(key) { [self] in
            guard let found = try await engine.image(image) else {
                throw Problem(404, "unknown-handoff", "image \(image) has not arrived")
            }
            // By its name, where that means the very image; so people read it in `docker ps`.
            var named = try await engine.image(specification.image)
            if named == nil {
                try await tag(found.Id, specification.image)
                named = try await engine.image(specification.image)
            }
            let image = named?.Id == found.Id ? specification.image : found.Id
            do { _ = try await local.create(specification, key.incarnation, image: image) } catch let problem as Problem
            {
                throw Problem(409, "refused", "the container could not be made: \(problem.detail)")
            }
        }
    }

    /// So that the image is found by its name if the app is to be started anew here some day.
    private func tag(_ id: String, _ reference: String) async throws {
        guard !reference.contains("@") else { return }
        let last = reference.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
        var (name, tag) = (reference, "latest")
        if let colon = last.lastIndex(of: ":") {
            tag = String(last[last.index(after: colon)...])
            name = String(reference.dropLast(tag.count + 1))
        }
        try await engine.call(
            "POST", "/images/\(DockerEngine.escaped(id))/tag?repo=\(DockerEngine.escaped(name))&tag=\(tag)")
    }

    /// What here stands in the app's way: better known before the app is frozen than after.
    private func conflict(_ specification: AppSpecification) async throws -> String? {
        if let reason = local.forbidden(specification) { return reason }
        for port in specification.ports where Port.isTaken(port) {
            return "port \(port.published)/\(port.transport) is taken"
        }
        for volume in specification.volumes where volume.kind == .volume {
            let found: DockerVolume? = try await engine.find("/volumes/\(DockerEngine.escaped(volume.source))")
            guard let found, found.Labels?[ContainerNames.appLabel] != specification.name else { continue }
            return "volume \(volume.source) is here already and was not made by Poise for \(specification.name): "
                + "rename or remove it"
        }
        return nil
    }

    func takePart<Body: AsyncSequence & Sendable>(_ key: HandoffKey, _ part: String, _ body: Body) async throws
        -> PartDigest where Body.Element == ByteBuffer
    {
        try checkDisk()
        let meter = PartMeter()
        let digest = try await transfers.write(key) { [self] in
            let folder = try await folder(of: part, key)
            try Folder.make(folder)
            // A try that broke off may have left something.
            try Folder.empty(folder)
            let tar = try Tar.unpacking(into: folder)
            do {
                let chunks = BodyChunks(base: body) { [self] in try checkDisk() }
                for try await chunk in chunks {
                    meter.take(chunk)
                    try await tar.write(chunk)
                }
                try await tar.finish()
            } catch {
                tar.kill()
                throw error is TarFailure ? Problem(409, "refused", "\(part) could not be unpacked: \(error)") : error
            }
            return meter.digest(of: part)
        }
        received.withLock { $0[key, default: [:]][part] = digest }
        return digest
    }

    /// Where a part's files go on this device.
    private func folder(of part: String, _ key: HandoffKey) async throws -> String {
        let container = try await container(key)
        switch part {
        case "checkpoint": return local.checkpoints.folder(container.Id, "poise-\(key.incarnation)")
        case "layer":
            let upper = container.GraphDriver.Data?["UpperDir"] ?? ""
            guard upper.hasPrefix(local.checkpoints.dockerRoot + "/") else {
                throw Problem(
                    409, "refused",
                    "the container's layer (\(container.GraphDriver.Name)) isn't a folder in \(local.checkpoints.dockerRoot)"
                )
            }
            return upper
        default:
            let path = part.dropFirst("volume:".count)
            let mount = container.Mounts.first { $0.Type == "volume" && $0.Destination == path }
            guard part.hasPrefix("volume:"), let mount, mount.Source.hasPrefix(local.checkpoints.dockerRoot + "/")
            else {
                throw Problem(409, "refused", "the container has no volume at \(path) that files could be put into")
            }
            return mount.Source
        }
    }

    private func container(_ key: HandoffKey) async throws -> DockerContainer {
        let copy = try await local.copies(of: key.app).first { $0.incarnation == key.incarnation && !$0.isSetAside }
        guard let copy, let container = try await engine.container(copy.id) else {
            throw Problem(404, "unknown-handoff", "the container of \(key) has not been made")
        }
        // Files of a container that runs, or did, are its own.
        guard copy.state == .created else { throw Problem(409, "undecided", "\(key) has been started here") }
        return container
    }

    private func checkDisk() throws {
        let free = Folder.free(local.checkpoints.dockerRoot)
        guard free >= reserve else {
            throw Problem(
                507, "disk-full",
                "the target's disk is full: \(free / 1_048_576) MiB are free in \(local.checkpoints.dockerRoot), and "
                    + "\(reserve / 1_048_576) MiB must stay free (POISE_MINIMUM_FREE_MIB)")
        }
    }
}

/// The core's operations on what comes in.
extension HandoffTarget {
    func restore(_ entry: Incoming) async throws -> OperationOutcome {
        let key = entry.key
        let copy = try await local.copies(of: key.app).first { $0.incarnation == key.incarnation && !$0.isSetAside }
        guard let copy else { return .incomplete("the container of \(key) is gone") }
        switch copy.state {
        case .running, .frozen: return .done(OperationMeasures(parts: entry.digests))
        case .ended(let status): return .refused("it ended with status \(status) as soon as it was restored")
        case .created: break
        }
        await transfers.close(key)
        if let gap = try verify(entry) {
            transfers.reopen(key)
            return .incomplete(gap)
        }
        let checkpoint = "poise-\(key.incarnation)"
        do {
            try await engine.restore(copy.id, from: checkpoint, of: local.checkpoints)
        } catch let problem as Problem {
            return .refused("the restore failed: \(local.explained(problem))")
        }
        guard let state = try await engine.container(copy.id)?.State, state.Running else {
            return .refused("it ended as soon as it was restored")
        }
        return .done(OperationMeasures(parts: entry.digests))
    }

    /// Compares what arrived with what was sent. That it was right is remembered on disk, so that a migrator started
    /// anew does not have everything sent again while the engine is restoring.
    ///
    /// - Returns: what is missing or wrong.
    private func verify(_ entry: Incoming) throws -> String? {
        let mark = verifiedMark(entry.key)
        let wanted = try JSON.encode(entry.digests)
        if try mark.read() == wanted { return nil }
        let arrived = received.withLock { $0[entry.key] ?? [:] }
        guard entry.digests.contains(where: { $0.part == "checkpoint" }) else { return "there is no checkpoint" }
        for part in entry.digests {
            guard let found = arrived[part.part] else { return "\(part.part) has not arrived" }
            guard found == part else {
                return
                    "\(part.part) arrived damaged: \(found.bytes) bytes with digest \(found.digest.short), sent were "
                    + "\(part.bytes) bytes with digest \(part.digest.short)"
            }
        }
        try mark.write(wanted)
        return nil
    }

    private func verifiedMark(_ key: HandoffKey) -> DurableFile {
        DurableFile(path: "\(stateDirectory)/verified-\(key.app)-\(key.incarnation)")
    }

    func discard(_ key: HandoffKey) async throws -> OperationOutcome {
        await transfers.close(key)
        let copies = try await local.copies(of: key.app).filter { $0.incarnation == key.incarnation && !$0.isSetAside }
        for copy in copies { try await engine.remove(copy.id) }
        try await local.removeVolumes(of: key.app)
        unlink(verifiedMark(key).path)
        received.withLock { $0[key] = nil }
        return .done(OperationMeasures())
    }

    /// Leaves nothing of the handoffs that the journal no longer holds.
    func forget(except kept: Set<HandoffKey>) {
        guard
            known.withLock({ known in
                defer { known = kept }
                return known != kept
            })
        else { return }
        let marks = Set(kept.map { verifiedMark($0).path })
        for name in Folder.names(stateDirectory) where name.hasPrefix("verified-") {
            let path = "\(stateDirectory)/\(name)"
            if !marks.contains(path) { unlink(path) }
        }
        received.withLock { received in received = received.filter { kept.contains($0.key) } }
        transfers.forget(except: kept)
    }
}

/// A request's body in chunks, with a look at the disk every few megabytes.
struct BodyChunks<Base: AsyncSequence & Sendable>: AsyncSequence, Sendable where Base.Element == ByteBuffer {
    let base: Base
    let check: @Sendable () throws -> Void

    func makeAsyncIterator() -> Iterator { Iterator(base: base.makeAsyncIterator(), check: check) }

    struct Iterator: AsyncIteratorProtocol {
        static var interval: Int { 16 << 20 }
        var base: Base.AsyncIterator
        let check: @Sendable () throws -> Void
        var sinceCheck = 0

        mutating func next() async throws -> [UInt8]? {
            guard let buffer = try await base.next() else { return nil }
            sinceCheck += buffer.readableBytes
            if sinceCheck >= Self.interval {
                sinceCheck = 0
                try check()
            }
            return Array(buffer.readableBytesView)
        }
    }
}

enum Port {
    /// Whether someone listens there. The engine would say so only when the app is frozen already.
    static func isTaken(_ port: PortMapping) -> Bool {
        let isStream = port.transport == "tcp"
        let handle = socket(
            AF_INET, Int32((isStream ? SOCK_STREAM : SOCK_DGRAM).rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard handle >= 0 else { return false }
        defer { close(handle) }
        var yes: Int32 = 1
        // Without it the remains of closed connections would count as a listener.
        if isStream { setsockopt(handle, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size)) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.published.bigEndian
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(handle, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        return result != 0 && errno == EADDRINUSE
    }
}
