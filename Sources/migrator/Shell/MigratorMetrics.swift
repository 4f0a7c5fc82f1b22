import Contracts
import MigratorCore
import Runtime
import Synchronization

/// What is counted. Of moves each source counts its own.
final class MigratorMetrics: Sendable {
    let registry = Metrics()
    /// The newest ended move that was counted already.
    private let counted = Mutex<MoveRecord?>(nil)
    private let hasBegun = Mutex(false)
    private let downtime: Metrics.Counter
    private let downtimeMaximum: Metrics.Gauge
    private let longest = Mutex<Int64>(0)
    private let bytes: Metrics.Counter
    private let journalWrites: Metrics.Counter
    private let receiptsLost: Metrics.Counter
    private let height: Metrics.Gauge

    init() {
        downtime = registry.counter(
            "poise_migrator_downtime_seconds_total", help: "Time that moved apps stood still, as their sources saw it.")
        downtimeMaximum = registry.gauge(
            "poise_migrator_downtime_seconds_max", help: "The longest of these since the service started.")
        bytes = registry.counter("poise_migrator_shipped_bytes_total", help: "Bytes shipped for moves that have ended.")
        journalWrites = registry.counter(
            "poise_migrator_journal_writes_total", help: "Writes of the journal; the first that fails ends the service."
        )
        receiptsLost = registry.counter(
            "poise_migrator_receipts_lost_total", help: "Receipts that planner didn't take at once.")
        height = registry.gauge("poise_migrator_placement_height", help: "The block of the newest placement.")
        for outcome in MoveRecord.Outcome.allCases where outcome != .inProgress { _ = moves(outcome) }
    }

    private func moves(_ outcome: MoveRecord.Outcome) -> Metrics.Counter {
        registry.counter(
            "poise_migrator_moves_total", help: "Moves from this device that have ended.",
            labels: ["outcome": outcome.rawValue])
    }

    func placed(_ placement: Placement) { height.set(Double(placement.height)) }

    func lostReceipt() { receiptsLost.increment() }

    func ended(_ operation: Operation, _ outcome: OperationOutcome) {
        let name = String(describing: operation).prefix { $0 != "(" }
        let result =
            switch outcome {
            case .done: "done"
            case .delayed: "delayed"
            case .refused: "refused"
            case .lost: "lost"
            case .incomplete: "incomplete"
            }
        registry.counter(
            "poise_migrator_operations_total", help: "What was done with the engine and other devices.",
            labels: ["operation": String(name), "outcome": result]
        ).increment()
    }

    func take(_ journal: Journal) {
        journalWrites.increment()
        for phase in Outgoing.Phase.allCases {
            registry.gauge(
                "poise_migrator_moves_in_phase", help: "Moves from this device that are in the phase.",
                labels: ["phase": phase.rawValue]
            ).set(Double(journal.outgoing.filter { $0.phase == phase }.count))
        }
        count(journal.history.filter { $0.direction == .outgoing })
    }

    private func count(_ ended: [MoveRecord]) {
        let last = counted.withLock { counted in
            defer { counted = ended.last ?? counted }
            return counted
        }
        // The journal's older moves were counted by the process that made them.
        let isFirst = hasBegun.withLock { hasBegun in
            defer { hasBegun = true }
            return !hasBegun
        }
        guard !isFirst else { return }
        let new = ended.lastIndex { $0 == last }.map { ended[($0 + 1)...] } ?? ended[...]
        for move in new {
            moves(move.outcome).increment()
            bytes.increment(by: Double(move.measures.bytes))
            guard let milliseconds = move.measures.downtime else { continue }
            downtime.increment(by: Double(milliseconds) / 1_000)
            let maximum = longest.withLock { longest in
                longest = max(longest, milliseconds)
                return longest
            }
            downtimeMaximum.set(Double(maximum) / 1_000)
        }
    }
}
