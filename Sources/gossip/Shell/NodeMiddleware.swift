import Contracts
import HTTPTypes
import Hummingbird
import Runtime

/// Says on every answer over TCP which node gives it, and counts the requests that are refused.
struct NodeMiddleware: RouterMiddleware {
    let node: NodeID
    let metrics: GossipMetrics

    func handle(
        _ request: Request, context: ServiceContext, next: (Request, ServiceContext) async throws -> Response
    ) async throws -> Response {
        var response: Response
        do { response = try await next(request, context) } catch let problem as Problem {
            metrics.refused(problem.code)
            response = .problem(problem)
        }
        if let name = HTTPField.Name(PeerClient.nodeHeader) { response.headers[name] = node.description }
        return response
    }
}
