import Contracts
import GossipCore
import Runtime

/// What gossip counts.
struct GossipMetrics: Sendable {
    let metrics = Metrics()

    func count(_ what: GossipCounter, _ amount: Int) {
        let amount = Double(amount)
        switch what {
        case .received(let kind): messages(kind, "received").increment(by: amount)
        case .sent(let kind): messages(kind, "sent").increment(by: amount)
        case .published(let kind): messages(kind, "published").increment(by: amount)
        case .dropped(let reason):
            metrics.counter(
                "poise_gossip_dropped_total", help: "Messages that went no further, by reason.",
                labels: ["reason": reason.rawValue]
            ).increment(by: amount)
        case .asked: dynt("asked").increment(by: amount)
        case .needed: dynt("needed").increment(by: amount)
        case .signed(let purpose): signatures(purpose, "given").increment(by: amount)
        case .signingRefused(let purpose): signatures(purpose, "refused").increment(by: amount)
        case .drawn: draws("given").increment(by: amount)
        case .drawRefused: draws("refused").increment(by: amount)
        }
    }

    private func messages(_ kind: MessageKind, _ direction: String) -> Metrics.Counter {
        metrics.counter(
            "poise_gossip_messages_total", help: "Messages by kind and direction.",
            labels: ["kind": kind.name, "direction": direction])
    }

    private func dynt(_ what: String) -> Metrics.Counter {
        metrics.counter(
            "poise_gossip_dynt_total", help: "Signatures that peers were asked about, and those they needed.",
            labels: ["answer": what])
    }

    private func signatures(_ purpose: SigningRequest.Purpose, _ outcome: String) -> Metrics.Counter {
        metrics.counter(
            "poise_gossip_signatures_total", help: "Signatures for the chain.",
            labels: ["purpose": purpose.rawValue, "outcome": outcome])
    }

    private func draws(_ outcome: String) -> Metrics.Counter {
        metrics.counter("poise_gossip_draws_total", help: "Draws for the chain.", labels: ["outcome": outcome])
    }

    func connected(_ count: Int) {
        metrics.gauge("poise_gossip_peers_connected", help: "Peers that answer.").set(Double(count))
    }

    func pooled(_ count: Int) {
        metrics.gauge("poise_gossip_nodes_pooled", help: "Nodes with a report in the pool.").set(Double(count))
    }

    func readers(_ count: Int) {
        metrics.gauge("poise_gossip_feed_readers", help: "Local readers of the message feed.").set(Double(count))
    }
}
