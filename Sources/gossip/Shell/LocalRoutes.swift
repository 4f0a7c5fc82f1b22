import Contracts
import GossipCore
import Hummingbird
import Runtime

/// What the device's own services ask on the Unix socket.
struct LocalRoutes {
    /// Bytes of JSON: the largest payload in base 64, and room.
    private static let publicationLimit = 2 << 20
    /// Bytes of JSON: the longest input of a draw in base 64, and room.
    private static let drawLimit = 4 << 10

    let service: GossipService

    func add(to router: ServiceRouter) {
        router.get("node") { [service] _, _ -> Response in try .json(await service.view { machine, _ in machine.info })
        }
        router.get("peers") { [service] _, _ -> Response in try .json(await service.view { $0.peerStates(now: $1) }) }
        router.get("scores") { [service] _, _ -> Response in try .json(await service.view { $0.scores(now: $1) }) }
        router.post("messages") { [service] request, _ -> Response in
            let publication = try await request.json(Publication.self, limit: Self.publicationLimit)
            guard case .published(let message) = try await service.answer({ .publish($0, publication) }) else {
                throw Self.unexpected
            }
            return try .json(message)
        }
        router.post("sign") { [service] request, _ -> Response in
            let what = try await request.json(SigningRequest.self, limit: Self.publicationLimit)
            guard case .signed(let response) = try await service.answer({ .sign($0, what) }) else {
                throw Self.unexpected
            }
            return try .json(response)
        }
        router.post("vrf") { [service] request, _ -> Response in
            let what = try await request.json(DrawRequest.self, limit: Self.drawLimit)
            guard case .drawn(let response) = try await service.answer({ .draw($0, what) }) else {
                throw Self.unexpected
            }
            return try .json(response)
        }
        router.get("messages") { [service] request, context -> Response in
            let kinds = try Self.kinds(request.text("kinds"))
            let stream = await service.messages(after: request.text("cursor"), kinds: kinds)
            return .ndjson(stream.filter { kinds.contains($0.message.kind) }, context: context)
        }
    }

    static let unexpected = Problem(500, "internal-error", "gossip gave an answer to another question")

    /// The kinds in a query; all if it names none.
    private static func kinds(_ text: String?) throws -> Set<MessageKind> {
        guard let text, !text.isEmpty else { return Set(MessageKind.allCases) }
        var kinds: Set<MessageKind> = []
        for name in text.split(separator: ",") {
            guard let kind = MessageKind(name: String(name)) else {
                let all = MessageKind.allCases.map(\.name).joined(separator: ", ")
                throw Problem(400, "unknown-kind", "no kind of message is called \"\(name)\"; there are: \(all)")
            }
            kinds.insert(kind)
        }
        return kinds
    }
}
