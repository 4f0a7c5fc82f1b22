import Contracts
import GossipCore
import Identity
import PlannerCore

/// A Byzantine device. Its processes are the honest ones, but what its planner wants to say goes through here, and here is its
/// key, so that it can sign whatever it likes without its gossip's ledger. Its migrator is honest: a device that says that an
/// app runs there when it doesn't is seen by nobody but the app's users.
public final class Liar {
    public enum Behaviour: String, CaseIterable, Sendable {
        /// Proposes one block to some and another to others, and votes to each as if there were no other.
        case equivocate
        /// Invents votes, blocks, certificates, reports and statuses of others, with signatures that can't be right.
        case forge
        /// Says again what others have said before.
        case replay
        /// Proposes nothing, votes to some only, sends no blocks to those that lag.
        case withhold
        /// Proposes blocks with another plan, state root, draw, hash or time than is right.
        case wrongPlan = "wrong-plan"
        /// Votes for whatever is proposed, also twice.
        case voteForAnything = "vote-for-anything"
        /// Never votes for a block.
        case voteForNothing = "vote-for-nothing"
        /// Reports loads that are huge, nothing or changing, and apps it doesn't have.
        case lieAboutLoad = "lie-about-load"
        /// Leaves out what others report and ask for.
        case censor
        /// Doesn't propose when its draw doesn't suit it.
        case grind
        /// Sets its blocks' time as late as is allowed.
        case time
        /// Makes one member at a time lock a block by a vote that nobody else gets to see.
        case jam
        /// Helps blocks to be locked and none to be decided, and then proposes another one.
        case split
        /// Orders in the operator's place, brings nodes that nobody invited, and speaks in others' names.
        case usurp
    }

    unowned let device: SimulatedDevice
    let behaviours: Set<Behaviour>
    let conspiracy: Conspiracy
    var sequences: [MessageKind: UInt64] = [:]
    /// What others have said, the newest last.
    var heard: [SignedMessage] = []
    /// What is said in each round, and to whom. Said again it is said alike.
    var proposals: [Slot: [Saying]] = [:]
    var votes: [Slot: [VoteStep: [Saying]]] = [:]
    /// The operator's orders that it has heard of.
    var orders: [SignedOrder] = []
    /// What its next block is to hold without right.
    var contraband: Contraband?

    struct Saying {
        var payload: [UInt8]
        var to: [SimulatedDevice]
    }

    init(_ device: SimulatedDevice, _ behaviours: [Behaviour], _ conspiracy: Conspiracy) {
        self.device = device
        self.behaviours = Set(behaviours)
        self.conspiracy = conspiracy
        conspiracy.join(self)
        if does(.forge) || does(.replay) || does(.usurp) { time.after(5_000) { [unowned self] in misbehave() } }
    }

    var site: SimulatedSite { device.site }
    var time: Timeline { device.site.time }
    func does(_ behaviour: Behaviour) -> Bool { behaviours.contains(behaviour) }

    /// Honest members, in order of number.
    var honest: [SimulatedDevice] {
        let nodes = device.planner.state?.nodes
        return site.devices.filter { $0.liar == nil && nodes?[$0.id] != nil }
    }
    /// Votes that decide the next block.
    var quorum: Int { device.planner.state?.quorum.votes ?? site.quorum }
    var others: [SimulatedDevice] { site.devices.filter { $0 !== device } }

    /// One of two groups into which honest devices fall, the same for all liars.
    func half(_ device: SimulatedDevice, _ slot: Slot) -> Bool {
        (device.number + Int(slot.height) + Int(slot.round)).isMultiple(of: 2)
    }

    // MARK: - What its planner says

    /// Whether it takes charge of what planner wants to publish.
    func takes(_ publication: Publication) -> Bool {
        guard let state = device.planner.state else { return false }
        let bytes = publication.payload.bytes
        switch publication.kind {
        case .proposal: propose(bytes, state)
        case .vote: vote(bytes)
        case .status: send(.status, status(bytes), to: others)
        case .blocks:
            if does(.withhold) { break }
            send(.blocks, bytes, to: others.filter { $0.id == publication.to })
        default: return false
        }
        return true
    }

    private func status(_ bytes: [UInt8]) -> [UInt8] {
        guard does(.forge), time.chance(perMille: 300), var status = try? ChainStatus(encoded: bytes) else {
            return bytes
        }
        switch time.draw(0...2) {
        case 0: status.height += UInt64(time.draw(1...1_000))
        case 1: status.round = .max
        default: status.head = noise()
        }
        site.note(device, "LIES about its chain: height \(status.height), round \(status.round)")
        return status.encoded
    }

    /// What its gossip delivers.
    func hear(_ message: SignedMessage) {
        guard message.sender != device.id, device.planner.state != nil else { return }
        if does(.replay) {
            heard.append(message)
            if heard.count > 300 { heard.removeFirst(100) }
        }
        switch message.kind {
        case .proposal:
            guard let offered = try? ProposalMessage(encoded: message.payload.bytes) else { return }
            guard conspiracy.hear(offered.proposal, from: message.sender), does(.voteForAnything) else { return }
            voteFor(offered.proposal)
        case .vote:
            guard does(.jam), let vote = try? SignedVote(encoded: message.payload.bytes) else { return }
            conspiracy.hear(vote)
            jam(Slot(height: vote.vote.height, round: vote.vote.round))
        case .transaction:
            guard does(.usurp), case .order(let order)? = try? Transaction(encoded: message.payload.bytes) else {
                return
            }
            orders.append(order)
        default: break
        }
    }

    // MARK: - Its load

    /// What gossip takes for monitor's sample.
    func distorted(_ matrix: LoadMatrix) -> LoadMatrix {
        guard does(.lieAboutLoad), device.planner.state != nil else { return matrix }
        var lie = matrix
        let most = Int(Int32.max)
        switch (time.now / 4_000 + Int64(device.number)) % 6 {
        case 0:
            lie.device = Score(cpu: most, ram: most, disk: most, network: most)
            for index in lie.apps.indices { lie.apps[index].score = lie.device }
        case 1:
            lie.device = Score(cpu: 0, ram: 0, disk: 0, network: 0)
            for index in lie.apps.indices { lie.apps[index].score = lie.device }
        case 2:
            lie.device.cpu = Int(time.draw(0...3_000_000))
        case 3:
            let names = (device.planner.state?.apps.ascending ?? []).map(\.specification.name)
            lie.apps = names.map {
                AppScore(app: $0, incarnation: UInt64(time.draw(0...20)), score: Score(cpu: most, ram: 1))
            }
        case 4:
            lie.capacity = Capacity(
                cpuMillicores: 1 << 50, ramBytes: 1 << 50, diskBytesPerSecond: 1 << 50, networkBytesPerSecond: 1 << 50)
        default:
            lie.capacity = Capacity(cpuMillicores: 1, ramBytes: 1, diskBytesPerSecond: 1, networkBytesPerSecond: 1)
        }
        return lie
    }

    // MARK: - Its voice

    /// Signs a message and hands it to some, past its gossip. Numbers of these kinds are given here alone.
    func send(_ kind: MessageKind, _ payload: [UInt8], to targets: [SimulatedDevice], relayed: Bool = false) {
        guard !targets.isEmpty else { return }
        let sequence = sequences[kind, default: 0] + 1
        sequences[kind] = sequence
        let bytes = SignedMessage.signedBytes(
            site: GossipMachine.siteDigest(site.name), kind: kind, sequence: sequence, payload: payload)
        let signature = device.key.sign(bytes)
        hand(
            SignedMessage(kind: kind, sender: device.id, sequence: sequence, payload: payload, signature: signature),
            to: targets, relayed: relayed)
    }

    /// - Parameter from: who it says hands it over.
    func hand(
        _ message: SignedMessage, to targets: [SimulatedDevice], relayed: Bool = false, from: NodeID? = nil
    ) {
        guard device.gossip.isUp else { return }
        let batch = Batch(
            site: GossipMachine.siteDigest(site.name), from: from ?? device.id,
            deliveries: [Delivery(relay: relayed, message: message)])
        for target in targets where target !== device {
            site.network.ask(from: device, target.gossipAddress) { target, reply in
                target.gossip.request({ .received($0, batch) }, reply)
            } done: { (_: GossipAnswer?) in
            }
        }
    }

    func noise() -> Digest { Digest(unchecked: (0..<Digest.count).map { _ in UInt8(time.draw(0...255)) }) }
    func falseSignature() -> Signature { Signature(unchecked: noise().bytes + noise().bytes) }
}
