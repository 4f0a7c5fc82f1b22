import ConsensusCore
import Contracts

/// consensus with its core.
final class ConsensusProcess: SimulatedProcess {
    private var machine: ConsensusMachine?
    private lazy var alarms = Alarms<ConsensusTimer>(of: self)
    private var source: Int?
    private var cursor: String?
    /// Planner's newest head, kept until the machine is there.
    private var early: SiteHead?

    init(on device: SimulatedDevice) { super.init(.consensus, on: device) }

    override func boot() { identify() }

    override func halt() {
        machine = nil
        source = nil
        cursor = nil
        early = nil
    }

    /// Waits for gossip, which alone knows which node this is.
    private func identify() {
        guard device.gossip.isUp else { return later(time.draw(50...500)) { [self] in identify() } }
        let configuration = ElectionConfiguration(own: device.id, seed: time.seed(), heartbeat: 500, timeout: 1_500)
        do {
            let election = try site.engine.init(configuration, stored: device.disk.election)
            machine = ConsensusMachine(own: device.id, election: election)
        } catch {
            return site.judge.complain(device, "consensus can't read what it stored: \(error)")
        }
        announce()
        if let early { take(early) }
    }

    var leadership: Leadership? { machine?.leadership }

    private func announce() {
        if let leadership { device.planner.take(leadership, from: self) }
    }

    func follow(_ gossip: GossipProcess) {
        guard gossip.isUp else { return }
        source = gossip.life
        for line in gossip.lines(after: cursor, kinds: [.election]) { take(line, from: gossip) }
    }

    func take(_ line: FeedMessage, from gossip: GossipProcess) {
        guard isUp, source == gossip.life, line.message.kind == .election else { return }
        later(1) { [self] in
            cursor = line.cursor
            step(.message(line.message))
        }
    }

    func take(_ head: SiteHead) {
        guard isUp else { return }
        guard machine != nil else {
            early = head
            return
        }
        later(1) { [self] in step(.head(head)) }
    }

    func take(_ blame: Blame) {
        guard isUp else { return }
        later(1) { [self] in step(.blame(blame)) }
    }

    private func step(_ kind: ConsensusEvent.Kind) {
        perform(machine?.step(ConsensusEvent(now: device.now, kind)) ?? []) { effect in
            switch effect {
            case .persist(let bytes): device.disk.election = bytes
            case .publish(let publication): device.gossip.request({ .publish($0, publication) }, { _ in })
            case .setTimer(let timer, let delay): alarms.arm(timer, after: delay) { [self] in step(.timer(timer)) }
            case .cancelTimer(let timer): alarms.disarm(timer)
            case .leadership(let leadership):
                if leadership.leader == device.id { site.note(device, "leads in term \(leadership.term)") }
                if let head = machine?.head { site.judge.led(leadership, says: device, at: head) }
                announce()
            case .ask(let question): ask(question)
            case .count, .log: break
            }
        }
    }

    /// There is no etcd in a simulated site.
    private func ask(_ question: ElectionQuestion) {
        guard case .draw(let alpha) = question else { return later(1) { [self] in step(.answer(question, nil)) } }
        device.gossip.request({ .draw($0, DrawRequest(alpha: alpha)) }) { [self, life] answer in
            guard self.life == life else { return }
            var proof: ElectionAnswer?
            if case .drawn(let response) = answer { proof = .drawn(response.proof) }
            later(0) { [self] in step(.answer(question, proof)) }
        }
    }
}
