import Contracts
import Machine

public struct MonitorParameters: Hashable, Sendable {
    /// Milliseconds from one sample to the next.
    public var interval: Int64
    public var capacity: StatedCapacity
    public var facts: StatedFacts

    public init(interval: Int64, capacity: StatedCapacity, facts: StatedFacts = StatedFacts()) {
        self.interval = interval
        self.capacity = capacity
        self.facts = facts
    }
}

/// Takes the state matrix of one device (paper, section 5): asks for a sample when it is time, turns the counters of
/// two samples into parts per million, and knows whether what it says can be relied on.
public struct MonitorMachine: StateMachine {
    /// Milliseconds between two descriptions of the engine: it changes only when it restarts.
    static let descriptionInterval: Int64 = 60_000
    /// Milliseconds between two attempts at most.
    static let longestPause: Int64 = 5_000
    /// Milliseconds without a sample after which the device is no longer measured.
    static let patience: Int64 = 5_000

    private struct Known {
        var usage: Usage
        var complaints: [LabelFault]
    }

    private let parameters: MonitorParameters
    private var device: Device?
    private var described: Int64?
    private var known: [String: Known] = [:]
    private var due: Int64?
    /// When the last sample was taken.
    private var sampled: Int64?
    /// What ended the attempts since then.
    private var failure: Failure?

    private struct Failure {
        var reason: String
        var times: Int64
    }

    /// The matrix of the last sample; nil if the last attempt failed.
    public private(set) var newest: LoadMatrix?
    /// What is wrong with labels in the last sample, for people.
    public private(set) var complaints: [String] = []

    public init(_ parameters: MonitorParameters) { self.parameters = parameters }

    public mutating func step(_ event: MonitorEvent) -> [MonitorEffect] {
        switch event {
        case .due(let now):
            due = now
            // After a failure another engine may have come up in its place.
            let isCurrent = described.map { now - $0 < Self.descriptionInterval } ?? false
            return [.sample(describingEngine: !isCurrent)]
        case .sampled(let sample):
            do throws(Unmeasurable) {
                return try take(sample)
            } catch {
                return fail(.unmeasurable, error.reason)
            }
        case .failed(let fault, let reason):
            return fail(fault, reason)
        }
    }

    private mutating func take(_ sample: Sample) throws(Unmeasurable) -> [MonitorEffect] {
        if let engine = sample.engine {
            device = try Device(engine, stated: parameters.capacity, facts: parameters.facts)
            described = sample.now
        }
        guard let device else { throw Unmeasurable(reason: "the engine has not described itself yet") }
        var effects: [MonitorEffect] = []
        if failure != nil { effects.append(.log(.info, "the engine can be read again")) }
        let measured = measure(sample.containers, on: device, counting: &effects)
        let census = Census(measured)
        effects += complain(census.rejections)
        let matrix = LoadMatrix(
            timestamp: sample.timestamp, device: census.device, apps: census.apps, services: census.services,
            capacity: device.capacity, facts: device.facts)
        newest = matrix
        sampled = sample.now
        failure = nil
        return effects + [.publish(matrix), .arm(afterMilliseconds: untilNext(now: sample.now))]
    }

    /// Scores the containers that hold something, in the order of their identifiers, and forgets those that are gone.
    private mutating func measure(
        _ readings: [ContainerReading], on device: Device, counting effects: inout [MonitorEffect]
    ) -> [Measured] {
        var kept: [String: Known] = [:]
        var measured: [Measured] = []
        var counts: [FigureFault: Int] = [:]
        let memory = max(Self.patience, 4 * parameters.interval) * 1_000_000
        for reading in readings.sorted(by: { $0.id < $1.id }) {
            guard ["running", "paused"].contains(reading.state), kept[reading.id] == nil else { continue }
            var entry = known[reading.id] ?? Known(usage: Usage(created: reading.created), complaints: [])
            if entry.usage.created != reading.created {
                entry = Known(usage: Usage(created: reading.created), complaints: [])
            }
            var score = Score()
            if let counters = reading.counters {
                let (taken, faults) = entry.usage.take(counters, device: device, memory: memory)
                score = taken
                for fault in faults { counts[fault, default: 0] += 1 }
            } else {
                counts[.unread, default: 0] += 1
            }
            kept[reading.id] = entry
            measured.append(Measured(reading: reading, score: score))
        }
        known = kept
        for fault in FigureFault.allCases {
            if let count = counts[fault] { effects.append(.countFigures(fault, count)) }
        }
        return measured
    }

    /// Counts and logs what wasn't said before of the same container.
    private mutating func complain(_ rejections: [Census.Rejection]) -> [MonitorEffect] {
        complaints = []
        var effects: [MonitorEffect] = []
        for rejection in rejections {
            let sentence = "container \(quoted(rejection.container.name)) \(rejection.error.reason)"
            complaints.append(sentence)
            let fault = rejection.error.fault
            guard var entry = known[rejection.container.id], !entry.complaints.contains(fault) else { continue }
            entry.complaints.append(fault)
            known[rejection.container.id] = entry
            effects.append(.countLabel(fault))
            effects.append(.log(.warning, sentence))
        }
        return effects
    }

    private mutating func fail(_ fault: SampleFault, _ reason: String) -> [MonitorEffect] {
        var effects: [MonitorEffect] = [.countFailure(fault)]
        if failure?.reason != reason { effects.append(.log(.warning, reason)) }
        failure = Failure(reason: reason, times: (failure?.times ?? 0) + 1)
        let doubled = parameters.interval << min((failure?.times ?? 1) - 1, 8)
        newest = nil
        complaints = []
        described = nil
        let pause = max(parameters.interval, min(doubled, Self.longestPause))
        return effects + [.withdraw, .arm(afterMilliseconds: pause)]
    }

    /// Milliseconds until the next sample of the series that the timer began; moments that passed are left out.
    private func untilNext(now: Int64) -> Int64 {
        guard let due, now >= due else { return parameters.interval }
        return parameters.interval - (now - due) % parameters.interval
    }

    /// What can be relied on, by name.
    ///
    /// - Parameter now: milliseconds of our monotonic clock.
    public func checks(now: Int64) -> [String: HealthCheck] {
        var checks: [String: HealthCheck] = [:]
        checks["engine"] = engineCheck(now: now)
        if complaints.isEmpty {
            checks["labels"] = HealthCheck(.pass)
        } else {
            let shown = complaints.prefix(3).joined(separator: "; ")
            let more = complaints.count > 3 ? "; and \(complaints.count - 3) more" : ""
            checks["labels"] = HealthCheck(.warn, shown + more)
        }
        if let newest { checks["figures"] = HealthCheck(.pass, Self.missing(newest.device)) }
        return checks
    }

    private func engineCheck(now: Int64) -> HealthCheck {
        switch (failure, sampled) {
        case (nil, nil):
            return HealthCheck(.fail, "no sample was taken yet")
        case (nil, let sampled?):
            guard now - sampled >= max(Self.patience, 4 * parameters.interval) else { return HealthCheck(.pass) }
            return HealthCheck(.fail, "the engine has not answered for \((now - sampled) / 1_000) s")
        case (let failure?, nil):
            return HealthCheck(.fail, "no sample was taken yet: \(failure.reason)")
        case (let failure?, let sampled?):
            let text = "no sample for \((now - sampled) / 1_000) s, trying again: \(failure.reason)"
            return HealthCheck(now - sampled < Self.patience ? .warn : .fail, text)
        }
    }

    private static func missing(_ score: Score) -> String? {
        let figures = [("CPU", score.cpu), ("RAM", score.ram), ("disk", score.disk), ("network", score.network)]
        let names = figures.filter { $0.1 == nil }.map(\.0)
        return names.isEmpty ? nil : "the engine gives no figure for: \(names.joined(separator: ", "))"
    }
}
