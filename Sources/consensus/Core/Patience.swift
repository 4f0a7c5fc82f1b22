import Contracts
import Machine

/// How long a node that votes bears a silence before it does something about it: a random time, so that of several nodes
/// one is mostly alone in losing it.
struct Patience: Sendable {
    static let timer = ElectionTimer("election")

    private var generator: SplitMix64
    private(set) var deadline: Int64 = 0
    private var wasStarved = false

    init(seed: UInt64) { generator = SplitMix64(seed: seed) }

    /// - Returns: the effect that sets the timer.
    mutating func begin(_ delay: Int64, now: Int64) -> ElectionEffect {
        wasStarved = false
        return set(delay, now: now)
    }

    private mutating func set(_ delay: Int64, now: Int64) -> ElectionEffect {
        deadline = now + delay
        return .setTimer(Self.timer, afterMilliseconds: delay)
    }

    mutating func drawn(_ range: ClosedRange<Int64>) -> Int64 {
        Int64(generator.next(in: Int(range.lowerBound)...Int(range.upperBound)))
    }

    /// What a timer that fired means. It may be early, or one that was replaced since it was set. And if it is late, this
    /// machine was asleep or starved, so what would end the silence may be waiting behind this very event.
    ///
    /// - Parameter heartbeat: in which a leader that lives is heard; who was starved is given two, once.
    /// - Returns: nil if the silence has lasted too long; else the effect that sets the timer again.
    mutating func lasts(now: Int64, heartbeat: Int64) -> ElectionEffect? {
        if now < deadline { return .setTimer(Self.timer, afterMilliseconds: deadline - now) }
        guard now - deadline > heartbeat, !wasStarved else { return nil }
        wasStarved = true
        return set(heartbeat * 2, now: now)
    }
}

/// Who was answered lately. After a restart gossip hands out old heartbeats by the hundred, and each needs one answer at
/// the most.
struct Answered: Sendable {
    private var times: [NodeID: Int64] = [:]

    /// - Returns: whether this node may be answered now, twice in a heartbeat at the most.
    mutating func admits(_ node: NodeID, now: Int64, heartbeat: Int64) -> Bool {
        if let last = times[node], now - last < heartbeat / 2 { return false }
        times[node] = now
        return true
    }

    mutating func forget(_ node: NodeID) { times[node] = nil }
    mutating func forgetAll() { times = [:] }
}

/// Who has lately shown a proof that proves nothing: its next ones aren't worth checking, nor another line in the log.
struct Distrust: Sendable {
    private var until: [NodeID: Int64] = [:]

    func holds(_ node: NodeID, now: Int64) -> Bool { until[node].map { now < $0 } ?? false }
    mutating func fall(on node: NodeID, until time: Int64) { until[node] = time }
}
