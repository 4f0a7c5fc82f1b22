import Contracts
import Logging
import PlannerCore
import Runtime
import Transport

/// What gossip says of this node: the part of `GET /node` that planner needs.
struct GossipNode: Decodable, Sendable {
    var id: NodeID
    var vrf: VRFKey
    var name: String
    var site: String
}

/// What planner asks of gossip: signatures, draws and sending. Requests wait here, never the core: gossip may be restarting,
/// and agreement sends again what it still needs.
final class GossipClient: Sendable {
    /// How long a request is tried before it is dropped and counted.
    static let patience = Duration.seconds(5)
    /// Requests that may wait; the newest beyond it are dropped and counted.
    static let queueLimit = 4_096

    private enum Errand: Sendable {
        case sign(SigningTag, SigningRequest)
        case draw(height: UInt64, DrawRequest)
        case publish(Publication)
        case sendCommitted(from: UInt64, to: NodeID)
        case sendSnapshot(Digest, piece: UInt32, to: NodeID)

        var name: String {
            switch self {
            case .sign(_, let request): "sign-\(request.purpose.rawValue)"
            case .draw: "draw"
            case .publish(let publication): publication.kind.name
            case .sendCommitted: MessageKind.blocks.name
            case .sendSnapshot: MessageKind.snapshot.name
            }
        }
    }

    private let client: HTTPClient
    private let socket: Endpoint
    private let metrics: PlannerMetrics
    private let signing: AsyncStream<(Errand, ContinuousClock.Instant)>
    private let publishing: AsyncStream<(Errand, ContinuousClock.Instant)>
    private let toSign: AsyncStream<(Errand, ContinuousClock.Instant)>.Continuation
    private let toPublish: AsyncStream<(Errand, ContinuousClock.Instant)>.Continuation
    private let log = Logger(label: "gossip client")

    init(client: HTTPClient, runDirectory: String, metrics: PlannerMetrics) {
        self.client = client
        self.metrics = metrics
        socket = .unix("\(runDirectory)/gossip.sock")
        (signing, toSign) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.queueLimit))
        (publishing, toPublish) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.queueLimit))
    }

    /// This node, as the keeper of its key names it.
    func node() async throws -> GossipNode {
        try await client.send(ClientRequest("GET", socket, "/node")).successful().decode()
    }

    func sign(_ tag: SigningTag, _ request: SigningRequest) { enqueue(.sign(tag, request), on: toSign) }

    func draw(_ height: UInt64, _ request: DrawRequest) { enqueue(.draw(height: height, request), on: toSign) }

    func publish(_ publication: Publication) { enqueue(.publish(publication), on: toPublish) }

    func sendCommitted(from height: UInt64, to node: NodeID) {
        enqueue(.sendCommitted(from: height, to: node), on: toPublish)
    }

    func sendSnapshot(_ digest: Digest, piece: UInt32, to node: NodeID) {
        enqueue(.sendSnapshot(digest, piece: piece, to: node), on: toPublish)
    }

    private func enqueue(_ errand: Errand, on queue: AsyncStream<(Errand, ContinuousClock.Instant)>.Continuation) {
        if case .dropped = queue.yield((errand, .now)) { metrics.dropped(errand.name) }
    }

    /// Has signed and drawn what is asked, in order, until the task is cancelled.
    ///
    /// - Parameter answer: hands the core a signature, refusal or draw.
    func signAll(answer: @Sendable (PlannerEvent.Kind) -> Void) async {
        for await (errand, since) in signing {
            do {
                switch errand {
                case .sign(let tag, let request): answer(try await sign(tag, request, since: since))
                case .draw(let height, let request):
                    let response: DrawResponse = try await post("/vrf", request, since: since).decode()
                    answer(.drawn(height: height, response.proof))
                case .publish, .sendCommitted, .sendSnapshot: break
                }
            } catch {
                drop(errand, error)
            }
        }
    }

    private func sign(
        _ tag: SigningTag, _ request: SigningRequest, since: ContinuousClock.Instant
    ) async throws -> PlannerEvent.Kind {
        do {
            let response: SigningResponse = try await post("/sign", request, since: since).decode()
            return .signed(tag, response.signature)
        } catch let problem as Problem where (400..<500).contains(problem.status) {
            return .signingRefused(tag, reason: problem.detail)
        }
    }

    /// Sends what is to be sent, in order, until the task is cancelled.
    /// - Throws: what reading the chain throws.
    func publishAll(chain: ChainReader) async throws {
        for await (errand, since) in publishing {
            let publication: Publication?
            switch errand {
            case .sign, .draw: publication = nil
            case .publish(let given): publication = given
            case .sendCommitted(let from, let node): publication = try chain.answer(from: from, to: node)
            case .sendSnapshot(let digest, let piece, let node):
                publication = try chain.piece(piece, of: digest, to: node)
            }
            guard let publication else { continue }
            do {
                _ = try await post("/messages", publication, since: since)
            } catch {
                drop(errand, error)
            }
        }
    }

    private func drop(_ errand: Errand, _ error: any Error) {
        metrics.dropped(errand.name)
        log.warning("gossip did not take a message to \(errand.name): \(error)")
    }

    /// Posts, and tries again while gossip can't be reached or isn't ready, as long as ``patience`` lasts.
    private func post(
        _ path: String, _ body: some Encodable, since: ContinuousClock.Instant
    ) async throws -> ClientResponse {
        var delay = Duration.milliseconds(50)
        while true {
            do {
                return try await client.send(ClientRequest("POST", socket, path, timeout: .seconds(5)), json: body)
                    .successful()
            } catch let error where Self.isPassing(error) && .now + delay < since + Self.patience {
                try await Task.sleep(for: delay)
                delay = min(delay * 2, .milliseconds(800))
            }
        }
    }

    private static func isPassing(_ error: any Error) -> Bool {
        switch error {
        case HTTPClientError.unreachable, HTTPClientError.broken: true
        case let problem as Problem: problem.status == 503
        default: false
        }
    }
}
