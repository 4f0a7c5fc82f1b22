import Contracts
import Identity
import MigratorCore
import PlannerCore

/// A device: its power, clocks, disk, engine and five processes.
final class SimulatedDevice {
    /// What a device's clocks say. The monotonic one begins anywhere and anew with each boot.
    struct Clock {
        /// Parts per million by which it runs fast or slow.
        var skew: Int64
        var wallOffset: Int64
        fileprivate(set) var bootedAt: Int64 = 0
        fileprivate var monotonicAtBoot: Int64 = 0

        /// Global milliseconds that pass while this clock counts `local`; rounded up, as timers never come early.
        func duration(_ local: Int64) -> Int64 {
            local <= 0 ? 0 : (local * 1_000_000 + (999_999 + skew)) / (1_000_000 + skew)
        }
    }

    let number: Int
    let name: String
    let key: SigningKey
    unowned let site: SimulatedSite
    let engine: SimulatedEngine
    var disk = SimulatedDisk()
    var clock: Clock
    /// Milliseconds by which whatever is done here takes longer, at most.
    var slowness = 0
    /// Set if it lies.
    fileprivate(set) var liar: Liar?
    /// By which it is to join a site that is there; nil for founders.
    var invitation: InvitationToken?
    var isFounder: Bool { number < site.cast.devices }
    private(set) var isOn = false
    private(set) var boots = 0

    var id: NodeID { key.nodeID }
    var gossipAddress: String { "\(name):7700" }
    var migratorAddress: String { "\(name):7701" }

    init(number: Int, site: SimulatedSite, capacity: Int) {
        self.number = number
        name = "pi\(number + 1)"
        self.site = site
        var seed = [UInt8](repeating: 0, count: SigningKey.seedCount)
        for index in seed.indices { seed[index] = UInt8(site.time.draw(0...255)) }
        guard let key = SigningKey(seed: seed) else { preconditionFailure("a seed has 32 bytes") }
        self.key = key
        clock = Clock(skew: site.time.draw(-1_000...1_000), wallOffset: site.time.draw(-3_000...3_000))
        if site.time.chance(perMille: 50) { clock.wallOffset = site.time.draw(-400...400) * 86_400_000 }
        engine = SimulatedEngine(time: site.time, millicores: capacity)
    }

    func lie(_ behaviours: [Liar.Behaviour], with conspiracy: Conspiracy) {
        liar = Liar(self, behaviours, conspiracy)
    }

    private(set) lazy var monitor = MonitorProcess(on: self)
    private(set) lazy var gossip = GossipProcess(on: self)
    private(set) lazy var consensus = ConsensusProcess(on: self)
    private(set) lazy var planner = PlannerProcess(on: self)
    private(set) lazy var migrator = MigratorProcess(on: self)

    subscript(service: Service) -> SimulatedProcess {
        switch service {
        case .monitor: monitor
        case .gossip: gossip
        case .consensus: consensus
        case .planner: planner
        case .migrator: migrator
        }
    }

    /// Milliseconds of the monotonic clock.
    var now: Int64 {
        clock.monotonicAtBoot + (site.time.now - clock.bootedAt) * (1_000_000 + clock.skew) / 1_000_000
    }

    /// Milliseconds since 1970, as this device believes.
    var wallTime: Int64 { 1_750_000_000_000 + site.time.now + clock.wallOffset }

    // MARK: - Power

    /// - Note: a device that is still to be invited isn't there yet.
    func switchOn() {
        guard !isOn, isFounder || invitation != nil else { return }
        isOn = true
        boots += 1
        clock.bootedAt = site.time.now
        clock.monotonicAtBoot = site.time.draw(1_000...100_000)
        for service in Service.allCases {
            site.time.after(site.time.draw(10...800)) { [self] in self[service].start() }
        }
    }

    /// Memory is lost at once: that of the processes and that of the containers.
    func switchOff() {
        guard isOn else { return }
        isOn = false
        for service in Service.allCases { self[service].kill() }
        engine.losePower()
    }

    /// As `kill -9`; whoever looks after the process starts it again.
    func killAndRestart(_ service: Service, after delay: Int64) {
        self[service].kill()
        site.time.after(delay) { [self] in self[service].start() }
    }

    // MARK: - Feeds between the processes

    /// A process came up: those that follow it, and it itself, notice within their back-off.
    func connectFeeds(of service: Service) {
        func soon(_ consumer: SimulatedProcess, _ connect: @escaping () -> Void) {
            site.time.after(site.time.draw(5...400)) { if consumer.isUp { connect() } }
        }
        if [.monitor, .gossip].contains(service) { soon(gossip) { [self] in gossip.follow(monitor) } }
        if [.gossip, .consensus].contains(service) { soon(consensus) { [self] in consensus.follow(gossip) } }
        if [.gossip, .planner].contains(service) { soon(planner) { [self] in planner.follow(gossip) } }
        if [.consensus, .planner].contains(service) { soon(planner) { [self] in planner.follow(consensus) } }
        if [.planner, .migrator].contains(service) { soon(migrator) { [self] in migrator.follow(planner) } }
    }
}

/// What survives everything: exactly what a core has asked to be made durable.
struct SimulatedDisk {
    var sequences: [UInt8]?
    var ledger: [UInt8]?
    var election: [UInt8]?
    var genesis: [UInt8]?
    var agreement: StoredAgreement?
    var blocks: [CommittedBlock] = []
    var snapshot: StoredSnapshot?
    var journal = Journal()
}
