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

    /// A committed block.
    private struct Step: Sendable {
        var block: Int64
        /// Milliseconds from the commit of the block before until this one's proposal was here; 0 if that isn't known.
        var waited: Int64
    }

    /// Milliseconds that it may fall behind over ``span`` blocks, besides a fifth.
    static let lag: Int64 = 2_000
    static let span = 10
    /// How much slower than this clock it may flow at most, votes counted, besides ``lag``.
    static let slowdown: Int64 = 10

    /// From where block time, flowing a tenth faster than this clock, would be furthest behind of all that is known.
    private var slowest: Mark?
    /// When it last gave in by more than it had to.
    private var eased: Int64?
    /// The last commits, oldest first.
    private var recent: [Step] = []
    /// When the head was committed here, monotonic milliseconds; nil if that was before the start.
    private(set) var committedAt: Int64?
    /// Milliseconds from the first commit to the last, of which a pause counts no more than one block could catch up.
    private var running: Int64 = 0
    /// From where block time, flowing ``slowdown`` times slower than ``running``, would be furthest ahead of all that is known.
    private var fastest: Mark?

    /// Milliseconds that block time may be ahead, besides a tenth of what has passed.
    ///
    /// Builders are seen to be ahead by as much as a block came late. More than this would let a liar end what the others'
    /// clocks bound by four fifths of the time to absence or of a move's time: in four fifths, a tenth too fast, pass
    /// 88 of 100 parts of it, this is eight, and giving in takes four.
    static func lead(_ parameters: SiteParameters) -> Int64 {
        min(2_000, min(parameters.absentAfter, parameters.moveDeadline) / 100 * 8)
    }

    /// A block became this node's head.
    ///
    /// How long ago a block that others decided was committed isn't known here: a device that was away gets many of them at
    /// once. Measured from one of those, block time would seem to be ahead by as long as the device was away, and its vote would
    /// be missing for ten times as long.
    ///
    /// A block whose time is further ahead than this node would have believed had the votes of f + 1 honest nodes that did, so
    /// this node is mistaken. It gives in by as much as makes that block just believable: no limit is raised above that of an
    /// honest node which voted, or liars could go on from one to the other without end. Only a fiftieth of the time may
    /// be on top. Without it, who learns of blocks a little later than builders do would doubt the next one, too, and so on.
    ///
    /// - Parameters:
    ///   - now: monotonic milliseconds.
    ///   - offered: when its proposal was here, if this node saw it decided; nil if it got it from others.
    mutating func committed(_ head: SiteState, at now: Int64, offered: Int64?) {
        let began = committedAt ?? now
        recent.append(Step(block: head.time, waited: max(0, (offered ?? began) - began)))
        if recent.count > Self.span { recent.removeFirst() }
        let step = BlockTime.step(head.parameters)
        follow(head.time, running + min(step, max(0, (offered ?? now) - began)))
        running += min(step, max(0, now - began))
        committedAt = now
        guard let slowest else {
            slowest = offered.map { Mark(block: head.time, at: $0) }
            return
        }
        if let offered, head.time <= Self.projection(slowest, offered) {
            self.slowest = Mark(block: head.time, at: offered)
        }
        let lead = Self.lead(head.parameters)
        guard head.time > Self.projection(slowest, now) + lead else { return }
        let mayEase = eased.map { now - $0 >= 25 * lead } ?? true
        if mayEase { eased = now }
        self.slowest = Mark(block: head.time - lead + (mayEase ? lead / 2 : 0), at: now)
    }

    /// Who votes late, or on a network that is slower than the site is set to, gives in to what the others have decided.
    private mutating func follow(_ time: Int64, _ offered: Int64) {
        guard let floor = floor(offered) else { return fastest = Mark(block: time, at: offered) }
        if time < floor { fastest = Mark(block: time + Self.lag, at: offered) }
        if time > floor + Self.lag { fastest = Mark(block: time, at: offered) }
    }

    /// The least that is believed of a block that is proposed then, as ``running`` counts.
    private func floor(_ running: Int64) -> Int64? {
        fastest.map { $0.block + (running - $0.at) / Self.slowdown - Self.lag }
    }

    private static func projection(_ mark: Mark, _ now: Int64) -> Int64 {
        let passed = max(0, now - mark.at)
        return mark.block + passed + passed / 10
    }

    /// Why a fresh proposal's time is not believed; nil if it is.
    ///
    /// Builders count from the last commit to their proposal, so that voters do, too: where votes take long, block time falls
    /// behind, and nobody is to blame. But a leader that proposed at once, again and again, could so make time stand: all in
    /// all it has to flow, if slowly.
    func doubt(_ time: Int64, after parent: SiteState, at now: Int64) -> Refusal? {
        if let slowest {
            let ahead = time - Self.projection(slowest, now)
            if ahead > Self.lead(parent.parameters) {
                return Refusal(.timeAheadOfClock, "block time is \(ahead) ms ahead of this node's clock")
            }
        }
        guard let committedAt else { return nil }
        // A pause counts no more than one block could have caught up.
        let step = BlockTime.step(parent.parameters)
        let waited = min(step, max(0, now - committedAt))
        var least = floor(running + waited) ?? time
        if let first = recent.first, recent.count == Self.span {
            let waits = recent.dropFirst().reduce(waited) { $0 + min(step, $1.waited) }
            least = max(least, first.block + waits / 5 * 4 - Self.lag)
        }
        guard time < min(least, BlockTime.latest(after: parent)) else { return nil }
        return Refusal(.timeBehindClock, "block time is \(least - time) ms behind this node's clock")
    }
}
