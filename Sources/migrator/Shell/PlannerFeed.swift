import Contracts
import Runtime
import Transport

/// planner → migrator: what committed blocks say should run where, and that they come.
final class PlannerFeed: Sendable {
    private let placements: FeedReader<Placement>
    private let commits: FeedReader<Commit>

    init(client: HTTPClient, runDirectory: String) {
        let socket = "\(runDirectory)/planner.sock"
        placements = FeedReader("planner", client: client, socket: socket, path: { _ in "/placement" })
        commits = FeedReader("planner's commits", client: client, socket: socket, path: { _ in "/commits" })
    }

    /// That of the feed that flows less well.
    var check: HealthCheck { placements.check.status == .pass ? commits.check : placements.check }

    func follow(_ each: @Sendable (Placement) async throws -> Void) async throws {
        try await placements.follow { try await each($0) }
    }

    func followCommits(_ each: @Sendable (Commit) async throws -> Void) async throws {
        try await commits.follow { try await each($0) }
    }
}
