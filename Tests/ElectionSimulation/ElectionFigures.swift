public import ConsensusCore

/// What an engine costs and how soon it has a new leader, in a site where nothing goes wrong but that the leader dies.
public struct ElectionFigures: Codable, Sendable {
    /// Milliseconds that every message takes.
    public static let delay = 10

    public var engine: String
    public var nodes: Int
    /// From the leader's death to the quorum's acknowledgement of the next: messages between devices, and bytes of them.
    public var electionMessages: Double
    public var electionBytes: Double
    /// While nothing happens: of all devices together, in a second.
    public var idleMessages: Double
    public var idleBytes: Double
    /// From the leader's death to the quorum's acknowledgement of the next, in one-way delays.
    public var recoveryMedian: Int64
    public var recoveryP99: Int64
    /// From the moment when somebody stands, or claims, to that acknowledgement, in one-way delays; nil where nobody does.
    public var votingMedian: Int64?

    public static func measure(_ engine: any Election.Type, nodes: Int, rounds: Int) -> ElectionFigures {
        var recoveries: [Int64] = []
        var votings: [Int64] = []
        var election = (messages: 0, bytes: 0)
        var idle = (messages: 0, bytes: 0, milliseconds: Int64(0))
        for round in 0..<rounds {
            var faults = Faults.none
            faults.delay = delay...delay
            var site = SimulatedElection(engine, seed: UInt64(round), count: nodes, faults: faults)
            site.run(for: 30_000) { $0.agreedLeadership != nil }
            site.run(for: 1_500)
            let before = (site.messages, site.bytes)
            site.run(for: 5_000)
            idle.messages += site.messages - before.0
            idle.bytes += site.bytes - before.1
            idle.milliseconds += 5_000
            // At any moment between two signs of life.
            site.run(for: Int64(round * 37 % 250))
            site.run(for: 30_000) { $0.quorumLeadership != nil }
            guard let old = site.quorumLeadership, let leader = old.leader else { continue }
            let (died, start) = (site.now, (site.messages, site.bytes))
            site.lastStood = nil
            site.kill(leader)
            site.run(for: 30_000) { $0.quorumLeadership.map { $0.leader != leader } ?? false }
            guard site.quorumLeadership != nil else { continue }
            recoveries.append((site.now - died) / Int64(delay))
            if let stood = site.lastStood { votings.append((site.now - stood) / Int64(delay)) }
            election.messages += site.messages - start.0
            election.bytes += site.bytes - start.1
        }
        recoveries.sort()
        votings.sort()
        let count = Double(max(1, recoveries.count))
        let seconds = Double(idle.milliseconds) / 1_000
        return ElectionFigures(
            engine: engine.name, nodes: nodes, electionMessages: Double(election.messages) / count,
            electionBytes: Double(election.bytes) / count, idleMessages: Double(idle.messages) / seconds,
            idleBytes: Double(idle.bytes) / seconds, recoveryMedian: quantile(recoveries, 50),
            recoveryP99: quantile(recoveries, 99),
            votingMedian: votings.isEmpty ? nil : quantile(votings, 50))
    }

    /// - Parameter sorted: in ascending order.
    public static func quantile(_ sorted: [Int64], _ percent: Int) -> Int64 {
        sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, sorted.count * percent / 100)]
    }
}
