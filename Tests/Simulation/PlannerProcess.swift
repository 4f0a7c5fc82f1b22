import Contracts
import Identity
import PlannerCore

/// planner with its core and its storage.
final class PlannerProcess: SimulatedProcess {
    private var machine: PlannerMachine?
    private lazy var alarms = Alarms<PlannerTimer>(of: self)
    private var gossipLife: Int?
    private var consensusLife: Int?
    private var cursor: String?
    private var head: SiteHead?
    private var blames: [Blame] = []
    private var placement: Placement?
    private var commit: Commit?
    private var waiting: [UInt64: (Problem?) -> Void] = [:]
    private var requests: UInt64 = 0
    private lazy var signing = ErrandQueue(of: self)
    private lazy var publishing = ErrandQueue(of: self)

    private static let kinds: Set<MessageKind> = [
        .report, .genesis, .status, .proposal, .vote, .blocks, .transaction, .snapshot,
    ]
    /// Blocks between two snapshots: so few that devices which were away get one.
    private static let snapshotInterval: UInt64 = 4

    init(on device: SimulatedDevice) { super.init(.planner, on: device) }

    override func boot() { identify() }

    override func halt() {
        machine = nil
        gossipLife = nil
        consensusLife = nil
        cursor = nil
        head = nil
        blames = []
        placement = nil
        commit = nil
        signing.forget()
        publishing.forget()
        let broken = waiting.sorted { $0.key < $1.key }
        waiting = [:]
        for (_, answer) in broken { time.after(1) { answer(PlannerProcess.unreachable) } }
    }

    private static let unreachable = Problem(503, "unreachable", "planner is down")

    var state: SiteState? { machine?.state }
    /// In which round its agreement is.
    var round: UInt32? { machine?.agreementStatus?.round }

    /// Where it stands, in words.
    var standing: String {
        guard let machine else { return "is down" }
        guard let status = machine.agreementStatus else {
            return "is not founded: \(machine.foundingStatus.obstacle ?? "nothing in the way")"
        }
        return "is in height \(status.height), round \(status.round), step \(status.step)"
    }

    private func identify() {
        guard device.gossip.isUp else { return later(250) { [self] in identify() } }
        let configuration = PlannerConfiguration(
            here: device.id, name: device.name, vrf: device.key.vrf.publicKey, site: site.name,
            operatorKey: SimulatedSite.operatorKey.publicKey, parameters: site.parameters, expect: site.cast.devices,
            snapshotInterval: Self.snapshotInterval, invitation: device.invitation)
        do {
            machine = try PlannerMachine(
                configuration, genesis: device.disk.genesis, chain: try storedChain(), agreement: device.disk.agreement,
                seed: time.seed(), deviation: device.liar == nil ? site.mutant?.deviation ?? [] : [])
        } catch {
            return site.judge.complain(device, "planner can't read what it stored: \(error)")
        }
        step(.started)
        if device.gossip.isUp { follow(device.gossip) }
        if device.consensus.isUp { follow(device.consensus) }
    }

    private func storedChain() throws -> Chain? {
        guard let genesis = device.disk.genesis, try FoundingRecord(encoded: genesis).isComplete else { return nil }
        var chain =
            if let snapshot = device.disk.snapshot {
                try Chain(snapshot: snapshot.bytes, founding: try FoundingRecord(encoded: genesis))
            } else {
                try Chain(genesis: genesis)
            }
        for block in device.disk.blocks where block.height > chain.state.height {
            try chain.append(block, trusting: true)
        }
        return chain
    }

    // MARK: - Feeds

    func follow(_ gossip: GossipProcess) {
        guard gossip.isUp, machine != nil, gossipLife != gossip.life else { return }
        gossipLife = gossip.life
        for line in gossip.lines(after: cursor, kinds: Self.kinds) { take(line, from: gossip) }
    }

    func take(_ line: FeedMessage, from gossip: GossipProcess) {
        guard isUp, gossipLife == gossip.life, Self.kinds.contains(line.message.kind) else { return }
        later(1) { [self] in
            cursor = line.cursor
            step(.message(line.message))
        }
    }

    func follow(_ consensus: ConsensusProcess) {
        guard consensus.isUp, machine != nil, consensusLife != consensus.life else { return }
        consensusLife = consensus.life
        if let leadership = consensus.leadership { take(leadership, from: consensus) }
        if let head { consensus.take(head) }
        for blame in blames { consensus.take(blame) }
    }

    func take(_ leadership: Leadership, from consensus: ConsensusProcess) {
        guard isUp, consensusLife == consensus.life else { return }
        later(1) { [self] in step(.leadership(leadership)) }
    }

    // MARK: - Requests

    /// The newest placement that `GET /placement` begins with.
    var newestPlacement: Placement? { placement }
    /// The newest block that `GET /commits` begins with.
    var newestCommit: Commit? { commit }

    func take(_ receipt: Receipt) { request({ .receipt($0, receipt) }, { _ in }) }

    func submit(_ submissions: [Submission], _ number: UInt64, _ answer: @escaping (Problem?) -> Void) {
        let members = machine?.members ?? []
        do throws(Problem) {
            let apps = try Submission.apps(submissions, nodes: members.map { ($0.name, $0.id) })
            order(.submit(apps), number, answer)
        } catch {
            time.after(1) { answer(error) }
        }
    }

    func remove(_ app: String, _ answer: @escaping (Problem?) -> Void) {
        order(.remove(app: app), site.nextOrder(), answer)
    }

    func leave(_ answer: @escaping (Problem?) -> Void) { request({ .leave($0) }, answer) }

    /// Brings an order of the operator.
    func order(_ act: Order.Act, _ number: UInt64, _ answer: @escaping (Problem?) -> Void) {
        let order = Order(genesis: state?.genesis ?? .zero, sequence: number, act: act)
        site.judge.entitlement.gave(order)
        let signature = SimulatedSite.operatorKey.sign(order.signedBytes)
        request({ .order($0, SignedOrder(order: order, signature: signature)) }, answer)
    }

    private func request(_ kind: (RequestID) -> PlannerEvent.Kind, _ answer: @escaping (Problem?) -> Void) {
        guard isUp, machine != nil else {
            time.after(1) { answer(PlannerProcess.unreachable) }
            return
        }
        requests += 1
        waiting[requests] = answer
        let event = kind(RequestID(requests))
        later(1) { [self] in step(event) }
    }

    // MARK: - Effects

    private func step(_ kind: PlannerEvent.Kind) {
        let event = PlannerEvent(now: device.now, wallTime: device.wallTime, kind)
        perform(machine?.step(event) ?? []) { effect in
            switch effect {
            case .persistGenesis(let bytes): device.disk.genesis = bytes
            case .persistStop: break
            case .persistAgreement(let agreement):
                if site.mutant != .volatileVotes {
                    device.disk.agreement = agreement.replacing(device.disk.agreement)
                }
            case .commit(let block):
                device.disk.blocks.append(block)
                device.disk.agreement = nil
                site.judge.committed(stored(block), by: device)
            case .persistSnapshot(let snapshot):
                device.disk.snapshot = snapshot
                // Some devices have room for all blocks and some for few, as it were.
                if device.number % 3 != 0 { device.disk.blocks.removeAll { $0.height <= snapshot.height } }
            case .adoptSnapshot(let snapshot):
                device.disk.snapshot = snapshot
                device.disk.blocks = []
                device.disk.agreement = nil
                site.judge.adopted(snapshot, by: device)
            case .sign(let tag, let request): if device.liar?.keeps(request) != true { sign(tag, request) }
            case .draw(let height, let request): draw(height, request)
            case .publish(let publication):
                if device.liar?.takes(publication) != true { publish { publication } }
            case .sendCommitted(let height, let node):
                publish { [device] in
                    let answer = device.disk.answer(from: height, to: node)
                    return answer.flatMap { device.liar?.takes($0) == true ? nil : $0 }
                }
            case .sendSnapshot(let digest, let piece, let node):
                publish { [device] in device.disk.snapshot?.piece(piece, of: digest, to: node) }
            case .setTimer(let timer, let delay): alarms.arm(timer, after: delay) { [self] in step(.timer(timer)) }
            case .cancelTimer(let timer): alarms.disarm(timer)
            case .head, .blame: tell(effect)
            case .placement(let placement):
                self.placement = placement
                device.migrator.take(placement, from: self)
            case .committed(var commit):
                if site.mutant == .boundlessTouch { commit.until = commit.until.map { $0 + 3_600_000 } }
                self.commit = commit
                device.migrator.take(commit, from: self)
            case .answer(let id, let problem):
                if let waiter = waiting.removeValue(forKey: id.number) { time.after(1) { waiter(problem) } }
            case .log(let level, let text):
                if level == .error { site.judge.complain(device, "planner: \(text)") }
            case .count(let reason): site.judge.refused(reason, by: device)
            }
        }
    }

    private func stored(_ block: CommittedBlock) -> CommittedBlock {
        guard site.mutant == .forgedBlock, device.number == 0, block.height == 3 else { return block }
        var forged = block
        forged.id = .zero
        return forged
    }

    /// Consensus is told again at each new connection.
    private func tell(_ effect: PlannerEffect) {
        switch effect {
        case .head(let head):
            self.head = head
            if consensusLife == device.consensus.life { device.consensus.take(head) }
        case .blame(let leader, let term, let height):
            let blame = Blame(leader: leader, term: term, height: height)
            blames = blames.suffix(15) + [blame]
            if consensusLife == device.consensus.life { device.consensus.take(blame) }
        default: break
        }
    }

    private func sign(_ tag: SigningTag, _ request: SigningRequest) {
        signing.add { [self] done in
            device.gossip.request({ .sign($0, request) }) { [self, life] answer in
                if case .signed = answer { site.judge.signed(request, by: device) }
                guard self.life == life else { return }
                switch answer {
                case .signed(let response): later(0) { [self] in step(.signed(tag, response.signature)) }
                case .problem(let problem): later(0) { [self] in step(.signingRefused(tag, reason: problem.detail)) }
                default: return done(false)
                }
                done(true)
            }
        }
    }

    private func draw(_ height: UInt64, _ request: DrawRequest) {
        signing.add { [self] done in
            device.gossip.request({ .draw($0, request) }) { [self, life] answer in
                guard self.life == life else { return }
                guard case .drawn(let response) = answer else { return done(false) }
                later(0) { [self] in step(.drawn(height: height, response.proof)) }
                done(true)
            }
        }
    }

    private func publish(_ publication: @escaping () -> Publication?) {
        publishing.add { [self] done in
            guard let publication = publication() else { return done(true) }
            device.gossip.request({ .publish($0, publication) }) { done($0 != nil) }
        }
    }
}

/// Errands to gossip, one after the other, each tried for five seconds.
private final class ErrandQueue {
    private struct Errand {
        var since: Int64
        var run: (@escaping (Bool) -> Void) -> Void
    }

    private static let patience: Int64 = 5_000
    private unowned let process: SimulatedProcess
    private var errands: [Errand] = []
    private var isBusy = false
    private var delay: Int64 = 50

    init(of process: SimulatedProcess) { self.process = process }

    func add(_ run: @escaping (@escaping (Bool) -> Void) -> Void) {
        errands.append(Errand(since: process.time.now, run: run))
        next()
    }

    func forget() {
        errands = []
        isBusy = false
        delay = 50
    }

    private func next() {
        guard !isBusy, let errand = errands.first else { return }
        isBusy = true
        let life = process.life
        errand.run { [self] done in
            guard process.life == life else { return }
            if done || process.time.now + delay >= errand.since + Self.patience {
                errands.removeFirst()
                isBusy = false
                delay = 50
                next()
            } else {
                process.later(delay) { [self] in
                    isBusy = false
                    next()
                }
                delay = min(delay * 2, 500)
            }
        }
    }
}

extension SimulatedDisk {
    /// Blocks from `height` on, or the first piece of a snapshot that stands for them.
    fileprivate func answer(from height: UInt64, to node: NodeID) -> Publication? {
        var heights: ClosedRange<UInt64>?
        if let first = blocks.first, let last = blocks.last { heights = first.height...last.height }
        let offer = CatchUpOffer(
            blocks: heights, blockBytes: blocks.last.map { $0.block.count + $0.certificate.count } ?? 0,
            snapshot: snapshot.map { ($0.height, $0.bytes.count) })
        if offer.prefersSnapshot(from: height) { return snapshot?.piece(0)?.publication(to: node) }
        guard heights?.contains(height) == true else { return nil }
        return CommittedBlocks.publication(of: blocks.filter { $0.height >= height }, to: node)
    }
}

extension StoredSnapshot {
    /// The piece asked for, or the first one if another snapshot has taken the place of that one.
    fileprivate func piece(_ index: UInt32, of digest: Digest, to node: NodeID) -> Publication? {
        piece(digest == self.digest ? index : 0)?.publication(to: node)
    }
}
