import ConsensusCore
import Contracts
import Hummingbird
import Runtime

/// The routes of `openapi.yaml`, beside those that every service has.
struct ConsensusRoutes {
    /// Bytes: a thousand members of 64 hex digits, and room.
    private static let headLimit = 128 << 10
    private static let blameLimit = 4 << 10

    let participant: Participant
    let metrics: ConsensusMetrics

    func add(to router: ServiceRouter) {
        router.put("head") { [self] request, _ -> Response in
            let head = try await json(SiteHead.self, of: request, limit: Self.headLimit)
            if let flaw = head.flaw {
                metrics.refused("invalid-head")
                throw Problem(400, "invalid-head", flaw)
            }
            participant.take(head)
            return .empty()
        }
        router.post("blame") { [self] request, _ -> Response in
            participant.take(try await json(Blame.self, of: request, limit: Self.blameLimit))
            return .empty()
        }
        router.get("leadership") { [participant] _, context -> Response in
            .ndjson(participant.leaderships(), context: context)
        }
        router.get("leadership/latest") { [participant] _, _ -> Response in
            guard let leadership = participant.leadership else {
                throw Problem(
                    503, "waiting-for-gossip",
                    "gossip has not said yet which node this is; see `gossip health`, then ask again")
            }
            return try .json(leadership)
        }
    }

    private func json<T: Decodable>(_ type: T.Type, of request: Request, limit: Int) async throws -> T {
        do { return try await request.json(type, limit: limit) } catch let problem as Problem {
            metrics.refused(problem.code)
            throw problem
        }
    }
}
