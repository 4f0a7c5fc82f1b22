import Contracts
import Logging
import PlannerCore
import Runtime
import Synchronization
import Transport

typealias PlannerLoop = MachineLoop<PlannerMachine>

/// The running planner: the core in its loop, and everything around it.
final class PlannerService: Sendable {
    let settings: PlannerSettings
    let store: ChainStore
    let chain: ChainReader
    let metrics = PlannerMetrics()
    let requests = PendingRequests()
    /// Each line is the whole site.
    let placements = Board<Placement>()
    let commits = Board<Commit>()
    let gossip: GossipClient
    let consensus: ConsensusClient
    let gossipFeed: GossipFeed
    let consensusFeed: ConsensusFeed

    private let snapshotInterval: UInt64
    private let loop = Mutex<PlannerLoop?>(nil)
    private let waitsFor = Mutex("gossip, which holds this node's key, has not answered yet")
    private let identified = Mutex<NodeID?>(nil)
    private let progress = CommitProgress()
    private let timers = Timers<PlannerTimer>()
    private let log = Logger(label: "planner")

    /// - Parameter snapshotInterval: blocks between two snapshots at least: what a start may have to fold again.
    /// - Throws: `StorageError`.
    init(
        settings: PlannerSettings, runDirectory: String, stateDirectory: String,
        snapshotInterval: UInt64 = SnapshotSchedule.interval
    ) throws {
        self.settings = settings
        self.snapshotInterval = snapshotInterval
        store = try ChainStore(directory: stateDirectory, limit: settings.chainBytes)
        chain = try ChainReader(directory: stateDirectory)
        let client = HTTPClient()
        gossip = GossipClient(client: client, runDirectory: runDirectory, metrics: metrics)
        consensus = ConsensusClient(client: client, runDirectory: runDirectory, metrics: metrics)
        gossipFeed = GossipFeed(client: client, runDirectory: runDirectory)
        consensusFeed = ConsensusFeed(client: client, runDirectory: runDirectory)
        metrics.stored(bytes: store.bytes)
    }

    /// The core, once it runs.
    /// - Throws: `Problem` 503 before.
    func core() throws(Problem) -> PlannerLoop {
        guard let loop = running else {
            throw Problem(503, "starting", "planner is starting: \(waiting)")
        }
        return loop
    }

    /// The core, once it runs.
    var running: PlannerLoop? { loop.withLock { $0 } }

    /// This node, once gossip has said who it is.
    var here: NodeID? { identified.withLock { $0 } }

    var waiting: String { waitsFor.withLock { $0 } }

    /// Milliseconds since a block was committed here, or since the start.
    var sinceCommit: Int64 { progress.sinceCommit }

    /// Runs until the task is cancelled.
    ///
    /// - Throws: what ends a planner: storage that fails, a key or name that can't be, a queue that overflows.
    func run() async throws {
        let node = try await identity()
        identified.withLock { $0 = node.id }
        let machine = try restore(here: node)
        // Weak: the loop belongs to this service.
        let loop = PlannerLoop(machine) { [weak self] effect, loop in try await self?.perform(effect, loop) }
        self.loop.withLock { $0 = loop }
        tell(loop, .started)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await loop.run() }
            group.addTask { await self.gossip.signAll { self.tell(loop, $0) } }
            group.addTask { try await self.gossip.publishAll(chain: self.chain) }
            group.addTask { await self.consensus.tellAll() }
            group.addTask { try await self.followGossip(loop) }
            group.addTask {
                try await self.consensusFeed.follow(connected: { self.consensus.repeatAll() }) {
                    self.tell(loop, .leadership($0))
                }
            }
            group.addTask { try await self.keepBooks(loop) }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    func tell(_ loop: PlannerLoop, _ kind: PlannerEvent.Kind) {
        loop.send(PlannerEvent(now: MonotonicClock.nowMilliseconds(), wallTime: WallClock.nowMilliseconds(), kind))
    }

    /// Asks gossip who this node is, for as long as it takes.
    private func identity() async throws -> GossipNode {
        while true {
            do {
                let node = try await gossip.node()
                guard node.name == settings.name, node.site == settings.site else {
                    throw SettingError(
                        "gossip calls this node \(node.name) of site \(node.site), planner \(settings.name) of \(settings.site): give both the same POISE_NAME and POISE_SITE"
                    )
                }
                return node
            } catch let error as SettingError {
                throw error
            } catch let error as CancellationError {
                throw error
            } catch {
                waitsFor.withLock { $0 = "gossip, which holds this node's key, has not answered: \(error)" }
                try await Task.sleep(for: .milliseconds(250))
            }
        }
    }

    /// The core as it was when the process ended, from what is stored.
    private func restore(here: GossipNode) throws -> PlannerMachine {
        waitsFor.withLock { $0 = "it reads the stored chain" }
        let genesis = try store.genesis()
        let restored = try ChainReplay.chain(genesis: genesis, store: store, reader: chain, log: log)
        if let state = restored?.state {
            metrics.show(state, pool: 0)
            log.notice("the stored chain ends with block \(state.height) \(state.head.short)")
        }
        let configuration = PlannerConfiguration(
            here: here.id, name: settings.name, vrf: here.vrf, site: settings.site, operatorKey: settings.operatorKey,
            parameters: settings.parameters, expect: settings.expect, snapshotInterval: snapshotInterval,
            invitation: settings.invitation)
        return try PlannerMachine(
            configuration, genesis: genesis, chain: restored, agreement: try store.agreement(),
            stopped: try store.stop(),
            seed: Entropy.seed())
    }

    private func followGossip(_ loop: PlannerLoop) async throws {
        let count = Mutex(0)
        try await gossipFeed.follow { message in
            self.tell(loop, .message(message))
            // Never more than this many ahead of the core, so that a burst waits in gossip and not in the loop's queue.
            let isDue = count.withLock { count in
                count += 1
                return count.isMultiple(of: 256)
            }
            if isDue { _ = await loop.read { $0.height } }
        }
    }

    /// Once a second: the figures that no single event shows, and old blocks go where there is no more room for them.
    private func keepBooks(_ loop: PlannerLoop) async throws {
        while true {
            let (state, pooled) = await loop.read { ($0.state, $0.pooled) }
            if let state { metrics.show(state, pool: pooled) }
            // A few a second are more than come in.
            for _ in 0..<4 where try store.prune() { await Task.yield() }
            metrics.stored(bytes: store.bytes)
            try await Task.sleep(for: .seconds(1))
        }
    }

    // MARK: Effects

    private func perform(_ effect: PlannerEffect, _ loop: PlannerLoop) async throws {
        switch effect {
        case .persistGenesis(let bytes): try store.persist(genesis: bytes)
        case .persistStop(let why): try store.persist(stop: why)
        case .persistAgreement(let agreement): try store.persist(agreement)
        case .persistSnapshot(let snapshot): try store.persist(snapshot)
        case .adoptSnapshot(let snapshot): try store.adopt(snapshot)
        case .commit(let block):
            try store.commit(block)
            metrics.committed(height: block.height, latency: progress.committed(block.height))
        case .sign(let tag, let request): gossip.sign(tag, request)
        case .draw(let height, let request): gossip.draw(height, request)
        case .publish(let publication): gossip.publish(publication)
        case .sendCommitted(let height, let node): gossip.sendCommitted(from: height, to: node)
        case .sendSnapshot(let digest, let piece, let node): gossip.sendSnapshot(digest, piece: piece, to: node)
        case .setTimer(let timer, let delay):
            if case .propose(let height, let round) = timer {
                progress.began(height)
                metrics.entered(round: round)
            }
            timers.arm(timer, after: .milliseconds(delay)) { [weak self] in self?.tell(loop, .timer(timer)) }
        case .cancelTimer(let timer): timers.cancel(timer)
        case .head(let head): consensus.tell(head)
        case .blame(let leader, let term, let height):
            consensus.tell(Blame(leader: leader, term: term, height: height))
        case .placement(let placement): placements.show(placement)
        case .committed(let commit): commits.show(commit)
        case .answer(let id, let problem): requests.answer(id, problem)
        case .count(let reason): metrics.refused(reason)
        case .log(let level, let text): log.log(level: level.logger, "\(text)")
        }
    }
}

/// How agreement on the running height goes, by this device's clock.
private final class CommitProgress: Sendable {
    private struct State {
        var height: UInt64 = 0
        var began = ContinuousClock.now
        var last = ContinuousClock.now
    }

    private let state = Mutex(State())

    func began(_ height: UInt64) {
        state.withLock { state in
            guard state.height != height else { return }
            state.height = height
            state.began = .now
        }
    }

    /// - Returns: how long agreement took; nil for a block that others had agreed on.
    func committed(_ height: UInt64) -> Duration? {
        state.withLock { state in
            state.last = .now
            return state.height == height ? .now - state.began : nil
        }
    }

    var sinceCommit: Int64 { state.withLock { (.now - $0.last) / .milliseconds(1) } }
}

extension Duration {
    fileprivate static func / (a: Duration, b: Duration) -> Int64 {
        let ratio: Double = a / b
        return Int64(ratio)
    }
}

extension LogLevel {
    fileprivate var logger: Logger.Level {
        switch self {
        case .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .error: .error
        }
    }
}
