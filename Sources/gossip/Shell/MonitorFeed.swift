import Contracts
import Runtime
import Transport

/// monitor → gossip: what this device and its apps use.
final class MonitorFeed: Sendable {
    private let reader: FeedReader<LoadMatrix>

    init(client: HTTPClient, runDirectory: String) {
        reader = FeedReader("monitor", client: client, socket: "\(runDirectory)/monitor.sock", path: { _ in "/load" })
    }

    var check: HealthCheck { reader.check }

    func follow(_ each: @Sendable (LoadMatrix) -> Void) async throws {
        try await reader.follow { each($0) }
    }
}
