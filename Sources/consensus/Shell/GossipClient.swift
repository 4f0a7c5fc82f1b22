import Contracts
import Logging
import Runtime
import Synchronization
import Transport

/// consensus → gossip: messages to be signed and sent, and the question which node this is.
///
/// Messages are sent one after the other beside the election, which never waits for gossip. What can't be sent soon
/// is given up: the election's own timers say it again, and an old heartbeat is worth nothing.
final class GossipClient: Sendable {
    private struct Waiting: Sendable {
        var publication: Publication
        var since: Int64
    }

    private static let limit = 256

    private let client: HTTPClient
    private let gossip: Endpoint
    private let metrics: ConsensusMetrics
    /// Milliseconds after which a message isn't worth sending any more.
    private let patience: Int64
    private let queue: AsyncStream<Waiting>
    private let input: AsyncStream<Waiting>.Continuation
    private let failing = Mutex<String?>(nil)
    private let log = Logger(label: "consensus")

    init(client: HTTPClient, runDirectory: String, metrics: ConsensusMetrics, patience: Int64) {
        self.client = client
        self.metrics = metrics
        self.patience = patience
        gossip = .unix("\(runDirectory)/gossip.sock")
        (queue, input) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(Self.limit))
    }

    /// Why the last message could not be sent; nil if it could.
    var failure: String? { failing.withLock { $0 } }

    func publish(_ publication: Publication) {
        if case .dropped = input.yield(Waiting(publication: publication, since: MonotonicClock.nowMilliseconds())) {
            metrics.publishFailed("overflow")
        }
    }

    /// Sends what there is to send, until the task is cancelled.
    func publishAll() async {
        for await waiting in queue {
            if MonotonicClock.nowMilliseconds() - waiting.since > patience {
                metrics.publishFailed("stale")
                continue
            }
            do {
                let request = ClientRequest("POST", gossip, "/messages", timeout: .milliseconds(patience))
                try await client.send(request, json: waiting.publication).successful()
                note(nil)
            } catch {
                metrics.publishFailed(error is Problem ? "refused" : "unreachable")
                note("\(error)")
            }
        }
    }

    /// Logs the first failure of a row and its end.
    private func note(_ reason: String?) {
        let before = failing.withLock { failing in
            defer { failing = reason }
            return failing
        }
        if let reason, before == nil { log.warning("gossip does not answer: \(reason)") }
        if reason == nil, before != nil { log.info("gossip answers again") }
    }

    /// This node's draw for `alpha`; nil if gossip doesn't give it in time.
    func draw(_ alpha: [UInt8]) async -> VRFProof? {
        do {
            let request = ClientRequest("POST", gossip, "/vrf", timeout: .milliseconds(patience))
            let response = try await client.send(request, json: DrawRequest(alpha: alpha)).successful()
            return try response.decode(DrawResponse.self).proof
        } catch {
            note("\(error)")
            return nil
        }
    }

    /// Asks until gossip answers which node this is.
    func node() async throws -> NodeID {
        struct Node: Decodable { var id: NodeID }
        var delay = Duration.milliseconds(50)
        while true {
            do {
                return try await client.send(ClientRequest("GET", gossip, "/node", timeout: .seconds(2)))
                    .successful().decode(Node.self).id
            } catch let error as CancellationError {
                throw error
            } catch {
                note("\(error)")
            }
            try await Task.sleep(for: delay)
            delay = min(delay * 2, .seconds(1))
        }
    }
}
