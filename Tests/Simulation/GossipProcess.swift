import Contracts
import GossipCore

/// gossip with its core: requests to other devices go over the simulated network.
final class GossipProcess: SimulatedProcess {
    private var machine: GossipMachine?
    private lazy var alarms = Alarms<GossipTimer>(of: self)
    private var waiting: [UInt64: (GossipAnswer?) -> Void] = [:]
    private var requests: UInt64 = 0
    private var source: Int?

    init(on device: SimulatedDevice) { super.init(.gossip, on: device) }

    override func boot() {
        if device.disk.sequences == nil {
            (device.disk.sequences, device.disk.ledger) = GossipMachine.initialRecords
        }
        let others = site.devices.filter { $0 !== device && $0.isFounder }.map(\.gossipAddress)
        let configuration = GossipConfiguration(
            name: device.name, site: site.name, reportInterval: 1_000, peers: Array(others.prefix(2)),
            operatorKey: SimulatedSite.operatorKey.publicKey)
        do {
            machine = try GossipMachine(
                key: device.key, configuration: configuration, sequences: device.disk.sequences,
                ledger: device.disk.ledger, epoch: time.seed())
        } catch {
            return site.judge.complain(device, "gossip can't read what it stored: \(error)")
        }
        step(.advertise(gossip: device.gossipAddress, migrator: device.migratorAddress))
        step(.started)
    }

    /// Whoever waits for an answer sees the connection break.
    override func halt() {
        machine = nil
        source = nil
        let broken = waiting.sorted { $0.key < $1.key }
        waiting = [:]
        for (_, answer) in broken { time.after(1) { answer(nil) } }
    }

    // MARK: - For the other processes

    /// A request, as over the socket or from another device; answered with nil if the process dies first.
    func request(_ kind: (RequestNumber) -> GossipEvent.Kind, _ answer: @escaping (GossipAnswer?) -> Void) {
        guard isUp else {
            time.after(1) { answer(nil) }
            return
        }
        requests += 1
        let number = requests
        waiting[number] = answer
        let event = kind(RequestNumber(number))
        later(1) { [self] in step(event) }
    }

    func lines(after cursor: String?, kinds: Set<MessageKind>) -> [FeedMessage] {
        machine?.feed.lines(after: cursor, kinds: kinds) ?? []
    }

    func follow(_ monitor: MonitorProcess) {
        guard monitor.isUp else { return }
        source = monitor.life
        if let newest = monitor.newest { take(newest, from: monitor) }
    }

    func take(_ matrix: LoadMatrix, from monitor: MonitorProcess) {
        guard isUp, source == monitor.life else { return }
        later(1) { [self] in step(.load(device.liar?.distorted(matrix) ?? matrix)) }
    }

    // MARK: - Effects

    private func step(_ kind: GossipEvent.Kind) {
        perform(machine?.step(GossipEvent(now: device.now, kind)) ?? []) { effect in
            switch effect {
            case .persistSequences(let bytes): device.disk.sequences = bytes
            case .persistLedger(let bytes): if site.mutant != .volatileVotes { device.disk.ledger = bytes }
            case .send(let ticket, let batch, let address): send(ticket, batch, address)
            case .ask(let ticket, let question, let address): ask(ticket, question, address)
            case .identify(let address): identify(address)
            case .askPeers(let peer, let address): askPeers(peer, address)
            case .deliver(let line):
                device.planner.take(line, from: self)
                device.consensus.take(line, from: self)
                device.liar?.hear(line.message)
            case .answer(let number, let answer):
                if let waiter = waiting.removeValue(forKey: number.number) { time.after(1) { waiter(answer) } }
            case .setTimer(let timer, let delay): alarms.arm(timer, after: delay) { [self] in step(.timer(timer)) }
            case .log(let level, let text):
                if level == .error { site.judge.complain(device, "gossip: \(text)") }
            case .count, .connected, .pooled: break
            }
        }
    }

    private func send(_ ticket: Ticket, _ batch: Batch, _ address: String) {
        over(address, { .received($0, batch) }) { [self] answer in
            switch answer {
            case .received: step(.sent(ticket))
            case .problem(let problem): step(.refused(ticket, reason: problem.detail))
            default: step(.failed(ticket, reason: "no answer"))
            }
        }
    }

    private func ask(_ ticket: Ticket, _ question: Question, _ address: String) {
        let begun = device.now
        over(address, { .asked($0, question) }) { [self] answer in
            switch answer {
            case .needed(let needed):
                step(.answered(ticket, needed: needed, roundTrip: (device.now - begun) * 1_000))
            case .problem(let problem): step(.refused(ticket, reason: problem.detail))
            default: step(.failed(ticket, reason: "no answer"))
            }
        }
    }

    private func over(
        _ address: String, _ kind: @escaping (RequestNumber) -> GossipEvent.Kind,
        _ done: @escaping (GossipAnswer?) -> Void
    ) {
        site.network.ask(from: device, address) { target, reply in
            target.gossip.request(kind, reply)
        } done: { [self, life] answer in
            if self.life == life { later(0) { done(answer) } }
        }
    }

    private func identify(_ address: String) {
        let begun = device.now
        site.network.ask(from: device, address) { target, reply in
            reply(target.gossip.machine?.info)
        } done: { [self, life] (info: NodeInfo?) in
            guard self.life == life else { return }
            guard let info else { return step(.unidentified(address: address, reason: "no answer")) }
            step(.identified(address: address, info, roundTrip: (device.now - begun) * 1_000))
        }
    }

    private func askPeers(_ peer: NodeID, _ address: String) {
        let begun = device.now
        site.network.ask(from: device, address) { target, reply in
            reply(target.gossip.machine?.peerStates(now: target.now))
        } done: { [self, life] (states: [PeerState]?) in
            guard self.life == life else { return }
            guard let states else { return step(.peersNotLearned(from: peer, reason: "no answer")) }
            let hints = states.map { PeerHint(id: $0.id, address: $0.address) }
            step(.peersLearned(from: peer, hints, roundTrip: (device.now - begun) * 1_000))
        }
    }
}
