/// The wire between devices: requests with answers, each of which may be late, lost, or, for requests, come twice.
final class SimulatedNetwork {
    struct Weather {
        /// Of 1,000 requests, and of as many answers.
        var loss = 2
        var duplication = 10
        /// Milliseconds one way.
        var delay = 1...30
    }

    /// Milliseconds after which an answer isn't waited for any more.
    static let patience: Int64 = 2_000

    private let time: Timeline
    /// By each of their addresses.
    private var devices: [String: SimulatedDevice] = [:]
    /// How often it is cut off what one device says to another, by their numbers.
    private var cuts: [[Int]] = []
    private var storms: [Int: Weather] = [:]
    private let calm: Weather
    private(set) var requests = 0

    init(time: Timeline, weather: Weather) {
        self.time = time
        calm = weather
    }

    /// - Precondition: devices come in the order of their numbers.
    func attach(_ device: SimulatedDevice) {
        devices[device.gossipAddress] = device
        devices[device.migratorAddress] = device
        for index in cuts.indices { cuts[index].append(0) }
        cuts.append(Array(repeating: 0, count: cuts.count + 1))
    }

    /// Asks the device at `address`, as `pi1:7700`.
    ///
    /// - Parameters:
    ///   - serve: on the other side, 0, 1 or 2 times. Its answer of nil is a connection refused or broken.
    ///   - done: here, once: with the answer, or nil if none came in time.
    func ask<Answer>(
        from source: SimulatedDevice, _ address: String,
        serve: @escaping (SimulatedDevice, @escaping (Answer?) -> Void) -> Void, done: @escaping (Answer?) -> Void
    ) {
        requests += 1
        var isDone = false
        func finish(_ answer: Answer?) {
            guard !isDone else { return }
            isDone = true
            done(answer)
        }
        time.after(Self.patience) { finish(nil) }
        guard let target = devices[address] else { return }
        let copies = time.chance(perMille: weather.duplication) ? 2 : 1
        for _ in 0..<copies where passes(source, target) {
            time.after(delay) { [self] in
                guard target.isOn else { return }
                serve(target) { [self] answer in
                    guard passes(target, source) else { return }
                    time.after(delay) { finish(answer) }
                }
            }
        }
    }

    private var weather: Weather { storms.isEmpty ? calm : storms.max { $0.key < $1.key }?.value ?? calm }
    private var delay: Int64 { time.draw(weather.delay) }

    private func passes(_ source: SimulatedDevice, _ target: SimulatedDevice) -> Bool {
        cuts[source.number][target.number] == 0 && !time.chance(perMille: weather.loss)
    }

    // MARK: - Faults

    func cut(from: Int, to: Int) { cuts[from][to] += 1 }
    func mend(from: Int, to: Int) { cuts[from][to] -= 1 }
    func begin(_ storm: Weather, number: Int) { storms[number] = storm }
    func endStorm(number: Int) { storms[number] = nil }
}
