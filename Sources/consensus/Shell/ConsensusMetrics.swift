import ConsensusCore
import Contracts
import Runtime

/// What consensus counts.
struct ConsensusMetrics: Sendable {
    let metrics = Metrics()

    func count(_ count: ElectionCount) {
        switch count {
        case .sent(let type): message("sent", type)
        case .received(let type): message("received", type)
        case .refused(let reason): refused(reason)
        case .stood: counter("elections_total", "Elections that this node stood for.").increment()
        case .disowned:
            counter("disowned_total", "Leaders that this node stopped acknowledging because its planner blamed them.")
                .increment()
        }
    }

    func refused(_ reason: String) {
        metrics.counter(
            "poise_consensus_refused_total", help: "Messages and requests that were refused.",
            labels: ["reason": reason]
        ).increment()
    }

    func publishFailed(_ reason: String) {
        metrics.counter(
            "poise_consensus_publish_failures_total", help: "Messages that gossip did not take.",
            labels: ["reason": reason]
        ).increment()
    }

    func storeCall(_ call: String, outcome: String) {
        metrics.counter(
            "poise_consensus_store_calls_total", help: "Calls to the site's etcd.",
            labels: ["call": call, "outcome": outcome]
        ).increment()
    }

    func show(_ leadership: Leadership, own: NodeID) {
        metrics.gauge("poise_consensus_term", help: "The newest term that this node knows of.")
            .set(Double(leadership.term))
        metrics.gauge("poise_consensus_is_leader", help: "1 while this node leads, else 0.")
            .set(leadership.leader == own ? 1 : 0)
        metrics.gauge("poise_consensus_has_leader", help: "1 while this node acknowledges a leader, else 0.")
            .set(leadership.leader == nil ? 0 : 1)
    }

    private func message(_ direction: String, _ type: String) {
        metrics.counter(
            "poise_consensus_messages_total", help: "Messages of the election.",
            labels: ["direction": direction, "type": type]
        ).increment()
    }

    private func counter(_ name: String, _ help: String) -> Metrics.Counter {
        metrics.counter("poise_consensus_\(name)", help: help)
    }
}
