import Contracts
import Hummingbird
import Runtime

/// Monitor's own routes; openapi.yaml describes them.
func addRoutes(to router: ServiceRouter, of service: MonitorService) {
    router.get("load") { _, context in Response.ndjson(service.board.follow(), context: context) }
    router.get("load/latest") { _, _ in
        guard let matrix = service.board.latest else {
            let reason = await service.checks()["engine"]?.output ?? "the first sample is being taken"
            throw Problem(503, "no-sample", "there is no current sample: \(reason)")
        }
        return try Response.json(matrix)
    }
}
