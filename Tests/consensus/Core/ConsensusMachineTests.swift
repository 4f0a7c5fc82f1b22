import Contracts
import Testing

@testable import ConsensusCore

/// What the machine does for every engine, shown by one step.
struct ConsensusMachineTests {
    static let nodes = (1...3).map { NodeID(unchecked: [UInt8](repeating: $0, count: 32)) }
    private static let stranger = NodeID(unchecked: [UInt8](repeating: 9, count: 32))
    private static let genesis = Digest(unchecked: [UInt8](repeating: 7, count: 32))

    private static func machine(_ engine: any Election.Type = RaftElection.self) throws -> ConsensusMachine {
        let configuration = ElectionConfiguration(own: nodes[0], seed: 1, heartbeat: 250, timeout: 1_000)
        return ConsensusMachine(own: nodes[0], election: try engine.init(configuration, stored: nil))
    }

    private static func head(of members: [NodeID] = nodes, height: UInt64 = 10) -> SiteHead {
        SiteHead(
            genesis: genesis, site: .zero, height: height, seed: .zero, epochSeed: .zero,
            members: members.map { Voter(id: $0, vrf: .zero) })
    }

    private static func message(
        _ body: [UInt8], from sender: NodeID = nodes[1], genesis: Digest = genesis, engine: String = "raft"
    ) -> ConsensusEvent.Kind {
        message(
            payload: ElectionEnvelope(genesis: genesis, engine: engine, body: body).encoded, from: sender)
    }

    private static func message(payload: [UInt8], from sender: NodeID) -> ConsensusEvent.Kind {
        .message(SignedMessage(kind: .election, sender: sender, sequence: 1, payload: payload, signature: .zero))
    }

    private static func introductions(_ effects: [ConsensusEffect]) throws -> [(engine: String, to: NodeID?)] {
        try effects.compactMap { effect in
            guard case .publish(let publication) = effect else { return nil }
            let envelope = try ElectionEnvelope(encoded: publication.payload.bytes)
            return envelope.body.isEmpty ? (envelope.engine, publication.to) : nil
        }
    }

    private static func warnings(_ effects: [ConsensusEffect]) -> [String] {
        effects.compactMap { if case .log(.warning, let text) = $0 { text } else { nil } }
    }

    @Test func beforeAHeadNothingHappens() throws {
        for engine in try Elections.names.map({ try Elections.named($0) }) {
            var machine = try Self.machine(engine)
            let kinds: [ConsensusEvent.Kind] = [
                Self.message([1]), .timer(.election(ElectionTimer("election"))), .timer(.introduction),
                .blame(Blame(leader: Self.nodes[1], term: 0, height: 1)), .answer(.draw(alpha: []), nil),
            ]
            let effects = kinds.flatMap { machine.step(ConsensusEvent(now: 5_000, $0)) }
            #expect(effects == [.count(.refused(reason: "no-head"))])
            #expect(machine.leadership == Leadership(engine: engine.name, term: 0, leader: nil))
        }
    }

    @Test func whatIsNotForThisElectionIsRefusedByName() throws {
        var machine = try Self.machine()
        _ = machine.step(ConsensusEvent(now: 0, .head(Self.head())))
        let cases: [(ConsensusEvent.Kind, String)] = [
            (Self.message([1], from: Self.stranger), "not-a-member"),
            (Self.message([1], genesis: .zero), "other-genesis"),
            (Self.message([1], engine: "paxos"), "other-engine"),
            (Self.message(payload: [1, 2, 3], from: Self.nodes[1]), "malformed"),
            (Self.message([1, 2, 3]), "malformed"),
        ]
        for (kind, reason) in cases {
            let effects = machine.step(ConsensusEvent(now: 1, kind))
            #expect(effects.contains(.count(.refused(reason: reason))), "\(reason)")
        }
        #expect(machine.leadership.term == 0)
    }

    @Test func aHeadOfNoUseIsRefused() throws {
        var machine = try Self.machine()
        var late = Self.head()
        late.membersSince = 11
        let heads = [[], [Self.nodes[1], Self.nodes[0]], [Self.nodes[0], Self.nodes[0]]].map { Self.head(of: $0) }
        for head in heads + [late] {
            #expect(head.flaw != nil)
            #expect(
                machine.step(ConsensusEvent(now: 0, .head(head))).contains(.count(.refused(reason: "invalid-head"))))
        }
        #expect(machine.head == nil)
    }

    // MARK: - Nodes that elect in another way

    @Test func aNodeThatElectsOtherwiseIsNamedOnceAndTold() throws {
        var machine = try Self.machine()
        let first = try Self.introductions(machine.step(ConsensusEvent(now: 0, .head(Self.head()))))
        #expect(first.map(\.engine) == ["raft"] && first.map(\.to) == [nil])

        let strange = machine.step(ConsensusEvent(now: 1, Self.message([], engine: "rotation")))
        #expect(machine.otherEngines == [Self.nodes[1]: "rotation"])
        #expect(try #require(Self.warnings(strange).first).contains("elects by rotation and this node by raft"))
        #expect(try Self.introductions(strange).map(\.to) == [Self.nodes[1]])

        let again = machine.step(ConsensusEvent(now: 2, Self.message([], engine: "rotation")))
        #expect(Self.warnings(again).isEmpty)
        #expect(try Self.introductions(again).isEmpty)

        _ = machine.step(ConsensusEvent(now: 3, Self.message([])))
        #expect(machine.otherEngines.isEmpty)
    }

    /// Also two that never say a word of their own.
    @Test func everyPairOfEnginesFindsOut() throws {
        for one in Elections.names {
            for other in Elections.names where other != one {
                var listener = try Self.machine(try Elections.named(one))
                _ = listener.step(ConsensusEvent(now: 0, .head(Self.head())))
                var speaker = ConsensusMachine(
                    own: Self.nodes[1],
                    election: try Elections.named(other).init(
                        ElectionConfiguration(own: Self.nodes[1], seed: 2, heartbeat: 250, timeout: 1_000),
                        stored: nil))
                let effects = speaker.step(ConsensusEvent(now: 0, .head(Self.head())))
                for case .publish(let publication) in effects {
                    _ = listener.step(
                        ConsensusEvent(now: 1, Self.message(payload: publication.payload.bytes, from: Self.nodes[1])))
                }
                #expect(listener.otherEngines == [Self.nodes[1]: other], "\(one) hears \(other)")
            }
        }
    }

    @Test func anUnknownEngineIsAnErrorThatNamesTheOnesThereAre() {
        #expect(throws: UnknownElection(name: "dice")) { try Elections.named("dice") }
        #expect(
            "\(UnknownElection(name: "dice"))"
                == "there is no election called \"dice\"; there is: raft, paxos, poet, rotation, etcd")
    }
}
