import Contracts
import Glibc
import PlannerCore

/// The checks of `GET /health`. A planner that waits for others warns; only one that can't do its work fails.
struct PlannerHealth: Sendable {
    /// Milliseconds without a block before the site is called silent: a leader that fails costs some seconds, and who is missing
    /// shows after five.
    private static let patience: Int64 = 8_000
    /// Bytes left on the chain's disk below which it warns.
    private static let scarce = 64 << 20

    let service: PlannerService

    func checks() async -> [String: HealthCheck] {
        var checks = [
            "gossip": service.gossipFeed.check, "consensus": service.consensusFeed.check, "storage": storage,
        ]
        guard let core = service.running else {
            checks["start"] = HealthCheck(.warn, service.waiting)
            return checks
        }
        let seen = await core.read { machine in
            (
                founding: machine.foundingStatus, agreement: machine.agreementStatus, state: machine.state,
                halted: machine.halted, joining: machine.joiningObstacle, rival: machine.rivalObstacle
            )
        }
        let isInvited = seen.joining != nil && seen.state == nil
        checks["genesis"] = isInvited ? HealthCheck(.warn, seen.joining) : genesis(seen.founding)
        if let state = seen.state {
            if seen.halted == nil { checks["quorum"] = quorum(seen.agreement, state) }
            checks["membership"] = membership(state, joining: seen.joining)
        }
        if let rival = seen.rival { checks["recovery"] = HealthCheck(.warn, rival) }
        if let halted = seen.halted {
            checks["chain"] = HealthCheck(.fail, "This node no longer votes or places: \(halted)")
        }
        return checks
    }

    private var storage: HealthCheck {
        var status = statvfs()
        guard statvfs(service.store.path, &status) == 0 else {
            return HealthCheck(.warn, "can't see how full the disk of \(service.store.path) is")
        }
        let free = Int(status.f_bavail) * Int(status.f_frsize)
        guard free >= Self.scarce else {
            return HealthCheck(
                .warn,
                "\(free >> 20) MiB are left on the disk of \(service.store.path): free some, or the chain stops here")
        }
        return HealthCheck(.pass)
    }

    private func genesis(_ founding: FoundingStatus) -> HealthCheck {
        guard let obstacle = founding.obstacle else {
            return HealthCheck(.pass, founding.genesis.map { "founded: \($0.short)" })
        }
        return HealthCheck(.warn, "the site is not founded yet: \(obstacle)")
    }

    private func quorum(_ agreement: AgreementStatus?, _ state: SiteState) -> HealthCheck {
        let silence = service.sinceCommit
        guard silence > max(Self.patience, 5 * state.parameters.blockInterval) else { return HealthCheck(.pass) }
        return HealthCheck(
            .warn,
            "no block for \(silence / 1_000) s. \(agreement?.standstill ?? "Agreement has not begun"). Until one comes nothing is "
                + "placed or moved, and apps stay where they are; then work resumes by itself. Should devices be lost for good, the "
                + "operator can go on without them: planner recover --help")
    }

    private func membership(_ state: SiteState, joining: String?) -> HealthCheck {
        let settings = service.settings
        guard let member = state.members.first(where: { $0.id == service.here }) else {
            if let joining { return HealthCheck(.warn, joining) }
            return HealthCheck(
                .warn,
                "this device's key is not among the site's members, so it only watches: it has left or was removed, or has another "
                    + "key than it had. To bring it in, \(PlannerMachine.wayBack)"
            )
        }
        if member.name != settings.name {
            return HealthCheck(.warn, "the site knows this device as \(member.name): set POISE_NAME=\(member.name)")
        }
        if state.parameters != settings.parameters {
            return HealthCheck(
                .pass,
                "the chain has other parameters than this device is set to; those of the chain hold (planner configure)"
            )
        }
        return HealthCheck(.pass)
    }
}
