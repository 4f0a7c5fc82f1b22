import Contracts
import Hummingbird
import MigratorCore
import NIOCore
import Runtime
import Transport

/// What other devices' migrators ask, over TCP. Every handoff is answered by the committed chain alone: what no block
/// has ordered is refused.
struct HandoffRoutes: Sendable {
    let service: MigratorService
    let target: HandoffTarget

    func add(to router: ServiceRouter) {
        router.post("handoffs") { request, _ in
            let offer: Offer = try await request.json(limit: 1 << 20)
            try await service.offer(offer)
            let key = HandoffKey(app: offer.app, incarnation: offer.incarnation)
            // Before an image is sent for nothing.
            if let reason = target.local.forbidden(try await service.receiving(key, from: offer.from)) {
                throw Problem(409, "refused", reason)
            }
            return try Response.json(try await target.survey(offer))
        }
        router.put("handoffs/:app/:incarnation/image") { request, context in
            let key = try key(context)
            _ = try await service.receiving(key, from: nil)
            return try Response.json(try await target.takeImage(key, request.body))
        }
        router.post("handoffs/:app/:incarnation/container") { request, context in
            let key = try key(context)
            let wish: ContainerWish = try await request.json(limit: 4_096)
            let specification = try await service.receiving(key, from: wish.from)
            try await target.makeContainer(specification, key, image: wish.imageID)
            return Response.empty()
        }
        router.put("handoffs/:app/:incarnation/parts") { request, context in
            let key = try key(context)
            guard let part = request.text("name"), part.utf8.count <= AppSpecification.textLimit + 7 else {
                throw Problem(400, "invalid-query", "name must be checkpoint, layer, or volume: and a mount's path")
            }
            _ = try await service.receiving(key, from: nil)
            return try Response.json(try await target.takePart(key, part, request.body))
        }
        router.post("handoffs/:app/:incarnation/restore") { request, context in
            let key = try key(context)
            let wish: RestoreWish = try await request.json(limit: 1 << 20)
            try await service.restore(key, wish)
            return Response.empty()
        }
        router.get("images") { request, context in
            guard let name = request.text("name"), await service.isPlaced(image: name) else {
                throw Problem(404, "unknown-image", "no app of this site has an image of that name")
            }
            let chunks = try await service.saved(image: name)
            return Response(
                status: .ok, headers: [.contentType: "application/x-tar"],
                body: ResponseBody { writer in
                    for try await chunk in chunks {
                        try await writer.write(ByteBuffer(bytes: chunk))
                        // Without this the engine's archive would pile up in the connection's buffer.
                        try await context.channel.eventLoop.submit {}.get()
                        while !context.channel.isWritable, context.channel.isActive {
                            try await Task.sleep(for: .milliseconds(5))
                        }
                    }
                    try await writer.finish(nil)
                })
        }
    }

    private func key(_ context: ServiceContext) throws -> HandoffKey {
        let app = try context.parameter("app")
        let number = try context.parameter("incarnation")
        guard AppSpecification.isValid(name: app), let incarnation = UInt64(number) else {
            throw Problem(400, "invalid-path", "\(app)/\(number) is no app's name and incarnation")
        }
        return HandoffKey(app: app, incarnation: incarnation)
    }
}
