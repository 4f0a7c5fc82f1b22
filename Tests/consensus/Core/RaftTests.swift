import Contracts
import Testing

@testable import ConsensusCore
@testable import struct ElectionSimulation.SimulatedKeys

/// Rules of `raft` that one step shows.
struct RaftTests {
    private static let keys = (0..<3).map { SimulatedKeys.cheap($0) }.sorted { $0.id < $1.id }
    private static let nodes = keys.map(\.id)
    private static let genesis = Digest(unchecked: [UInt8](repeating: 7, count: 32))

    private static func election(stored: [UInt8]? = nil) throws -> RaftElection {
        try RaftElection(
            ElectionConfiguration(
                own: nodes[0], seed: 1, heartbeat: 250, timeout: 1_000, checks: SimulatedKeys.cheapChecks),
            stored: stored)
    }

    private static func head(of members: [NodeID] = nodes, height: UInt64 = 10, since: UInt64 = 0) -> SiteHead {
        SiteHead(
            genesis: genesis, site: .zero, height: height, membersSince: since, seed: .zero, epochSeed: .zero,
            members: members.map { Voter(id: $0, vrf: .zero) })
    }

    private static func message(_ body: RaftMessage, from sender: NodeID = nodes[1]) -> ElectionEvent.Kind {
        .message(ElectionMessage(sender: sender, sequence: 1, signature: .zero, body: body.encoded))
    }

    /// The votes of all for this node.
    private static func proof(_ term: UInt64, for candidate: NodeID = nodes[1]) -> [UInt8] {
        let statement = RaftMessage.vote(term: term, candidate: candidate, height: 10).encoded
        let payload = ElectionEnvelope(genesis: genesis, engine: "raft", body: statement).encoded
        var voices: [NodeID: QuorumCertificate.Voice] = [:]
        for key in keys {
            let signed = SignedMessage.signedBytes(site: .zero, kind: .election, sequence: 3, payload: payload)
            voices[key.id] = QuorumCertificate.Voice(member: key.id, sequence: 3, signature: key.sign(signed))
        }
        return QuorumCertificate(statement: statement, voices: voices).encoded
    }

    private static func sent(_ effects: [ElectionEffect]) throws -> [RaftMessage] {
        try effects.compactMap { effect in
            guard case .send(_, let body) = effect else { return nil }
            return try RaftMessage(encoded: body)
        }
    }

    @Test func aVoteIsDurableBeforeItIsSentAndGivenOnceATerm() throws {
        var election = try Self.election()
        _ = election.step(ElectionEvent(now: 0, .head(Self.head())))
        let effects = election.step(
            ElectionEvent(now: 1, Self.message(.vote(term: 5, candidate: Self.nodes[1], height: 10))))
        let stores = effects.indices.filter { if case .persist = effects[$0] { true } else { false } }
        let sends = effects.indices.filter { if case .send = effects[$0] { true } else { false } }
        #expect(try #require(stores.last) < #require(sends.first))
        #expect(try Self.sent(effects) == [.vote(term: 5, candidate: Self.nodes[1], height: 10)])

        guard case .persist(let stored) = effects[try #require(stores.last)] else { return }
        for var voter in [election, try Self.election(stored: stored)] {
            _ = voter.step(ElectionEvent(now: 2, .head(Self.head())))
            let other = Self.message(.vote(term: 5, candidate: Self.nodes[2], height: 10), from: Self.nodes[2])
            #expect(try Self.sent(voter.step(ElectionEvent(now: 3, other))) == [.refusal(term: 5)])
            let same = Self.message(.vote(term: 5, candidate: Self.nodes[1], height: 10))
            #expect(
                try Self.sent(voter.step(ElectionEvent(now: 4, same))) == [
                    .vote(term: 5, candidate: Self.nodes[1], height: 10)
                ])
        }
    }

    @Test func aCandidateWhoseChainIsBehindGetsNoVote() throws {
        for (height, granted) in [(UInt64(7), false), (8, true), (10, true), (11, true)] {
            var election = try Self.election()
            _ = election.step(ElectionEvent(now: 0, .head(Self.head())))
            let preVote = election.step(ElectionEvent(now: 1, Self.message(.preVoteRequest(term: 1, height: height))))
            #expect(try Self.sent(preVote) == [.preVoteReply(term: 1, granted: granted, current: 0)])
            let request = RaftMessage.vote(term: 1, candidate: Self.nodes[1], height: height)
            let vote = election.step(ElectionEvent(now: 1, Self.message(request)))
            #expect(try Self.sent(vote) == [granted ? request : .refusal(term: 1)])
        }
    }

    @Test func aLeaderIsAcknowledgedOnceItHasShownItsVotes() throws {
        var election = try Self.election()
        _ = election.step(ElectionEvent(now: 0, .head(Self.head())))
        let claim = election.step(ElectionEvent(now: 1, Self.message(.heartbeat(term: 2))))
        #expect(try Self.sent(claim) == [.heartbeatReply(term: 0, proven: false)])
        #expect(election.leadership.leader == nil)

        let stolen = election.step(ElectionEvent(now: 2, Self.message(.proof(Self.proof(2)), from: Self.nodes[2])))
        #expect(stolen.contains(.count(.refused(reason: "wrong-proof"))))

        let shown = election.step(ElectionEvent(now: 3, Self.message(.proof(Self.proof(2)))))
        #expect(try Self.sent(shown) == [.heartbeatReply(term: 2, proven: true)])
        #expect(election.leadership.leader == Self.nodes[1])
        #expect(RaftElection.flaw(of: election.leadership, at: Self.head(), SimulatedKeys.cheapChecks) == nil)

        // The old one, for the new term.
        let next = election.step(ElectionEvent(now: 900, Self.message(.heartbeat(term: 3))))
        #expect(try Self.sent(next) == [.heartbeatReply(term: 2, proven: false)])
    }

    /// Every changed byte of a certificate makes it worthless, and so does every voice too few.
    @Test func aCertificateThatWasTamperedWithShowsNothing() throws {
        var votes = try QuorumCertificate(encoded: Self.proof(2))
        votes.voices.removeLast()
        let good = votes.encoded
        func flaw(_ certificate: [UInt8]) -> String? {
            let claim = Leadership(engine: "raft", term: 2, leader: Self.nodes[1], certificate: certificate)
            return RaftElection.flaw(of: claim, at: Self.head(), SimulatedKeys.cheapChecks)
        }
        #expect(flaw(good) == nil)
        for index in good.indices {
            var changed = good
            changed[index] ^= 1
            #expect(flaw(changed) != nil, "byte \(index)")
        }
        func with(_ voices: [QuorumCertificate.Voice]) -> [UInt8] {
            var fewer = votes
            fewer.voices = voices
            return fewer.encoded
        }
        #expect(flaw(with([votes.voices[0]])) != nil)
        #expect(flaw(with([votes.voices[0], votes.voices[0]])) != nil)
        #expect(flaw([]) != nil)
    }

    @Test func aLeaderThatWorksIsNotDeposed() throws {
        var election = try Self.election()
        _ = election.step(ElectionEvent(now: 0, .head(Self.head())))
        _ = election.step(ElectionEvent(now: 1, Self.message(.proof(Self.proof(1)))))
        #expect(election.leadership.leader == Self.nodes[1])
        let preVote = Self.message(.preVoteRequest(term: 2, height: 10), from: Self.nodes[2])
        #expect(
            try Self.sent(election.step(ElectionEvent(now: 900, preVote)))
                == [.preVoteReply(term: 2, granted: false, current: 1)])
        let vote = Self.message(.vote(term: 2, candidate: Self.nodes[2], height: 10), from: Self.nodes[2])
        #expect(election.step(ElectionEvent(now: 1_000, vote)).contains(.count(.refused(reason: "leader-alive"))))
        #expect(election.leadership.term == 1)
        #expect(
            try Self.sent(election.step(ElectionEvent(now: 1_001, preVote)))
                == [.preVoteReply(term: 2, granted: true, current: 1)])
    }

    @Test func twoFailuresAtDifferentHeightsEndALeadersTerm() throws {
        var election = try Self.election()
        _ = election.step(ElectionEvent(now: 0, .head(Self.head())))
        _ = election.step(ElectionEvent(now: 1, Self.message(.proof(Self.proof(3)))))
        func blame(_ height: UInt64, term: UInt64 = 3, leader: NodeID = Self.nodes[1]) -> [ElectionEffect] {
            election.step(ElectionEvent(now: 2, .blame(Blame(leader: leader, term: term, height: height))))
        }
        #expect(blame(11) == [] && blame(11) == [] && blame(12, term: 2) == [])
        #expect(blame(12, leader: Self.nodes[2]) == [])
        #expect(election.leadership.leader == Self.nodes[1])
        let effects = blame(12)
        #expect(effects.contains(.leadershipChanged(Leadership(engine: "raft", term: 3, leader: nil))))
        for kind in [RaftMessage.heartbeat(term: 3), .proof(Self.proof(3))] {
            let again = election.step(ElectionEvent(now: 3, Self.message(kind)))
            #expect(again.contains(.count(.refused(reason: "disowned"))))
            #expect(try Self.sent(again).isEmpty)
        }
        let stickiness = Self.message(.preVoteRequest(term: 4, height: 10), from: Self.nodes[2])
        #expect(
            try Self.sent(election.step(ElectionEvent(now: 4, stickiness)))
                == [.preVoteReply(term: 4, granted: true, current: 3)])
        _ = election.step(ElectionEvent(now: 5, Self.message(.proof(Self.proof(4)))))
        #expect(election.leadership.term == 4 && election.leadership.leader == Self.nodes[1])
    }

    @Test func failuresOfLongAgoDontCount() {
        var failures = Failures()
        let news = [100, 100 + Blame.memory, 100 + 2 * Blame.memory - 1].map { failures.add($0) }
        #expect(news == [false, false, true])
        #expect(failures.heights == [100 + Blame.memory, 100 + 2 * Blame.memory - 1])
    }

    /// After a restart gossip hands out what it retained.
    @Test func oldHeartbeatsByTheHundredAreAnsweredOnce() throws {
        var election = try Self.election()
        _ = election.step(ElectionEvent(now: 0, .head(Self.head())))
        var answers: [RaftMessage] = []
        for _ in 0..<500 {
            answers += try Self.sent(election.step(ElectionEvent(now: 10, Self.message(.heartbeat(term: 2)))))
        }
        #expect(answers == [.heartbeatReply(term: 0, proven: false)])
    }

    /// Heartbeats may be waiting behind the timer of a machine that was starved.
    @Test func aLateTimerGetsASecondChance() throws {
        var election = try Self.election()
        _ = election.step(ElectionEvent(now: 0, .head(Self.head())))
        _ = election.step(ElectionEvent(now: 1, Self.message(.proof(Self.proof(1)))))
        let late = election.step(ElectionEvent(now: 9_000, .timer(ElectionTimer("election"))))
        #expect(late == [.setTimer(ElectionTimer("election"), afterMilliseconds: 500)])
        #expect(election.leadership.leader == Self.nodes[1])
        let second = election.step(ElectionEvent(now: 19_000, .timer(ElectionTimer("election"))))
        #expect(try Self.sent(second) == [.preVoteRequest(term: 2, height: 10)])
        #expect(election.leadership.leader == nil)
    }

    @Test func noLieUsesUpTheTerms() throws {
        var election = try Self.election()
        _ = election.step(ElectionEvent(now: 0, .head(Self.head())))
        // Towards a term that is far ahead a node goes step by step: two honest ones come together so.
        for (index, term) in ([1 << 31, 5_000, 1_500] as [UInt64]).enumerated() {
            let request = RaftMessage.vote(term: term, candidate: Self.nodes[1], height: 10)
            let effects = election.step(ElectionEvent(now: 1, Self.message(request)))
            let reached = min(term, UInt64(index + 1) * 1_024)
            #expect(election.leadership.term == max(reached, 2_048) || index == 0)
            #expect(try Self.sent(effects).count == 1)
        }
        #expect(election.leadership.term == 2_048)
        for term: UInt64 in [1 << 32, .max] {
            let request = RaftMessage.vote(term: term, candidate: Self.nodes[1], height: 10)
            let effects = election.step(ElectionEvent(now: 1, Self.message(request)))
            #expect(effects.contains(.count(.refused(reason: "term-too-high"))))
        }
        // What a quorum voted for is no lie.
        _ = election.step(ElectionEvent(now: 2, Self.message(.proof(Self.proof(1 << 31)))))
        #expect(election.leadership.term == 1 << 31)
    }

    @Test func aChangeOfMembersBeginsTermsOfItsOwn() throws {
        var election = try Self.election()
        _ = election.step(ElectionEvent(now: 0, .head(Self.head())))
        _ = election.step(ElectionEvent(now: 1, Self.message(.proof(Self.proof(1)))))
        _ = election.step(ElectionEvent(now: 2, .head(Self.head(of: Array(Self.nodes[..<2]), height: 12, since: 12))))
        #expect(election.leadership == Leadership(engine: "raft", term: 12 << 32, leader: nil))
        let old = election.step(ElectionEvent(now: 3, Self.message(.proof(Self.proof(1)))))
        #expect(try Self.sent(old) == [.heartbeatReply(term: 12 << 32, proven: true)])
        #expect(election.leadership.leader == nil)
    }

    /// Its own vote comes back through gossip.
    @Test func aNodeAloneLeadsItself() throws {
        var election = try Self.election()
        _ = election.step(ElectionEvent(now: 0, .head(Self.head(of: [Self.nodes[0]], height: 0))))
        for now in stride(from: Int64(0), through: 2_000, by: 100) {
            for case .send(nil, let body) in election.step(ElectionEvent(now: now, .timer(ElectionTimer("election")))) {
                let own = ElectionMessage(sender: Self.nodes[0], sequence: 1, signature: .zero, body: body)
                _ = election.step(ElectionEvent(now: now, .message(own)))
            }
        }
        #expect(election.leadership.term == 1 && election.leadership.leader == Self.nodes[0])
    }

    @Test func whoIsNoMemberListensOnly() throws {
        var election = try Self.election()
        _ = election.step(ElectionEvent(now: 0, .head(Self.head(of: Array(Self.nodes[1...])))))
        let request = RaftMessage.vote(term: 1, candidate: Self.nodes[1], height: 10)
        var votes = try QuorumCertificate(encoded: Self.proof(1))
        votes.voices.removeAll { $0.member == Self.nodes[0] }
        let effects =
            election.step(ElectionEvent(now: 1_900, .timer(ElectionTimer("election"))))
            + election.step(ElectionEvent(now: 1_901, Self.message(request)))
            + election.step(ElectionEvent(now: 1_902, Self.message(.proof(votes.encoded))))
        #expect(try Self.sent(effects).isEmpty)
        #expect(election.leadership.leader == Self.nodes[1])
    }
}
