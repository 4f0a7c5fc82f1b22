/// The five services of a device.
public enum Service: String, CaseIterable, Sendable { case monitor, gossip, consensus, planner, migrator }

/// A service as a process: it can be killed at any instant, even between two effects of a step, and is then started
/// again with nothing but its disk. What was on its way to it or set to wake it is gone.
class SimulatedProcess {
    let service: Service
    unowned let device: SimulatedDevice
    private(set) var isUp = false
    /// Differs in each run of the process.
    private(set) var life = 0
    /// Until when the process gets no processor time.
    private var stalledUntil: Int64 = 0
    private var startedAt: Int64 = 0
    /// When it was last not there or had no processor time.
    var lastAway: Int64 { isUp ? min(time.now, max(startedAt, stalledUntil)) : time.now }

    init(_ service: Service, on device: SimulatedDevice) {
        self.service = service
        self.device = device
    }

    var site: SimulatedSite { device.site }
    var time: Timeline { device.site.time }

    func start() {
        guard !isUp, device.isOn else { return }
        life += 1
        isUp = true
        stalledUntil = 0
        startedAt = time.now
        boot()
        device.connectFeeds(of: service)
    }

    func kill() {
        guard isUp else { return }
        isUp = false
        life += 1
        halt()
    }

    func stall(for milliseconds: Int64) { stalledUntil = time.now + milliseconds }

    /// Starts anew from the disk.
    func boot() {}
    /// Forgets everything that isn't on the disk.
    func halt() {}

    /// Does something later, if this run of the process lasts that long.
    func later(_ delay: Int64, _ body: @escaping () -> Void) {
        let life = life
        let hindrance = device.slowness > 0 ? time.draw(0...device.slowness) : 0
        time.after(delay + hindrance) { [unowned self] in
            guard self.life == life else { return }
            if stalledUntil > time.now { return later(stalledUntil - time.now, body) }
            body()
        }
    }

    /// Performs effects in order. The process may die between any two of them, or the whole device lose its power: the write that
    /// is under way is then lost, and what the step would have done after it isn't done.
    func perform<Effect>(_ effects: [Effect], _ body: (Effect) -> Void) {
        let life = life
        for effect in effects {
            if site.suddenDeaths > 0, time.draw(0...9_999) < site.suddenDeaths {
                site.strike(device, service)
            }
            guard self.life == life else { return }
            body(effect)
        }
    }
}

/// A process's timers, by its device's own clock. They go with the run of the process that has set them.
final class Alarms<Key: Hashable> {
    private unowned let process: SimulatedProcess
    private var numbers: [Key: Int] = [:]
    private var count = 0

    init(of process: SimulatedProcess) { self.process = process }

    /// (Re)arms a timer.
    func arm(_ key: Key, after local: Int64, _ fire: @escaping () -> Void) {
        count += 1
        let number = count
        numbers[key] = number
        process.later(process.device.clock.duration(local)) { [unowned self] in
            guard numbers[key] == number else { return }
            numbers[key] = nil
            fire()
        }
    }

    func disarm(_ key: Key) { numbers[key] = nil }
}
