import Contracts
import Logging
import MigratorCore
import Transport

/// The source's half of a handoff: ships an app to another device's migrator and asks it to restore it.
struct HandoffSource: Sendable {
    let engine: DockerEngine
    let client: HTTPClient
    let checkpoints: Checkpoints

    func prepare(_ entry: Outgoing, here: NodeID, peer: PlacedNode, remaining: Int64) async -> OperationOutcome {
        do {
            let target = try address(of: peer)
            return .done(OperationMeasures(imageBytes: try await open(entry, here, target, remaining)))
        } catch { return HandoffProblem.outcome(error) }
    }

    func ship(_ entry: Outgoing, here: NodeID, peer: PlacedNode, remaining: Int64) async -> OperationOutcome {
        do {
            let target = try address(of: peer)
            var imageBytes: Int64 = 0
            do {
                return .done(OperationMeasures(parts: try await shipParts(entry, target)))
            } catch let problem as Problem where problem.code == "unknown-handoff" {
                // The target was started anew before it had written the handoff down, or lost the container.
                imageBytes = try await open(entry, here, target, remaining)
                let parts = try await shipParts(entry, target)
                return .done(OperationMeasures(imageBytes: imageBytes, parts: parts))
            }
        } catch {
            let outcome = HandoffProblem.outcome(error)
            if case .incomplete(let reason) = outcome { return .delayed(reason) }
            return outcome
        }
    }

    func askRestore(_ entry: Outgoing, here: NodeID, peer: PlacedNode) async -> OperationOutcome {
        do {
            let target = try address(of: peer)
            let request = ClientRequest("POST", target, path(entry, "restore"), timeout: .seconds(200))
            try await client.send(request, json: RestoreWish(from: here, parts: entry.parts)).successful()
            return .done(OperationMeasures())
        } catch { return HandoffProblem.outcome(error) }
    }

    private func address(of peer: PlacedNode) throws -> Endpoint {
        guard let address = peer.migratorAddress else {
            throw Problem(503, "no-address", "\(peer.name) has not told its migrator's address yet")
        }
        return try Endpoint(parsing: address, defaultPort: MigratorSettings.defaultPort)
    }

    private func path(_ entry: Outgoing, _ rest: String) -> String {
        "/handoffs/\(entry.app)/\(entry.order.incarnation)/\(rest)"
    }

    /// Tells the target of the app, sends what it lacks of the image and has it make the container.
    ///
    /// - Returns: bytes sent of the image.
    private func open(_ entry: Outgoing, _ here: NodeID, _ target: Endpoint, _ remaining: Int64) async throws -> Int64 {
        guard let container = try await engine.container(entry.copy),
            let image = try await engine.image(container.Image)
        else { throw Problem(409, "refused", "the app's container or its image is gone at the source") }
        let layers = image.RootFS.Layers ?? []
        let offer = Offer(
            app: entry.app, incarnation: entry.order.incarnation, from: here, imageID: image.Id, layers: layers,
            remaining: remaining)
        let answer: OfferAnswer = try await client.send(
            ClientRequest("POST", target, "/handoffs", timeout: .seconds(30)), json: offer
        ).successful().decode()
        var sent: Int64 = 0
        if let count = answer.missingAfter {
            let meter = PartMeter()
            let known = ImageLayers.dispensable(layers, first: min(max(0, count), layers.count))
            let archive = ReducedArchive(base: try await engine.save(image.Id), known: known)
            let request = ClientRequest("PUT", target, path(entry, "image"), timeout: nil, stall: .seconds(120))
            try await client.upload(request, from: Metered(base: archive, meter: meter)).successful()
            sent = meter.bytes
        }
        let request = ClientRequest("POST", target, path(entry, "container"), timeout: .seconds(60))
        try await client.send(request, json: ContainerWish(from: here, imageID: image.Id)).successful()
        return sent
    }

    private func shipParts(_ entry: Outgoing, _ target: Endpoint) async throws -> [PartDigest] {
        guard let container = try await engine.container(entry.copy) else {
            throw Problem(409, "refused", "the app's container is gone at the source")
        }
        var folders = [("checkpoint", checkpoints.folder(container.Id, entry.checkpoint))]
        guard let upper = container.GraphDriver.Data?["UpperDir"] else {
            throw Problem(
                409, "refused",
                "Docker's storage driver here is \(container.GraphDriver.Name): apps are moved with overlay2 only")
        }
        folders.append(("layer", upper))
        for mount in container.Mounts.sorted(by: { $0.Destination < $1.Destination }) where mount.Type == "volume" {
            guard mount.Driver ?? "local" == "local" else {
                throw Problem(
                    409, "refused",
                    "the volume at \(mount.Destination) has the driver \(mount.Driver ?? "?"): only local is moved")
            }
            folders.append(("volume:\(mount.Destination)", mount.Source))
        }
        var parts: [PartDigest] = []
        for (part, folder) in folders { parts.append(try await ship(entry, part, folder, target)) }
        return parts
    }

    private func ship(_ entry: Outgoing, _ part: String, _ folder: String, _ target: Endpoint) async throws
        -> PartDigest
    {
        let meter = PartMeter()
        let path = path(entry, "parts?name=\(DockerEngine.escaped(part))")
        let request = ClientRequest("PUT", target, path, timeout: nil, stall: .seconds(60))
        do {
            try await client.upload(request, from: PackedFolder(folder: folder, meter: meter)).successful()
        } catch let failure as TarFailure {
            throw Problem(409, "refused", "\(part) could not be read: \(failure)")
        }
        return meter.digest(of: part)
    }
}
