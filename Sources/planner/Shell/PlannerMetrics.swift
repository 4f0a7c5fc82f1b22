import Contracts
import PlannerCore
import Runtime

/// The planner's figures for `GET /metrics`.
final class PlannerMetrics: Sendable {
    let registry = Metrics()

    private let height: Metrics.Gauge
    private let round: Metrics.Gauge
    private let commitLatency: Metrics.Gauge
    private let pool: Metrics.Gauge
    private let moves: Metrics.Gauge
    private let storeBytes: Metrics.Gauge
    private let phases: [AppPhase: Metrics.Gauge]
    private let commits: Metrics.Counter

    init() {
        height = registry.gauge("poise_planner_height", help: "The last committed height.")
        round = registry.gauge("poise_planner_round", help: "The running round of the next height.")
        commitLatency = registry.gauge(
            "poise_planner_commit_latency_seconds",
            help: "From the beginning of agreement on the last height to its commit.")
        pool = registry.gauge("poise_planner_pool_transactions", help: "Transactions that wait for a block.")
        moves = registry.gauge("poise_planner_moves_in_flight", help: "Moves that no receipt or deadline has ended.")
        storeBytes = registry.gauge("poise_planner_store_bytes", help: "Size of the chain on disk.")
        commits = registry.counter("poise_planner_commits_total", help: "Blocks committed since the start.")
        var phases: [AppPhase: Metrics.Gauge] = [:]
        for phase in AppPhase.allCases {
            phases[phase] = registry.gauge(
                "poise_planner_apps", help: "Apps by phase.", labels: ["phase": phase.rawValue])
        }
        self.phases = phases
    }

    func entered(round: UInt32) { self.round.set(Double(round)) }

    func committed(height: UInt64, latency: Duration?) {
        self.height.set(Double(height))
        commits.increment()
        if let latency { commitLatency.set(latency / .seconds(1)) }
    }

    func stored(bytes: Int) { storeBytes.set(Double(bytes)) }

    /// Something that came in and was refused.
    func refused(_ reason: String) {
        registry.counter(
            "poise_planner_refused_total", help: "Messages, blocks and requests refused, by reason.",
            labels: ["reason": reason]
        ).increment()
    }

    /// Something meant for gossip or consensus that could not be handed over in time.
    func dropped(_ what: String) {
        registry.counter(
            "poise_planner_dropped_total", help: "Requests to gossip and consensus given up, by kind.",
            labels: ["kind": what]
        ).increment()
    }

    func show(_ state: SiteState, pool: Int) {
        height.set(Double(state.height))
        self.pool.set(Double(pool))
        var counts: [AppPhase: Int] = [:]
        for app in state.apps.values { counts[app.phase, default: 0] += 1 }
        for (phase, gauge) in phases { gauge.set(Double(counts[phase] ?? 0)) }
        moves.set(Double(counts[.moving] ?? 0))
    }
}
