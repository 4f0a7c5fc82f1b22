public import ConsensusCore

public enum ElectionTranscript {
    /// What three nodes say to each other while they elect, lose their leader and have another, and until it is back.
    public static func ofThreeNodes(_ engine: any Election.Type) -> String {
        var site = SimulatedElection(engine, seed: 3, count: 3, faults: .none, transcribed: true)
        site.run(for: 10_000) { $0.agreedLeadership != nil }
        site.run(for: 300)
        if let leader = site.index(of: site.quorumLeadership?.leader) { site.crash(leader) }
        site.run(for: 10_000) { $0.agreedLeadership != nil }
        return (site.transcript ?? []).joined(separator: "\n") + "\n"
    }
}
