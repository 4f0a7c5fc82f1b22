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
        site.run(for: 12_000)
        if site.violation == nil { findPeace(&site, &verdict) }
        if site.violation == nil { replaceLeader(&site, &verdict, blaming: seed % 3 == 0) }
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
        guard let first = site.quorumLeadership else {
            return site.accuse("no leader \(2 * limit(site)) ms after the last fault")
        }
        verdict.settled = site.now - healed
        guard site.engine.guarantee.proof == .votes else { return }
        site.run(for: 3_000)
        guard site.violation == nil, let now = site.quorumLeadership else { return }
        if now.leader != first.leader, site.now - healed > limit(site) {
            site.accuse("\(first.leader?.short ?? "") was replaced though nothing went wrong")
        }
    }

    private static func replaceLeader(_ site: inout SimulatedElection, _ verdict: inout Verdict, blaming: Bool) {
        site.run(for: limit(site)) { $0.quorumLeadership != nil }
        guard site.violation == nil, let old = site.quorumLeadership, let leader = old.leader else {
            return site.accuse("no leader in peace")
        }
        let began = site.now
        if blaming {
            guard site.engine.guarantee.proof != .computed else { return }
            site.blameEverywhere(old)
        } else {
            guard site.canSpareOne else { return }
            site.kill(leader)
        }
        site.run(for: limit(site)) { site in
            site.quorumLeadership.map { $0.term != old.term || $0.leader != leader } ?? false
        }
        guard site.violation == nil else { return }
        guard let new = site.quorumLeadership, new.term != old.term || new.leader != leader else {
            return site.accuse(
                "no new leader \(limit(site)) ms after \(leader.short) \(blaming ? "was blamed" : "died")")
        }
        verdict.replaced = site.now - began
    }
}
