import Contracts
import Testing

@testable import ConsensusCore
@testable import struct ElectionSimulation.SimulatedKeys

/// Rules of `paxos` that a few steps show.
struct PaxosTests {
    private static let keys = (0..<3).map { SimulatedKeys.cheap($0) }.sorted { $0.id < $1.id }
    private static let nodes = keys.map(\.id)
    private static let genesis = Digest(unchecked: [UInt8](repeating: 7, count: 32))

    private static func election(_ index: Int = 0, stored: [UInt8]? = nil, now: Int64 = 0) throws -> PaxosElection {
        var election = try PaxosElection(
            ElectionConfiguration(
                own: nodes[index], seed: 1, heartbeat: 250, timeout: 1_000, checks: SimulatedKeys.cheapChecks),
            stored: stored)
        _ = election.step(
            ElectionEvent(
                now: now,
                .head(
                    SiteHead(
                        genesis: genesis, site: .zero, height: 10, seed: .zero, epochSeed: .zero,
                        members: nodes.map { Voter(id: $0, vrf: .zero) }))))
        return election
    }

    private static func message(_ body: PaxosMessage, from index: Int, sequence: UInt64 = 1) -> ElectionEvent.Kind {
        let payload = ElectionEnvelope(genesis: genesis, engine: "paxos", body: body.encoded).encoded
        let signed = SignedMessage.signedBytes(site: .zero, kind: .election, sequence: sequence, payload: payload)
        return .message(
            ElectionMessage(
                sender: nodes[index], sequence: sequence, signature: keys[index].sign(signed), body: body.encoded))
    }

    private static func sent(_ effects: [ElectionEffect]) throws -> [PaxosMessage] {
        try effects.compactMap { effect in
            guard case .send(_, let body) = effect else { return nil }
            return try PaxosMessage(encoded: body)
        }
    }

    private static func stored(_ effects: [ElectionEffect]) -> [UInt8]? {
        effects.reversed().lazy.compactMap { if case .persist(let bytes) = $0 { bytes } else { nil } }.first
    }

    private static func ballot(_ number: UInt64, _ index: Int) -> Ballot {
        Ballot(number: number, proposer: nodes[index])
    }

    private static func prepare(_ number: UInt64, from index: Int, term: UInt64 = 1) -> ElectionEvent.Kind {
        message(.prepare(term: term, ballot: ballot(number, index), height: 10), from: index)
    }

    private static func accept(_ number: UInt64, from index: Int, leader: Int, term: UInt64 = 1) -> ElectionEvent.Kind {
        message(.accept(term: term, Acceptance(ballot: ballot(number, index), leader: nodes[leader])), from: index)
    }

    /// Phase 1b and 2b are on disk before they are said, also in the next life.
    @Test func whatAnAcceptorPromisesItKeeps() throws {
        var acceptor = try Self.election()
        let promise = acceptor.step(ElectionEvent(now: 1, Self.prepare(2, from: 1)))
        #expect(try Self.sent(promise) == [.promise(term: 1, ballot: Self.ballot(2, 1), accepted: nil)])
        let stores = promise.indices.filter { if case .persist = promise[$0] { true } else { false } }
        let sends = promise.indices.filter { if case .send = promise[$0] { true } else { false } }
        #expect(try #require(stores.last) < #require(sends.first))

        var next = try Self.election(stored: Self.stored(promise))
        for var voter in [acceptor, next] {
            let lower = try Self.sent(voter.step(ElectionEvent(now: 2_000, Self.prepare(1, from: 2))))
            #expect(lower == [.refusal(term: 1, promised: Self.ballot(2, 1))])
            let late = try Self.sent(voter.step(ElectionEvent(now: 2_000, Self.accept(1, from: 2, leader: 2))))
            #expect(late == [.refusal(term: 1, promised: Self.ballot(2, 1))])
        }
        let accepted = next.step(ElectionEvent(now: 2_000, Self.accept(2, from: 1, leader: 1)))
        next = try Self.election(stored: Self.stored(accepted))
        let told = try Self.sent(next.step(ElectionEvent(now: 2_000, Self.prepare(3, from: 2))))
        let acceptance = Acceptance(ballot: Self.ballot(2, 1), leader: Self.nodes[1])
        #expect(told == [.promise(term: 1, ballot: Self.ballot(3, 2), accepted: acceptance)])
    }

    /// Phase 2a: of what a quorum has accepted, the highest ballot's value, whoever that may be.
    @Test func aProposerCompletesWhatOthersBegan() throws {
        var proposer = try Self.election()
        let began = proposer.patience.deadline
        let opening = proposer.step(ElectionEvent(now: began, .timer(ElectionTimer("election"))))
        #expect(try Self.sent(opening) == [.prepare(term: 1, ballot: Self.ballot(1, 0), height: 10)])
        #expect(Self.stored(opening) == nil)
        let begun = Acceptance(ballot: Self.ballot(0, 2), leader: Self.nodes[2])
        let proposal = proposer.step(
            ElectionEvent(
                now: began + 9, Self.message(.promise(term: 1, ballot: Self.ballot(1, 0), accepted: begun), from: 1)))
        let acceptance = Acceptance(ballot: Self.ballot(1, 0), leader: Self.nodes[2])
        #expect(try Self.sent(proposal) == [.accept(term: 1, acceptance)])
        #expect(Self.stored(proposal) != nil)
        for index in [0, 1] {
            _ = proposer.step(ElectionEvent(now: began + 19, Self.message(.accept(term: 1, acceptance), from: index)))
        }
        #expect(proposer.leadership.leader == Self.nodes[2])
        #expect(proposer.leadership.certificate != nil)
    }

    @Test func aLeaseIsKeptToItsEndAndNotBeyond() throws {
        var acceptor = try Self.election()
        _ = acceptor.step(ElectionEvent(now: 1, Self.prepare(1, from: 1)))
        _ = acceptor.step(ElectionEvent(now: 100, Self.accept(1, from: 1, leader: 1)))
        for (now, granted) in [(Int64(101), false), (1_099, false), (1_100, true)] {
            var copy = acceptor
            let other = copy.step(ElectionEvent(now: now, Self.prepare(1, from: 2, term: 2)))
            #expect(other.contains(.count(.refused(reason: "leader-alive"))) == !granted, "\(now)")
            #expect(try Self.sent(other).isEmpty == !granted, "\(now)")
            // Whoever holds the lease may go on to another term.
            var third = acceptor
            let holder = try Self.sent(third.step(ElectionEvent(now: now, Self.prepare(1, from: 1, term: 2))))
            #expect(holder == [.promise(term: 2, ballot: Self.ballot(1, 1), accepted: nil)], "\(now)")
        }
    }

    /// It may have granted a lease that it forgot.
    @Test func whoHasJustStartedAgainWaitsALeaseOut() throws {
        var acceptor = try Self.election()
        let stored = Self.stored(acceptor.step(ElectionEvent(now: 1, Self.prepare(1, from: 1))))
        for (now, granted) in [(Int64(5_000), false), (5_999, false), (6_000, true)] {
            var next = try Self.election(stored: stored, now: 5_000)
            let answer = try Self.sent(next.step(ElectionEvent(now: now, Self.prepare(2, from: 1))))
            #expect(answer.isEmpty == !granted, "\(now)")
        }
    }

    /// Nobody completes what a lie about somebody else began.
    @Test func aPromiseThatCannotBeIsNone() throws {
        let stranger = NodeID(unchecked: [UInt8](repeating: 0xEE, count: 32))
        for lie in [
            Acceptance(ballot: Self.ballot(0, 2), leader: stranger),
            Acceptance(ballot: Self.ballot(500, 2), leader: Self.nodes[2]),
        ] {
            var proposer = try Self.election()
            let began = proposer.patience.deadline
            _ = proposer.step(ElectionEvent(now: began, .timer(ElectionTimer("election"))))
            let promise = PaxosMessage.promise(term: 1, ballot: Self.ballot(1, 0), accepted: lie)
            let effects = proposer.step(ElectionEvent(now: began + 9, Self.message(promise, from: 1)))
            #expect(effects.contains(.count(.refused(reason: "wrong-promise"))))
            #expect(try Self.sent(effects).isEmpty)
        }
    }

    /// A process that starts anew is handed what gossip still holds: what others granted to its last life is none.
    @Test func aLeaseOfAnEarlierLifeIsNone() throws {
        var first = try Self.leading()
        let number = try #require(first.reign?.number)
        let certificate = try #require(first.leadership.certificate?.bytes)
        let stored =
            Self.stored(first.step(ElectionEvent(now: 1, .timer(ElectionTimer("none"))))) ?? first.record.encoded

        var next = try Self.election(stored: stored, now: 60_000)
        _ = next.step(ElectionEvent(now: 60_001, Self.message(.proof(certificate, number: 0), from: 1)))
        #expect(next.reign != nil && next.leadership.leader == nil)
        for index in [1, 2] {
            let old = PaxosMessage.renewalReply(term: 1, number: number, proven: true)
            _ = next.step(ElectionEvent(now: 60_002, Self.message(old, from: index)))
        }
        #expect(next.leadership.leader == nil)
        // Its own grant doesn't count either while it may be bound by one that it forgot.
        let now = try #require(next.reign?.number)
        for (index, leads) in [(1, false), (2, true)] {
            let reply = PaxosMessage.renewalReply(term: 1, number: now, proven: true)
            _ = next.step(ElectionEvent(now: 60_003, Self.message(reply, from: index)))
            #expect((next.leadership.leader == Self.nodes[0]) == leads)
        }
    }

    private static func leading() throws -> PaxosElection {
        var leader = try election()
        let began = leader.patience.deadline
        _ = leader.step(ElectionEvent(now: began, .timer(ElectionTimer("election"))))
        let promise = PaxosMessage.promise(term: 1, ballot: ballot(1, 0), accepted: nil)
        _ = leader.step(ElectionEvent(now: began + 10, message(promise, from: 1)))
        let acceptance = Acceptance(ballot: ballot(1, 0), leader: nodes[0])
        for index in [0, 1] {
            _ = leader.step(ElectionEvent(now: began + 500, message(.accept(term: 1, acceptance), from: index)))
        }
        return leader
    }

    /// By the leader's own clock, three quarters of a timeout after it asked.
    @Test func aLeaderStepsDownBeforeItsLeaseCanBeOver() throws {
        let leader = try Self.leading()
        let began = try #require(leader.reign).until - 760
        #expect(leader.leadership.leader == Self.nodes[0])
        for (now, leads) in [(began + 759, true), (began + 760, false)] {
            var copy = leader
            _ = copy.step(ElectionEvent(now: now, .timer(ElectionTimer("lease"))))
            #expect((copy.leadership.leader == Self.nodes[0]) == leads, "\(now)")
        }
    }

    /// A ballot above all others ends its term, and no more than that.
    @Test func noLieUsesUpTheBallots() throws {
        var acceptor = try Self.election()
        _ = acceptor.step(ElectionEvent(now: 1, Self.prepare((1 << 63) - 1, from: 1)))
        let next = acceptor.step(ElectionEvent(now: acceptor.patience.deadline, .timer(ElectionTimer("election"))))
        #expect(try Self.sent(next) == [.prepare(term: 2, ballot: Self.ballot(1, 0), height: 10)])
        let beyond = acceptor.step(ElectionEvent(now: 1, Self.prepare(1 << 63, from: 1)))
        #expect(beyond.contains(.count(.refused(reason: "malformed"))))
        let stolen = Self.message(.prepare(term: 1, ballot: Self.ballot(1, 2), height: 10), from: 1)
        #expect(acceptor.step(ElectionEvent(now: 1, stolen)).contains(.count(.refused(reason: "wrong-ballot"))))
    }
}
