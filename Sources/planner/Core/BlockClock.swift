import Contracts

/// How block time flows beside this node's own monotonic clock.
///
/// Deadlines and absences are counted in block time, and each builder chooses its block's. What is valid must not depend on any
/// clock, so validity only bounds the step from one block to the next. This gate is for fresh proposals: it holds a builder that
/// lets time run, or stand, to what the voters' clocks show.
struct BlockClock: Sendable {
    private struct Mark: Sendable {
        var block: Int64
        var at: Int64
    }

    /// Milliseconds that block time may be ahead, besides a tenth of what has passed: builders may catch up by as much.
    static let lead: Int64 = 2_000
    /// Milliseconds that it may fall behind over ``span`` blocks, besides a fifth.
    static let lag: Int64 = 2_000
    static let span = 10

    /// The commit since which block time has run ahead least.
    private var latest: Mark?
    /// The last commits, oldest first.
    private var recent: [Mark] = []

    /// A block became this node's head.
    /// - Parameter now: monotonic milliseconds.
    mutating func committed(_ time: Int64, at now: Int64) {
        let mark = Mark(block: time, at: now)
        if latest.map({ time <= Self.projection($0, now) }) ?? true { latest = mark }
        recent.append(mark)
        if recent.count > Self.span { recent.removeFirst() }
    }

    private static func projection(_ mark: Mark, _ now: Int64) -> Int64 {
        mark.block + max(0, now - mark.at) / 10 * 11
    }

    /// Why a fresh proposal's time is not believed; nil if it is.
    func doubt(_ time: Int64, after parent: SiteState, at now: Int64) -> Refusal? {
        if let latest, time > Self.projection(latest, now) + Self.lead {
            let ahead = time - Self.projection(latest, now)
            return Refusal(.timeAheadOfClock, "block time is \(ahead) ms ahead of this node's clock")
        }
        guard let first = recent.first, recent.count == Self.span else { return nil }
        // A pause counts no more than one block could have caught up.
        let step = BlockTime.latest(after: parent) - parent.time
        let marks = recent + [Mark(block: time, at: now)]
        let passed = zip(marks, marks.dropFirst()).reduce(0) { $0 + min(step, max(0, $1.1.at - $1.0.at)) }
        let least = first.block + passed / 5 * 4 - Self.lag
        guard time < min(least, BlockTime.latest(after: parent)) else { return nil }
        return Refusal(.timeBehindClock, "block time is \(least - time) ms behind this node's clock")
    }
}
