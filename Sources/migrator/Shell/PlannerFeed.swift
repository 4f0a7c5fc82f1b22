import Contracts
import Runtime
import Transport

/// planner → migrator: what committed blocks say should run where.
final class PlannerFeed: Sendable {
    private let reader: FeedReader<Placement>

    init(client: HTTPClient, runDirectory: String) {
        reader = FeedReader(
            "planner", client: client, socket: "\(runDirectory)/planner.sock", path: { _ in "/placement" })
    }

    var check: HealthCheck { reader.check }

    func follow(_ each: @Sendable (Placement) async throws -> Void) async throws {
        try await reader.follow { try await each($0) }
    }
}
