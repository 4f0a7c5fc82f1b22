import Contracts
import Logging
import MigratorCore
import Runtime
import Transport

/// The core's operations on this device's engine. Each looks first at what is there and does what is missing.
struct LocalOperations: Sendable {
    let engine: DockerEngine
    let checkpoints: Checkpoints
    let images: ImageSource
    let site: String
    /// What apps may use of this device.
    let devices: [String]
    /// How long a frozen app is waited for where a migrator that died had asked for its checkpoint.
    static let checkpointPatience = Duration.seconds(15)

    /// The copies of an app, or of all.
    func copies(of app: String? = nil) async throws -> [Copy] {
        let label = ContainerNames.appLabel + (app.map { "=\($0)" } ?? "")
        let found = try await engine.containers(labels: [label, "\(ContainerNames.siteLabel)=\(site)"])
        return found.compactMap(Copy.init)
    }

    func start(_ placed: PlacedApp, peers: [PlacedNode]) async throws -> OperationOutcome {
        let specification = placed.specification
        let copy = try await copies(of: specification.name).first {
            !$0.isSetAside && $0.incarnation == placed.incarnation
        }
        if copy?.state == .running { return .done(OperationMeasures()) }
        // Before an image is fetched for nothing.
        if let reason = forbidden(specification) { return .refused(reason) }
        if let reason = try await images.provide(specification.image, peers: peers) { return .refused(reason) }
        var id = copy?.id ?? ""
        do {
            if copy == nil { id = try await create(specification, placed.incarnation) }
            try await engine.start(id)
            return .done(OperationMeasures())
        } catch let problem as Problem {
            // What can't be started is not left lying about: the next try may be on another device.
            if !id.isEmpty { try await engine.remove(id) }
            return .refused(problem.detail)
        }
    }

    /// Why this device's owner doesn't let it run the app, whatever the chain was told of the device; nil if it may.
    func forbidden(_ specification: AppSpecification) -> String? {
        let lacking = specification.devices.first { !devices.contains($0.source) }
        return lacking.map { "this device doesn't let apps use \($0.source): POISE_DEVICES doesn't name it" }
    }

    /// Makes an app's container, or finds it made.
    ///
    /// - Returns: its ID.
    func create(_ specification: AppSpecification, _ incarnation: UInt64, image: String? = nil) async throws -> String {
        if let reason = forbidden(specification) { throw Problem(409, "refused", reason) }
        let blueprint = DockerBlueprint(specification, incarnation: incarnation, site: site, image: image)
        let name = ContainerNames.placed(specification.name)
        let made = try await engine.call("POST", "/containers/create?name=\(name)", body: blueprint, accepting: [409])
        if made.status != 409 { return try made.decode(DockerCreated.self).Id }
        let there = try await copies(of: specification.name).first { !$0.isSetAside && $0.incarnation == incarnation }
        if let there { return there.id }
        throw Problem(409, "name-taken", "a container named \(name) is here that isn't this app's: remove or rename it")
    }

    func restart(_ id: String) async throws -> OperationOutcome {
        try await engine.start(id)
        return .done(OperationMeasures())
    }

    func freeze(_ id: String) async throws -> OperationOutcome {
        // 409: it is frozen, or has ended. Either way it doesn't run.
        try await engine.call("POST", "/containers/\(id)/pause", accepting: [404, 409])
        return .done(OperationMeasures())
    }

    func thaw(_ id: String) async throws -> OperationOutcome {
        try await engine.call("POST", "/containers/\(id)/unpause", accepting: [404, 409])
        return .done(OperationMeasures())
    }

    func setAside(_ copy: Copy, ended: Bool) async throws -> OperationOutcome {
        switch copy.state {
        case .running where ended, .frozen where ended: try await engine.stop(copy.id, grace: 5)
        case .running: _ = try await freeze(copy.id)
        case .created, .frozen, .ended: break
        }
        if copy.isSetAside { return .done(OperationMeasures()) }
        let name = ContainerNames.setAside(copy.app, copy.incarnation)
        let path = "/containers/\(copy.id)/rename?name="
        let answer = try await engine.call("POST", path + name, accepting: [404, 409])
        if answer.status == 409 {
            try await engine.call("POST", path + "\(name)-\(copy.id.prefix(8))", accepting: [404])
        }
        return .done(OperationMeasures())
    }

    func remove(_ app: String, _ ids: [String], grace: Int, volumes: Bool) async throws -> OperationOutcome {
        for id in ids {
            if grace > 0 { try await engine.stop(id, grace: grace) }
            try await engine.remove(id)
        }
        if volumes { try await removeVolumes(of: app) }
        return .done(OperationMeasures())
    }

    /// Those that were made for the app by Poise. One that another container uses stays.
    func removeVolumes(of app: String) async throws {
        let labels = ["\(ContainerNames.appLabel)=\(app)", "\(ContainerNames.siteLabel)=\(site)"]
        for volume in try await engine.volumes(labels: labels) {
            try await engine.call("DELETE", "/volumes/\(DockerEngine.escaped(volume.Name))", accepting: [404, 409])
        }
    }
}

/// Checkpoint and resume: the source's half of a move.
extension LocalOperations {
    func checkpoint(_ entry: Outgoing) async throws -> OperationOutcome {
        let name = entry.checkpoint
        guard let container = try await engine.container(entry.copy) else { return .lost("its container is gone") }
        if container.State.Paused { return .refused("the app is paused") }
        if container.State.Running, !checkpoints.exists(entry.copy, name) { return try await dump(entry) }
        // An earlier migrator asked for it. The engine goes on with it by itself.
        if try await waitForCheckpoint(entry) { return .done(OperationMeasures()) }
        guard try await engine.container(entry.copy)?.State.Running == true else {
            return .lost("the app ended and left no complete checkpoint")
        }
        try await removeCheckpoint(entry)
        return try await dump(entry)
    }

    private func dump(_ entry: Outgoing) async throws -> OperationOutcome {
        struct Wish: Encodable, Sendable {
            var CheckpointID: String
            var Exit = true
        }
        do {
            try await engine.call(
                "POST", "/containers/\(entry.copy)/checkpoints", body: Wish(CheckpointID: entry.checkpoint),
                timeout: .seconds(300))
            return .done(OperationMeasures())
        } catch let problem as Problem {
            guard try await engine.container(entry.copy)?.State.Running == true else {
                if try await waitForCheckpoint(entry) { return .done(OperationMeasures()) }
                return .lost(explained(problem))
            }
            try await removeCheckpoint(entry)
            return .refused("it can't be checkpointed: \(explained(problem))")
        }
    }

    /// Until it is complete, or no more is written.
    ///
    /// - Returns: whether it is complete and the app has ended.
    private func waitForCheckpoint(_ entry: Outgoing) async throws -> Bool {
        var size: Int64 = -1
        var quiet = ContinuousClock.now
        while ContinuousClock.now - quiet < Self.checkpointPatience {
            let container = try await engine.container(entry.copy)
            if container?.State.Running == false, checkpoints.isComplete(entry.copy, entry.checkpoint) {
                // The last file is written; its bytes are few.
                try await Task.sleep(for: .milliseconds(300))
                return true
            }
            let now = checkpoints.size(entry.copy, entry.checkpoint)
            if now != size {
                size = now
                quiet = .now
            }
            try await Task.sleep(for: .milliseconds(100))
        }
        return false
    }

    private func removeCheckpoint(_ entry: Outgoing) async throws {
        // 500: there is none.
        try await engine.call(
            "DELETE", "/containers/\(entry.copy)/checkpoints/\(entry.checkpoint)", accepting: [404, 500])
    }

    func resume(_ entry: Outgoing, fromCheckpoint: Bool) async throws -> OperationOutcome {
        guard let container = try await engine.container(entry.copy) else { return .refused("its container is gone") }
        if container.State.Paused { return try await thaw(entry.copy) }
        if container.State.Running { return .done(OperationMeasures()) }
        do {
            guard fromCheckpoint else {
                try await engine.start(entry.copy)
                return .done(OperationMeasures(remark: "its memory is lost: the app was started anew"))
            }
            try await engine.restore(entry.copy, from: entry.checkpoint, of: checkpoints)
            try await removeCheckpoint(entry)
            return .done(OperationMeasures())
        } catch let problem as Problem {
            return .refused(explained(problem))
        }
    }

    /// Docker's words, with CRIU's where they can be had.
    func explained(_ problem: Problem) -> String {
        let line = problem.detail.split(separator: "\n").first.map(String.init) ?? problem.detail
        return checkpoints.failure.map { "\(line) (CRIU: \($0))" } ?? line
    }
}

extension Copy {
    /// nil where the container isn't Poise's, though it carries a label of it, or is being removed.
    init?(_ container: DockerContainerSummary) {
        guard let app = container.Labels[ContainerNames.appLabel], AppSpecification.isValid(name: app),
            let incarnation = container.Labels[ContainerNames.incarnationLabel].flatMap(UInt64.init)
        else { return nil }
        let state: State
        switch container.State {
        case "created": state = .created
        case "running", "restarting": state = .running
        case "paused": state = .frozen
        case "removing": return nil
        default:
            // "Exited (137) 5 seconds ago"
            let status = container.Status.split(separator: "(").dropFirst().first?.split(separator: ")").first
            state = .ended(status.flatMap { Int($0) } ?? 255)
        }
        let isSetAside = container.Names.contains { $0.hasPrefix("/" + ContainerNames.asidePrefix) }
        // A container that was made before there was this label has none.
        let isolated = container.Labels[ContainerNames.isolatedLabel].flatMap(IsolationPolicy.init) ?? .run
        self.init(
            id: container.Id, app: app, incarnation: incarnation, isSetAside: isSetAside, state: state,
            isolated: isolated)
    }
}
