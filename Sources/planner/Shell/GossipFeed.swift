import Contracts
import Runtime
import Transport

/// gossip → planner: the messages that the chain is made of.
final class GossipFeed: Sendable {
    static let kinds: [MessageKind] = [
        .report, .genesis, .status, .proposal, .vote, .blocks, .transaction, .snapshot,
    ]

    private let reader: FeedReader<FeedMessage>

    init(client: HTTPClient, runDirectory: String) {
        let kinds = Self.kinds.map(\.name).joined(separator: ",")
        reader = FeedReader(
            "gossip", client: client, socket: "\(runDirectory)/gossip.sock",
            path: { cursor in "/messages?kinds=\(kinds)" + (cursor.map { "&cursor=\($0)" } ?? "") },
            cursor: \.cursor)
    }

    var check: HealthCheck { reader.check }

    func follow(_ each: @Sendable (SignedMessage) async -> Void) async throws {
        try await reader.follow { await each($0.message) }
    }
}
