import Contracts
import MonitorCore

/// monitor with its core: reads the simulated engine.
final class MonitorProcess: SimulatedProcess {
    private var machine: MonitorMachine?
    private lazy var alarms = Alarms<String>(of: self)

    init(on device: SimulatedDevice) { super.init(.monitor, on: device) }

    override func boot() {
        let stated = StatedCapacity(diskBytesPerSecond: 50_000_000, networkBytesPerSecond: 12_500_000)
        machine = MonitorMachine(MonitorParameters(interval: 500, capacity: stated))
        step(.due(now: device.now))
    }

    override func halt() { machine = nil }

    /// The matrix that `GET /load` begins with.
    var newest: LoadMatrix? { machine?.newest }

    private func step(_ event: MonitorEvent) {
        perform(machine?.step(event) ?? []) { effect in
            switch effect {
            case .sample(let describingEngine): later(time.draw(2...40)) { [self] in sample(describingEngine) }
            case .publish(let matrix): device.gossip.take(matrix, from: self)
            case .arm(let delay): alarms.arm("due", after: delay) { [self] in step(.due(now: device.now)) }
            case .withdraw, .countFailure, .countLabel, .countFigures, .log: break
            }
        }
    }

    private func sample(_ describingEngine: Bool) {
        let engine = device.engine
        let description = EngineDescription(
            processors: engine.millicores / 1_000, memoryBytes: 4 << 30, architecture: "aarch64", kernel: "6.12",
            version: "29", storageDriver: "overlay2", experimental: true, pageSize: 4_096)
        step(
            .sampled(
                Sample(
                    now: device.now, timestamp: device.wallTime, engine: describingEngine ? description : nil,
                    containers: engine.readings(now: device.now))))
    }
}
