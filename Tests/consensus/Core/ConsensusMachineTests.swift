import ConsensusCore
import Contracts
import Testing

@testable import struct ConsensusCore.RaftElection
@testable import enum ConsensusCore.RaftMessage

/// Rules that one step shows.
struct ConsensusMachineTests {
    private static let nodes = (1...3).map { NodeID(unchecked: [UInt8](repeating: $0, count: 32)) }
    private static let stranger = NodeID(unchecked: [UInt8](repeating: 9, count: 32))
    private static let genesis = Digest(unchecked: [UInt8](repeating: 7, count: 32))

    private static func machine(stored: [UInt8]? = nil) throws -> ConsensusMachine {
        let configuration = ElectionConfiguration(own: nodes[0], seed: 1, heartbeat: 250, timeout: 1_000)
        return ConsensusMachine(own: nodes[0], election: try RaftElection(configuration, stored: stored))
    }

    private static func head(height: UInt64 = 10, genesis: Digest = genesis) -> SiteHead {
        head(of: nodes, height: height, genesis: genesis)
    }

    private static func head(of members: [NodeID], height: UInt64, genesis: Digest = genesis) -> SiteHead {
        SiteHead(
            genesis: genesis, site: .zero, height: height, term: 0, seed: .zero, epochSeed: .zero,
            members: members.map { Voter(id: $0, vrf: .zero) })
    }

    private static func message(
        _ body: RaftMessage, from sender: NodeID = nodes[1], genesis: Digest = genesis, engine: String = "raft"
    ) -> ConsensusEvent.Kind {
        message(ElectionEnvelope(genesis: genesis, engine: engine, body: body.encoded).encoded, from: sender)
    }

    private static func message(_ payload: [UInt8], from sender: NodeID) -> ConsensusEvent.Kind {
        .message(
            SignedMessage(kind: .election, sender: sender, sequence: 1, payload: payload, signature: .zero))
    }

    private static func sent(_ effects: [ConsensusEffect]) throws -> [RaftMessage] {
        try effects.compactMap { effect in
            guard case .publish(let publication) = effect else { return nil }
            return try RaftMessage(encoded: ElectionEnvelope(encoded: publication.payload.bytes).body)
        }
    }

    @Test func beforeAHeadNothingHappens() throws {
        var machine = try Self.machine()
        let kinds: [ConsensusEvent.Kind] = [
            Self.message(.voteRequest(term: 1, height: 10)), .timer(ElectionTimer("election")),
            .blame(Blame(leader: Self.nodes[1], term: 0, height: 1)),
        ]
        let effects = kinds.flatMap { machine.step(ConsensusEvent(now: 5_000, $0)) }
        #expect(effects == [.count(.refused(reason: "no-head"))])
        #expect(machine.leadership == Leadership(engine: "raft", term: 0, leader: nil))
    }

    @Test func whatIsNotForThisElectionIsRefusedByName() throws {
        var machine = try Self.machine()
        _ = machine.step(ConsensusEvent(now: 0, .head(Self.head())))
        let request = RaftMessage.voteRequest(term: 1, height: 10)
        let cases: [(ConsensusEvent.Kind, String)] = [
            (Self.message(request, from: Self.stranger), "not-a-member"),
            (Self.message(request, genesis: .zero), "other-genesis"),
            (Self.message(request, engine: "paxos"), "other-engine"),
            (Self.message([1, 2, 3], from: Self.nodes[1]), "malformed"),
            (Self.message(.voteRequest(term: 1 << 40, height: 10)), "term-too-high"),
        ]
        for (kind, reason) in cases {
            let effects = machine.step(ConsensusEvent(now: 1, kind))
            #expect(effects.contains(.count(.refused(reason: reason))), "\(reason)")
            #expect(try Self.sent(effects).isEmpty, "\(reason)")
        }
        #expect(machine.step(ConsensusEvent(now: 1, Self.message(request, from: Self.nodes[0]))) == [])
        #expect(machine.leadership.term == 0)
    }

    @Test func aHeadOfNoUseIsRefused() throws {
        var machine = try Self.machine()
        for members in [[], [Self.nodes[1], Self.nodes[0]], [Self.nodes[0], Self.nodes[0]]] {
            let head = Self.head(of: members, height: 1)
            #expect(head.flaw != nil)
            #expect(
                machine.step(ConsensusEvent(now: 0, .head(head))).contains(.count(.refused(reason: "invalid-head"))))
        }
        #expect(machine.head == nil)
    }

    @Test func aVoteIsDurableBeforeItIsSentAndGivenOnceATerm() throws {
        var machine = try Self.machine()
        _ = machine.step(ConsensusEvent(now: 0, .head(Self.head())))
        let effects = machine.step(ConsensusEvent(now: 1, Self.message(.voteRequest(term: 5, height: 10))))
        let stores = effects.indices.filter { if case .persist = effects[$0] { true } else { false } }
        let sends = effects.indices.filter { if case .publish = effects[$0] { true } else { false } }
        #expect(try #require(stores.last) < #require(sends.first))
        #expect(try Self.sent(effects) == [.voteReply(term: 5, granted: true)])

        guard case .persist(let stored) = effects[try #require(stores.last)] else { return }
        for var voter in [machine, try Self.machine(stored: stored)] {
            _ = voter.step(ConsensusEvent(now: 2, .head(Self.head())))
            let other = Self.message(.voteRequest(term: 5, height: 10), from: Self.nodes[2])
            #expect(try Self.sent(voter.step(ConsensusEvent(now: 3, other))) == [.voteReply(term: 5, granted: false)])
            let same = Self.message(.voteRequest(term: 5, height: 10))
            #expect(try Self.sent(voter.step(ConsensusEvent(now: 4, same))) == [.voteReply(term: 5, granted: true)])
        }
    }

    @Test func aCandidateWhoseChainIsBehindGetsNoVote() throws {
        for (height, granted) in [(UInt64(7), false), (8, true), (10, true), (11, true)] {
            var machine = try Self.machine()
            _ = machine.step(ConsensusEvent(now: 0, .head(Self.head())))
            let preVote = machine.step(ConsensusEvent(now: 1, Self.message(.preVoteRequest(term: 1, height: height))))
            #expect(try Self.sent(preVote) == [.preVoteReply(term: 1, granted: granted, current: 0)])
            let vote = machine.step(ConsensusEvent(now: 1, Self.message(.voteRequest(term: 1, height: height))))
            #expect(try Self.sent(vote) == [.voteReply(term: 1, granted: granted)])
        }
    }

    @Test func aLeaderThatWorksIsNotDeposed() throws {
        var machine = try Self.machine()
        _ = machine.step(ConsensusEvent(now: 0, .head(Self.head())))
        _ = machine.step(ConsensusEvent(now: 1, Self.message(.heartbeat(term: 1))))
        #expect(machine.leadership.leader == Self.nodes[1])
        let preVote = Self.message(.preVoteRequest(term: 2, height: 10), from: Self.nodes[2])
        #expect(
            try Self.sent(machine.step(ConsensusEvent(now: 900, preVote)))
                == [.preVoteReply(term: 2, granted: false, current: 1)])
        let vote = Self.message(.voteRequest(term: 2, height: 10), from: Self.nodes[2])
        #expect(machine.step(ConsensusEvent(now: 1_000, vote)).contains(.count(.refused(reason: "leader-alive"))))
        #expect(machine.leadership.term == 1)
        #expect(
            try Self.sent(machine.step(ConsensusEvent(now: 1_001, preVote)))
                == [.preVoteReply(term: 2, granted: true, current: 1)])
    }

    @Test func twoFailuresAtDifferentHeightsEndALeadersTerm() throws {
        var machine = try Self.machine()
        _ = machine.step(ConsensusEvent(now: 0, .head(Self.head())))
        _ = machine.step(ConsensusEvent(now: 1, Self.message(.heartbeat(term: 3))))
        func blame(_ height: UInt64, term: UInt64 = 3, leader: NodeID = Self.nodes[1]) -> [ConsensusEffect] {
            machine.step(ConsensusEvent(now: 2, .blame(Blame(leader: leader, term: term, height: height))))
        }
        #expect(blame(11) == [] && blame(11) == [] && blame(12, term: 2) == [])
        #expect(blame(12, leader: Self.nodes[2]) == [])
        #expect(machine.leadership.leader == Self.nodes[1])
        let effects = blame(12)
        #expect(effects.contains(.leadership(Leadership(engine: "raft", term: 3, leader: nil))))
        let again = machine.step(ConsensusEvent(now: 3, Self.message(.heartbeat(term: 3))))
        #expect(again.contains(.count(.refused(reason: "disowned"))))
        #expect(try Self.sent(again).isEmpty)
        let stickiness = Self.message(.preVoteRequest(term: 4, height: 10), from: Self.nodes[2])
        #expect(
            try Self.sent(machine.step(ConsensusEvent(now: 4, stickiness)))
                == [.preVoteReply(term: 4, granted: true, current: 3)])
        _ = machine.step(ConsensusEvent(now: 5, Self.message(.heartbeat(term: 4))))
        #expect(machine.leadership == Leadership(engine: "raft", term: 4, leader: Self.nodes[1]))
    }

    /// After a restart gossip hands out what it retained.
    @Test func oldHeartbeatsByTheHundredAreAnsweredOnce() throws {
        var machine = try Self.machine()
        _ = machine.step(ConsensusEvent(now: 0, .head(Self.head())))
        var answers: [RaftMessage] = []
        for _ in 0..<500 {
            answers += try Self.sent(machine.step(ConsensusEvent(now: 10, Self.message(.heartbeat(term: 2)))))
        }
        #expect(answers == [.heartbeatReply(term: 2)])
    }

    /// Heartbeats may be waiting behind the timer of a machine that was starved.
    @Test func aLateTimerGetsASecondChance() throws {
        var machine = try Self.machine()
        _ = machine.step(ConsensusEvent(now: 0, .head(Self.head())))
        _ = machine.step(ConsensusEvent(now: 1, Self.message(.heartbeat(term: 1))))
        let late = machine.step(ConsensusEvent(now: 9_000, .timer(ElectionTimer("election"))))
        #expect(late == [.setTimer(ElectionTimer("election"), afterMilliseconds: 500)])
        #expect(machine.leadership.leader == Self.nodes[1])
        let second = machine.step(ConsensusEvent(now: 19_000, .timer(ElectionTimer("election"))))
        #expect(try Self.sent(second) == [.preVoteRequest(term: 2, height: 10)])
        #expect(machine.leadership.leader == nil)
    }

    @Test func aNodeAloneLeadsItself() throws {
        var machine = try Self.machine()
        let head = Self.head(of: [Self.nodes[0]], height: 0)
        _ = machine.step(ConsensusEvent(now: 0, .head(head)))
        for now in stride(from: Int64(0), through: 2_000, by: 100) {
            _ = machine.step(ConsensusEvent(now: now, .timer(ElectionTimer("election"))))
        }
        #expect(machine.leadership == Leadership(engine: "raft", term: 1, leader: Self.nodes[0]))
    }

    @Test func whoIsNoMemberListensOnly() throws {
        var machine = try Self.machine()
        let head = Self.head(of: Array(Self.nodes[1...]), height: 0)
        _ = machine.step(ConsensusEvent(now: 0, .head(head)))
        let effects =
            machine.step(ConsensusEvent(now: 1_900, .timer(ElectionTimer("election"))))
            + machine.step(ConsensusEvent(now: 1_901, Self.message(.voteRequest(term: 1, height: 0))))
            + machine.step(ConsensusEvent(now: 1_902, Self.message(.heartbeat(term: 1))))
        #expect(try Self.sent(effects).isEmpty)
        #expect(machine.leadership.leader == Self.nodes[1])
    }

    @Test func anUnknownEngineIsAnErrorThatNamesTheOnesThereAre() {
        #expect(throws: UnknownElection(name: "dice")) { try Elections.named("dice") }
        #expect("\(UnknownElection(name: "dice"))" == "there is no election called \"dice\"; there is: raft")
    }
}
