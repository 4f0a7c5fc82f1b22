import ConsensusCore
import Contracts
import Logging
import Runtime
import Synchronization

/// This node in the election: the core with its disk, its timers and its voice.
final class Participant: Sendable {
    typealias Loop = MachineLoop<ConsensusMachine>

    private enum Phase {
        /// Gossip hasn't said yet which node this is. Planner's newest head is kept.
        case nameless(SiteHead?)
        case electing(Loop)
    }

    /// Milliseconds without a leader that are nothing to worry about.
    private static let calm: Int64 = 5_000

    private let settings: ConsensusSettings
    private let store: ElectionStore
    private let gossip: GossipClient
    private let questions: Questions
    private let metrics: ConsensusMetrics
    private let timers = Timers<ConsensusTimer>()
    private let phase = Mutex(Phase.nameless(nil))
    /// The newest word on who leads, and since when nobody does. Changed together with what listeners are sent.
    private let newest = Mutex<(leadership: Leadership?, leaderlessSince: Int64?)>((nil, nil))
    private let listeners = Broadcast<Leadership>()
    private let log = Logger(label: "consensus")

    /// - Throws: what the store throws, so that a damaged file is known at the start.
    init(
        settings: ConsensusSettings, store: ElectionStore, gossip: GossipClient, questions: Questions,
        metrics: ConsensusMetrics
    ) throws {
        self.settings = settings
        self.store = store
        self.gossip = gossip
        self.questions = questions
        self.metrics = metrics
        _ = try store.restore(settings.engine, configuration(own: NodeID(unchecked: Digest.zero.bytes)))
    }

    private func configuration(own: NodeID) -> ElectionConfiguration {
        ElectionConfiguration(
            own: own, seed: Entropy.seed(), heartbeat: settings.heartbeat, timeout: settings.timeout)
    }

    /// Elects, for as long as the process lives.
    func run(as own: NodeID, following feed: GossipFeed) async throws {
        let election = try store.restore(settings.engine, configuration(own: own))
        let machine = ConsensusMachine(own: own, election: election)
        let loop = Loop(machine) { [self] effect, loop in try await perform(effect, loop, own: own) }
        announce(machine.leadership, own: own)
        let head = phase.withLock { phase -> SiteHead? in
            defer { phase = .electing(loop) }
            if case .nameless(let head) = phase { return head }
            return nil
        }
        if let head { send(.head(head), to: loop) }
        log.info("takes part as \(own.short), by \(settings.engine.name)")
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await loop.run() }
            group.addTask { [self] in try await feed.follow { send(.message($0), to: loop) } }
            group.addTask { [self] in await questions.answerAll { [self] in send(.answer($0, $1), to: loop) } }
            group.addTask { [self] in try await watchIdentity(own) }
            try await group.next()
            group.cancelAll()
        }
    }

    /// Gossip may come back with another key, and then this node is another node.
    private func watchIdentity(_ own: NodeID) async throws {
        while true {
            try await Task.sleep(for: .seconds(10))
            let id = try await gossip.node()
            if id != own { throw IdentityChanged(from: own, to: id) }
        }
    }

    private func send(_ kind: ConsensusEvent.Kind, to loop: Loop) {
        loop.send(ConsensusEvent(now: MonotonicClock.nowMilliseconds(), kind))
    }

    private func perform(_ effect: ConsensusEffect, _ loop: Loop, own: NodeID) async throws {
        switch effect {
        case .persist(let bytes): try store.write(bytes)
        case .publish(let publication): gossip.publish(publication)
        case .setTimer(let timer, let delay):
            timers.arm(timer, after: .milliseconds(delay)) { [self] in send(.timer(timer), to: loop) }
        case .cancelTimer(let timer): timers.cancel(timer)
        case .ask(let question): questions.ask(question)
        case .leadership(let leadership): announce(leadership, own: own)
        case .count(let count): metrics.count(count)
        case .log(let level, let text): log.log(level: level.loggerLevel, "\(text)")
        }
    }

    private func announce(_ leadership: Leadership, own: NodeID) {
        newest.withLock { newest in
            let leaderless = newest.leaderlessSince ?? MonotonicClock.nowMilliseconds()
            newest = (leadership, leadership.leader == nil ? leaderless : nil)
            listeners.send(leadership)
        }
        metrics.show(leadership, own: own)
        let who = leadership.leader.map { $0 == own ? "this node" : $0.short } ?? "nobody"
        // Where every height has a leader of its own, that is no news.
        let isNews = [.votes, .lookedUp].contains(settings.engine.guarantee.proof)
        log.log(level: isNews ? .info : .debug, "term \(leadership.term): \(who) leads")
    }

    // MARK: - For the routes

    func take(_ head: SiteHead) {
        let loop = phase.withLock { phase -> Loop? in
            if case .electing(let loop) = phase { return loop }
            phase = .nameless(head)
            return nil
        }
        if let loop { send(.head(head), to: loop) }
    }

    /// Before the election there is no leader to blame.
    func take(_ blame: Blame) {
        if case .electing(let loop) = phase.withLock({ $0 }) { send(.blame(blame), to: loop) }
    }

    var leadership: Leadership? { newest.withLock { $0.leadership } }

    /// The newest word, if there is one yet, and every one after it.
    func leaderships() -> AsyncStream<Leadership> {
        newest.withLock { listeners.subscribe(limit: 256, first: [$0.leadership].compactMap { $0 }) }
    }

    func health(gossip feed: HealthCheck) async -> [String: HealthCheck] {
        var gossipCheck = feed
        if gossipCheck.status == .pass, let failure = gossip.failure { gossipCheck = HealthCheck(.warn, failure) }
        guard case .electing(let loop) = phase.withLock({ $0 }) else {
            return [
                "gossip": HealthCheck(.warn, gossip.failure ?? feed.output),
                "planner": HealthCheck(.warn, "waiting for planner's members"),
                "leader": HealthCheck(.warn, "waiting for gossip to say which node this is"),
            ]
        }
        let now = MonotonicClock.nowMilliseconds()
        let view = await loop.read { machine in
            (
                head: machine.head, leadership: machine.leadership, progress: machine.election.progress,
                heard: machine.heardMembers(within: Self.calm, now: now), others: machine.otherEngines
            )
        }
        guard let head = view.head else {
            return [
                "gossip": gossipCheck, "planner": HealthCheck(.warn, "waiting for planner's members"),
                "leader": HealthCheck(.warn, "no election before planner has told the members"),
            ]
        }
        return [
            "gossip": gossipCheck, "planner": HealthCheck(.pass), "engine": engineCheck(view.others),
            "leader": leaderCheck(head, view.leadership, view.progress, heard: view.heard, now: now),
        ]
    }

    private func engineCheck(_ others: [NodeID: String]) -> HealthCheck {
        let name = settings.engine.name
        guard !others.isEmpty else { return HealthCheck(.pass, name) }
        let list = others.sorted { $0.key < $1.key }.map { "\($0.key.short) by \($0.value)" }.joined(separator: ", ")
        return HealthCheck(
            .warn, "this node elects by \(name), but \(list): set POISE_ELECTION alike on all devices and restart them")
    }

    private func leaderCheck(
        _ head: SiteHead, _ leadership: Leadership, _ progress: String, heard: Int, now: Int64
    ) -> HealthCheck {
        if leadership.leader != nil { return HealthCheck(.pass, "term \(leadership.term)") }
        let since = newest.withLock { $0.leaderlessSince } ?? now
        let others = head.members.count - 1
        let reason =
            "no leader for \((now - since) / 1_000) s: \(progress); in the last \(Self.calm / 1_000) s heard "
            + "\(heard) of the \(others) other members, \(head.quorum) of \(head.members.count) are a quorum"
        return HealthCheck(now - since < Self.calm ? .pass : .warn, reason)
    }
}

extension ElectionLogLevel {
    fileprivate var loggerLevel: Logger.Level {
        switch self {
        case .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        }
    }
}

/// Gossip has another key than before.
struct IdentityChanged: Error, CustomStringConvertible {
    var from: NodeID
    var to: NodeID
    var description: String {
        "gossip's key changed: this node was \(from.short) and is \(to.short) now; starting anew"
    }
}
