import Contracts
import Runtime
import Transport

/// gossip → consensus: what the other nodes' elections say. Gossip has checked signatures and sequences.
final class GossipFeed: Sendable {
    private let reader: FeedReader<FeedMessage>

    init(client: HTTPClient, runDirectory: String) {
        reader = FeedReader(
            "gossip", client: client, socket: "\(runDirectory)/gossip.sock",
            path: { cursor in "/messages?kinds=election" + (cursor.map { "&cursor=\($0)" } ?? "") },
            cursor: { $0.cursor })
    }

    var check: HealthCheck { reader.check }

    func follow(_ each: @Sendable (SignedMessage) async throws -> Void) async throws {
        try await reader.follow { try await each($0.message) }
    }
}
