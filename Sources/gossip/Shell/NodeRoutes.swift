import Contracts
import GossipCore
import HTTPTypes
import Hummingbird
import Runtime

/// What other devices ask on the TCP port: the node API of the paper's section 6.1, and the flood.
struct NodeRoutes {
    private static let messageLimit = 2 << 20

    let service: GossipService

    func add(to router: ServiceRouter) {
        router.get("node") { [service] request, _ -> Response in
            if let name = HTTPField.Name(PeerClient.addressHeader), let address = request.headers[name] {
                service.hint(address)
            }
            return try .json(await service.view { machine, _ in machine.info })
        }
        router.get("peers") { [service] _, _ -> Response in try .json(await service.view { $0.peerStates(now: $1) }) }
        router.get("shared") { [service] _, _ -> Response in try .json(await service.view { $0.nodeStates(now: $1) }) }
        router.get("shared/:node") { [self] _, context -> Response in try .json(await state(of: context)) }
        router.put("shared/:node") { [self] request, context -> Response in
            try await change(.replace, request, context)
        }
        router.post("shared/:node") { [self] request, context -> Response in
            try await change(.introduce(address: nil), request, context)
        }
        router.delete("shared/:node") { [self] request, context -> Response in
            try await change(.leave, request, context)
        }
        router.post("messages") { [service] request, _ -> Response in
            let batch = try await Self.read(Batch.self, request)
            guard case .received(let accepted, let dropped) = try await service.answer({ .received($0, batch) }) else {
                throw LocalRoutes.unexpected
            }
            return try .json(["accepted": accepted, "dropped": dropped])
        }
        router.post("dynt") { [service] request, _ -> Response in
            let question = try await Self.read(Question.self, request)
            guard case .needed(let needed) = try await service.answer({ .asked($0, question) }) else {
                throw LocalRoutes.unexpected
            }
            return Response(type: "application/octet-stream", bytes: Needs(needed).encoded)
        }
    }

    private func state(of context: ServiceContext) async throws -> NodeState {
        let text = try context.parameter("node")
        let states = await service.view { $0.nodeStates(now: $1) }
        guard let state = states.first(where: { $0.id.description == text || $0.report.name == text }) else {
            throw Problem(404, "unknown-node", "no node \"\(text.prefix(80))\" is in the pool; GET /shared lists them")
        }
        return state
    }

    private func change(
        _ verb: SharedRequest.Verb, _ request: Request, _ context: ServiceContext
    ) async throws -> Response {
        let text = try context.parameter("node")
        guard let node = NodeID(hex: text) else {
            throw Problem(400, "invalid-node", "\"\(text.prefix(80))\" is no node's ID: 64 hex digits are expected")
        }
        let message = try await request.json(SignedMessage.self, limit: Self.messageLimit)
        var verb = verb
        if case .introduce = verb {
            // An unreadable report is refused by the core, which knows the reason.
            verb = .introduce(address: (try? Report(encoded: message.payload.bytes))?.gossipAddress)
        }
        let change = SharedRequest(verb, node: node, message: message)
        guard case .shared(let created) = try await service.answer({ .shared($0, change) }) else {
            throw LocalRoutes.unexpected
        }
        return .empty(created ? .created : .noContent)
    }

    private static func read<T: ByteCodable>(_ type: T.Type, _ request: Request) async throws -> T {
        let bytes = try await request.bytes(limit: GossipLimits.requestBytes)
        do { return try T(encoded: bytes) } catch let error as ByteCodingError {
            throw Problem(400, "malformed", "the body can't be read: \(error)")
        }
    }
}
