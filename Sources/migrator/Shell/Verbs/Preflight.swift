import Contracts
import Glibc
import MigratorCore
import Runtime
import Transport

/// One thing that moving apps needs.
struct PreflightCheck: Codable, Sendable {
    var name: String
    var ok: Bool
    /// What was found.
    var found: String
    /// What to do where it isn't as it should be; empty where it is.
    var advice: String
}

/// Looks whether this device can start and move apps, and says what to do where it can't.
struct Preflight: Sendable {
    /// What to run, checkpoint and restore as a trial.
    struct Probe: Sendable {
        /// nil for the image of the migrator's own container.
        var image: String?
        var command: [String]
    }

    static let ownContainer = "poise-migrator"

    let engine: DockerEngine
    let settings: MigratorSettings
    let probe: Probe?

    func run() async -> [PreflightCheck] {
        var checks = [tar, disk]
        do {
            let version: DockerVersion = try await engine.get("/version")
            let info = try await engine.info()
            checks.insert(contentsOf: docker(version, info), at: 0)
            if let probe { checks.append(await tryOut(probe)) }
        } catch {
            checks.insert(
                PreflightCheck(
                    name: "docker", ok: false, found: "\(error)",
                    advice: "start Docker, and give this program its socket (POISE_DOCKER_SOCKET=\(engine.socket))"),
                at: 0)
        }
        return checks
    }

    private func docker(_ version: DockerVersion, _ info: DockerInfo) -> [PreflightCheck] {
        let root = settings.dockerRoot
        let hasRoot = access("\(root)/containers", R_OK | W_OK) == 0
        let major = Int(version.Version.split(separator: ".").first ?? "") ?? 0
        return [
            PreflightCheck(
                name: "docker", ok: major >= 20, found: "Docker \(version.Version), API \(version.ApiVersion)",
                advice: major >= 20 ? "" : "install Docker 20.10 or newer; 26 is what Poise is tested with"),
            PreflightCheck(
                name: "experimental", ok: info.ExperimentalBuild,
                found: info.ExperimentalBuild ? "checkpoints are enabled" : "checkpoints are disabled",
                advice: info.ExperimentalBuild
                    ? "" : #"put "experimental": true into /etc/docker/daemon.json and restart Docker"#),
            PreflightCheck(
                name: "storage-driver", ok: info.Driver == "overlay2", found: info.Driver,
                advice: info.Driver == "overlay2"
                    ? "" : #"put "storage-driver": "overlay2" into /etc/docker/daemon.json and restart Docker"#),
            PreflightCheck(
                name: "data-root", ok: hasRoot && info.DockerRootDir == root,
                found: info.DockerRootDir != root
                    ? "Docker's is \(info.DockerRootDir), this program's setting is \(root)"
                    : hasRoot ? "\(root) can be written" : "\(root)/containers can't be written from here",
                advice: hasRoot && info.DockerRootDir == root
                    ? ""
                    : "mount \(info.DockerRootDir) under this very path and set POISE_DOCKER_ROOT=\(info.DockerRootDir)"
            ),
        ]
    }

    private var tar: PreflightCheck {
        let ok = access(Tar.program, X_OK) == 0
        return PreflightCheck(
            name: "tar", ok: ok, found: ok ? Tar.program : "there is no \(Tar.program)",
            advice: ok ? "" : "install GNU tar: apt-get install tar")
    }

    private var disk: PreflightCheck {
        let free = Folder.free(settings.dockerRoot)
        let ok = free >= settings.reserve
        return PreflightCheck(
            name: "disk", ok: ok, found: "\(free >> 20) MiB are free in \(settings.dockerRoot)",
            advice: ok
                ? ""
                : "free some, or lower POISE_MINIMUM_FREE_MIB (\(settings.reserve >> 20)); no app comes in until then")
    }

    /// The only proof that CRIU works here: freeze a container and bring it back.
    private func tryOut(_ probe: Probe) async -> PreflightCheck {
        func failed(_ found: String, _ advice: String) -> PreflightCheck {
            PreflightCheck(name: "checkpoint", ok: false, found: found, advice: advice)
        }
        var id: String?
        var check: PreflightCheck
        do {
            var image = probe.image
            if image == nil { image = try await engine.container(Self.ownContainer)?.Image }
            guard let image else {
                return failed(
                    "there is no container \(Self.ownContainer) whose image could be tried",
                    "name an image that is here: migrator preflight --image IMAGE COMMAND…")
            }
            let made = try await make(image, probe.command)
            id = made
            check = try await checkpointAndRestore(made)
        } catch {
            check = failed("\(error)", "see Docker's log: journalctl -u docker")
        }
        if let id {
            do { try await engine.remove(id) } catch {
                check.found += "; the trial's container \(id) could not be removed"
            }
        }
        return check
    }

    private func make(_ image: String, _ command: [String]) async throws -> String {
        struct Host: Encodable, Sendable { var NetworkMode = "none" }
        struct Trial: Encodable, Sendable {
            var Image: String
            var Cmd: [String]
            var HostConfig = Host()
        }
        let made = try await engine.call("POST", "/containers/create", body: Trial(Image: image, Cmd: command))
        let id = try made.decode(DockerCreated.self).Id
        try await engine.start(id)
        return id
    }

    private func checkpointAndRestore(_ id: String) async throws -> PreflightCheck {
        struct Wish: Encodable, Sendable {
            var CheckpointID = "trial"
            var Exit = true
        }
        let checkpoints = Checkpoints(dockerRoot: settings.dockerRoot)
        let began = MonotonicClock.nowMilliseconds()
        do {
            try await engine.call("POST", "/containers/\(id)/checkpoints", body: Wish(), timeout: .seconds(60))
        } catch let problem as Problem {
            return PreflightCheck(
                name: "checkpoint", ok: false, found: "the checkpoint failed: \(problem.detail)",
                advice: "is CRIU installed on the device, 4.2 or newer? See what it lacks: criu check --all")
        }
        do {
            try await engine.restore(id, from: "trial", of: checkpoints)
        } catch let problem as Problem {
            return PreflightCheck(
                name: "checkpoint", ok: false,
                found: "the restore failed: \(problem.detail)" + (checkpoints.failure.map { " (CRIU: \($0))" } ?? ""),
                advice:
                    "write log-file=\(settings.dockerRoot)/criu.log into /etc/criu/runc.conf and try again: then CRIU's reason is shown"
            )
        }
        let isRunning = try await engine.container(id)?.State.Running == true
        let time = MonotonicClock.nowMilliseconds() - began
        return PreflightCheck(
            name: "checkpoint", ok: isRunning,
            found: isRunning
                ? "a container was frozen, written down and brought back in \(time) ms"
                : "the restored container ended",
            advice: isRunning ? "" : "run criu check --all on the device")
    }
}
