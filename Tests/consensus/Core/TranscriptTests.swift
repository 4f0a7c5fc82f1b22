import ConsensusCore
import Testing

/// One small history, to be read. A change of the protocol shows here as a difference that a person can judge.
struct TranscriptTests {
    @Test func threeNodesElectLoseAndReplaceALeader() throws {
        var site = try SimulatedElection(seed: 2, count: 3, faults: .none, transcribed: true)
        try site.run(for: 10_000) { $0.agreedLeadership != nil }
        try site.run(for: 300)
        let leader = try #require(site.nodes.firstIndex { $0.id == $0.machine?.leadership.leader })
        site.crash(leader)
        try site.run(for: 10_000) { $0.agreedLeadership != nil }
        let transcript = try #require(site.transcript).joined(separator: "\n")
        if transcript != Self.expected { print(transcript) }
        #expect(transcript == Self.expected)
    }

    private static let expected = """
            0  pi1 starts in term 0
            0  pi2 starts in term 0
            0  pi3 starts in term 0
         1191  pi1 → all: would you vote for me in term 1? my chain is at 1
         1198  pi2 → pi1: I would, in term 1
         1200  pi3 → pi1: I would, in term 1
         1208  pi1 → all: vote for me in term 1! my chain is at 1
         1208  pi1 acknowledges nobody in term 1
         1213  pi2 → pi1: my vote of term 1
         1213  pi2 acknowledges nobody in term 1
         1213  pi3 → pi1: my vote of term 1
         1213  pi3 acknowledges nobody in term 1
         1221  pi1 → all: I lead in term 1
         1221  pi1 acknowledges pi1 in term 1
         1222  pi2 → pi1: my term is 1
         1222  pi2 acknowledges pi1 in term 1
         1232  pi3 → pi1: my term is 1
         1232  pi3 acknowledges pi1 in term 1
         1472  pi1 → all: I lead in term 1
         1483  pi3 → pi1: my term is 1
         1487  pi2 → pi1: my term is 1
         1532  pi1 crashes
         2435  pi1 starts in term 1
         2625  pi3 → all: would you vote for me in term 2? my chain is at 1
         2625  pi3 acknowledges nobody in term 1
         2631  pi2 → pi3: I would, in term 2
         2638  pi1 → pi3: I would, in term 2
         2645  pi3 → all: vote for me in term 2! my chain is at 1
         2645  pi3 acknowledges nobody in term 2
         2646  pi2 → pi3: my vote of term 2
         2646  pi2 acknowledges nobody in term 2
         2651  pi1 → pi3: my vote of term 2
         2651  pi1 acknowledges nobody in term 2
         2651  pi3 → all: I lead in term 2
         2651  pi3 acknowledges pi3 in term 2
         2652  pi2 → pi3: my term is 2
         2652  pi2 acknowledges pi3 in term 2
         2655  pi1 → pi3: my term is 2
         2655  pi1 acknowledges pi3 in term 2
        """
}
