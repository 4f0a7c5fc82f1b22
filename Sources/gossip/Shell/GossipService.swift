import Contracts
import GossipCore
import Logging
import Runtime
import Synchronization
import Transport

/// Gossip's core with its disk, its peers and its local readers.
final class GossipService: Sendable {
    typealias Loop = MachineLoop<GossipMachine>

    let node: NodeID
    private let settings: GossipSettings
    private let metrics: GossipMetrics
    private let feed: MonitorFeed
    private let loop: Loop
    private let readers: Broadcast<FeedMessage>
    private let requests: Requests

    /// - Throws: what storage throws, and for records that can't be read.
    init(
        settings: GossipSettings, store: IdentityStore, client: HTTPClient, feed: MonitorFeed, metrics: GossipMetrics
    ) throws {
        let restored = try store.restore()
        let machine = try GossipMachine(
            key: restored.key,
            configuration: GossipConfiguration(
                name: settings.name, site: settings.site, reportInterval: settings.reportInterval,
                peers: settings.peers.map(\.description), operatorKey: settings.operatorKey),
            sequences: restored.sequences, ledger: restored.ledger, epoch: Entropy.seed())
        let performer = EffectPerformer(store: store, peers: PeerClient(client: client), metrics: metrics)
        node = restored.key.nodeID
        self.settings = settings
        self.metrics = metrics
        self.feed = feed
        readers = performer.readers
        requests = performer.requests
        loop = Loop(machine) { try performer.perform($0, $1) }
    }

    var tasks: [ServiceTask] {
        [
            ServiceTask("gossip") { [loop] in
                loop.post(.started)
                try await loop.run()
            },
            ServiceTask("monitor's feed") { [loop, feed] in try await feed.follow { loop.post(.load($0)) } },
            ServiceTask("own address") { [self] in try await advertise() },
        ]
    }

    /// Keeps telling the core how others reach this device: the address may come late and may change.
    private func advertise() async throws {
        var last: String?
        while true {
            let host: Endpoint? =
                settings.advertise
                ?? settings.peers.lazy.compactMap { OwnAddress.towards($0) }.first
                .map { .tcp(host: $0, port: self.settings.port) }
                ?? (settings.peers.isEmpty ? .tcp(host: settings.name, port: settings.port) : nil)
            if case .tcp(let name, _)? = host, let host, last != host.description {
                last = host.description
                let migrator = Endpoint.tcp(host: name, port: settings.migratorPort)
                loop.post(.advertise(gossip: host.description, migrator: migrator.description))
            }
            try await Task.sleep(for: last == nil ? .milliseconds(500) : .seconds(10))
        }
    }

    // MARK: - For the routes

    /// Hands the core a request and waits for its answer.
    func answer(_ event: @escaping @Sendable (RequestNumber) -> GossipEvent.Kind) async throws -> GossipAnswer {
        let answer = await requests.wait { [loop] number in loop.post(event(number)) }
        if case .problem(let problem) = answer { throw problem }
        return answer
    }

    func hint(_ address: String) { loop.post(.hinted(address: address)) }

    func view<T: Sendable>(_ read: @escaping @Sendable (GossipMachine, Int64) -> T) async -> T {
        let now = MonotonicClock.nowMilliseconds()
        return await loop.read { read($0, now) }
    }

    /// Retained messages behind the cursor, then each new one. Both in one step of the loop, so that none is missed.
    func messages(after cursor: String?, kinds: Set<MessageKind>) async -> AsyncStream<FeedMessage> {
        let stream = await loop.read { [readers] machine in
            readers.subscribe(first: machine.feed.lines(after: cursor, kinds: kinds))
        }
        metrics.readers(readers.count)
        return stream
    }

    func health() async -> [String: HealthCheck] {
        var checks = await view { $0.checks(now: $1) }
        checks["monitor"] = feed.check
        return checks
    }
}

extension MachineLoop<GossipMachine> {
    func post(_ kind: GossipEvent.Kind) { send(GossipEvent(now: MonotonicClock.nowMilliseconds(), kind)) }
}

/// Requests that wait for the core's answer.
final class Requests: Sendable {
    private let waiting = Mutex<(next: UInt64, [UInt64: CheckedContinuation<GossipAnswer, Never>])>((1, [:]))

    func wait(_ ask: (RequestNumber) -> Void) async -> GossipAnswer {
        await withCheckedContinuation { continuation in
            let number = waiting.withLock { waiting in
                defer { waiting.next += 1 }
                waiting.1[waiting.next] = continuation
                return waiting.next
            }
            ask(RequestNumber(number))
        }
    }

    func resume(_ number: RequestNumber, _ answer: GossipAnswer) {
        waiting.withLock { $0.1.removeValue(forKey: number.number) }?.resume(returning: answer)
    }
}
