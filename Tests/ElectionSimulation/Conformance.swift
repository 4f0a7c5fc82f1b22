public import ConsensusCore

/// What every engine is held to, for one seed at a time.
public enum Conformance {
    /// What came of one seed.
    public struct Verdict: Sendable {
        public var seed: UInt64
        public var violation: String?
        /// Milliseconds from the last fault to a leader, and from a leader's death or disgrace to the next.
        public var settled: Int64?
        public var replaced: Int64?
        public var transcript: [String]
    }

    /// Chaos for a while; then peace, in which a leader must be found, must stay, and when it dies or does nothing but say
    /// that it leads must be replaced within the time that the engine states.
    public static func judge(
        _ engine: any Election.Type, seed: UInt64, mutant: Mutant? = nil, realKeys: Bool = false,
        transcribed: Bool = false
    ) -> Verdict {
        var site = SimulatedElection(
            engine, seed: seed, count: 1 + Int(seed % 7), spares: Int(seed / 7 % 3), faults: mutant?.faults ?? .all,
            mutant: mutant,
            realKeys: realKeys, transcribed: transcribed)
        var verdict = Verdict(seed: seed, transcript: [])
        site.run(for: 10_000)
        if site.violation == nil { findPeace(&site, &verdict) }
        if site.violation == nil { keepLeader(&site) }
        if site.violation == nil { replaceLeader(&site, &verdict, blaming: seed % 3 == 0, butItself: seed % 2 == 0) }
        verdict.violation = site.violation
        verdict.transcript = site.transcript ?? []
        return verdict
    }

    private static func limit(_ site: SimulatedElection) -> Int64 {
        site.engine.guarantee.timeoutsToRecover * site.timeout
    }

    private static func findPeace(_ site: inout SimulatedElection, _ verdict: inout Verdict) {
        site.heal()
        let healed = site.now
        // What was under way still arrives late, and some have yet to catch up with the chain.
        site.run(for: 2 * limit(site)) { $0.quorumLeadership != nil }
        guard site.violation == nil else { return }
        guard site.quorumLeadership != nil else {
            return site.accuse("no leader \(2 * limit(site)) ms after the last fault")
        }
        verdict.settled = site.now - healed
        // Whatever was under way when peace broke out has arrived by then, and whoever was asleep is awake.
        site.run(for: 8 * site.timeout)
    }

    /// Where a leader isn't one for a single height, it is one until something happens to it.
    private static func keepLeader(_ site: inout SimulatedElection) {
        guard [.votes, .lookedUp].contains(site.engine.guarantee.proof) else { return }
        site.run(for: limit(site)) { $0.quorumLeadership != nil }
        guard let first = site.quorumLeadership else { return site.accuse("no leader in peace") }
        site.run(for: 3 * site.timeout) { $0.quorumLeadership.map { $0.term != first.term } ?? true }
        guard site.violation == nil else { return }
        if site.quorumLeadership?.term != first.term {
            site.accuse("\(first.leader?.short ?? "") ceased to lead in term \(first.term) though nothing went wrong")
        }
    }

    private static func replaceLeader(
        _ site: inout SimulatedElection, _ verdict: inout Verdict, blaming: Bool, butItself: Bool
    ) {
        site.run(for: limit(site)) { $0.quorumLeadership != nil }
        guard site.violation == nil, let old = site.quorumLeadership, let leader = old.leader else {
            return site.accuse("no leader in peace")
        }
        let began = site.now
        if blaming {
            // Alone with its own good opinion a node is led by itself.
            guard site.engine.guarantee.proof != .computed, site.canSpareOne || !butItself else { return }
            site.blameEverywhere(old, butItself: butItself)
        } else {
            guard site.canSpareOne else { return }
            site.kill(leader)
        }
        // Of one that was blamed the next term may be its own again, once others had the chance.
        func isReplaced(_ site: SimulatedElection) -> Bool {
            site.majorityLeadership.map { $0.leader != leader || blaming && $0.term != old.term } ?? false
        }
        site.run(for: limit(site), until: isReplaced)
        guard site.violation == nil else { return }
        guard isReplaced(site) else {
            return site.accuse(
                "no new leader \(limit(site)) ms after \(leader.short) \(blaming ? "was blamed" : "died")")
        }
        verdict.replaced = site.now - began
    }
}
