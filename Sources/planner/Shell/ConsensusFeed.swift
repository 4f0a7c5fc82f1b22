import Contracts
import Runtime
import Transport

/// consensus → planner: who leads.
final class ConsensusFeed: Sendable {
    private let reader: FeedReader<Leadership>

    init(client: HTTPClient, runDirectory: String) {
        reader = FeedReader(
            "consensus", client: client, socket: "\(runDirectory)/consensus.sock", path: { _ in "/leadership" })
    }

    var check: HealthCheck { reader.check }

    /// - Parameter connected: called at each connection, before its first line.
    func follow(connected: @Sendable () -> Void, _ each: @Sendable (Leadership) -> Void) async throws {
        try await reader.follow(connected: { connected() }, each: { each($0) })
    }
}
