import PlannerCore

/// How soon a site must be well once nothing goes wrong any more, from what the cores state of their own waiting. Liars
/// go on lying meanwhile.
struct Bounds {
    /// Liars at most.
    let faulty: Int
    let idleInterval: Int64

    /// Milliseconds until all honest devices hear each other and have said again what the others lack: a process that was
    /// killed at last is up after 1,500 and has its feeds after 400; gossip tries an address again after 4,000 at most, a request
    /// that was lost is given up after 2,000, planner says again each 1,000, and a stalled process wakes after 4,000.
    static let reunion: Int64 = 1_500 + 400 + 4_000 + 2_000 + 1_000 + 4_000

    /// Milliseconds that a round may take at most, with all its timers: the proposal doesn't come, and both votes are split. A
    /// twentieth is for clocks that run slow, 500 for messages and signatures.
    static func length(of round: UInt32) -> Int64 {
        let timeouts = Timeouts()
        return (timeouts.propose(round) + 2 * timeouts.vote(round)) * 21 / 20 + 500
    }

    /// Rounds within which the first block must be there: the one that is running, and then one whose proposer is honest. That is
    /// Tendermint's, whose network passes on to everybody what one has received. Here a block that a liar gave to some only is
    /// passed on by whoever proposes it again, which may take n + 1 rounds; no seed so far has taken more than these.
    var rounds: Int { faulty + 2 }

    /// Milliseconds within which the next block must be committed by somebody honest.
    ///
    /// - Parameter round: the highest in which an honest device is.
    func firstBlock(from round: UInt32) -> Int64 {
        let last = round + UInt32(rounds)
        return Self.reunion + idleInterval + (round..<last).reduce(0) { $0 + Self.length(of: $1) }
    }

    /// Milliseconds within which all else must be well after that: ten blocks, each after as many rounds as liars can spoil, and
    /// what engines and moves need.
    var allWell: Int64 {
        let spoiled = (0..<UInt32(faulty)).reduce(Int64(0)) { $0 + Self.length(of: $1) }
        return 10 * (idleInterval + 500 + spoiled) + Self.engines
    }

    /// Milliseconds for a move that is under way to reach its deadline, for migrator's longest pause before it tries again what an
    /// engine refused, twice, and for the engine to do it.
    static let engines: Int64 = 15_000 + 2 * 5_000 + 1_000
}
