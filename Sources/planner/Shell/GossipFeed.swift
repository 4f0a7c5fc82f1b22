import Contracts
import Runtime
import Synchronization
import Transport

/// gossip → planner: the messages that the chain is made of, and when each node was last heard.
final class GossipFeed: Sendable {
    static let kinds: [MessageKind] = [.report, .genesis, .status, .proposal, .vote, .blocks, .transaction]

    private let reader: FeedReader<FeedMessage>
    private let heard = Mutex<[NodeID: Int64]>([:])

    init(client: HTTPClient, runDirectory: String) {
        let kinds = Self.kinds.map(\.name).joined(separator: ",")
        reader = FeedReader(
            "gossip", client: client, socket: "\(runDirectory)/gossip.sock",
            path: { cursor in "/messages?kinds=\(kinds)" + (cursor.map { "&cursor=\($0)" } ?? "") },
            cursor: \.cursor)
    }

    var check: HealthCheck { reader.check }

    /// Milliseconds since a message of `node` arrived; nil if none has.
    func silence(of node: NodeID) -> Int64? {
        heard.withLock { $0[node] }.map { max(0, MonotonicClock.nowMilliseconds() - $0) }
    }

    func follow(_ each: @Sendable (SignedMessage) async -> Void) async throws {
        try await reader.follow { line in
            self.heard.withLock { heard in
                // Bounded: who isn't a member can't fill it.
                if heard[line.message.sender] != nil || heard.count < Genesis.memberLimit {
                    heard[line.message.sender] = MonotonicClock.nowMilliseconds()
                }
            }
            await each(line.message)
        }
    }
}
