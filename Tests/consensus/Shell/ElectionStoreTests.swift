import ConsensusCore
import Contracts
import FoundationEssentials
import Runtime
import Testing

@testable import consensus

/// The disk between two lives of a process.
struct ElectionStoreTests {
    private static let node = NodeID(unchecked: [UInt8](repeating: 1, count: 32))
    private static let configuration = ElectionConfiguration(own: node, seed: 1, heartbeat: 250, timeout: 1_000)

    private static func withStore(_ body: (ElectionStore, String) throws -> Void) throws {
        let directory = FileManager.default.temporaryDirectory.path + "/poise-election-\(Entropy.seed())"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try body(ElectionStore(directory: directory, engine: "raft"), directory)
    }

    @Test func aTermSurvives() throws {
        try Self.withStore { store, _ in
            var machine = ConsensusMachine(
                own: Self.node, election: try store.restore(RaftElection.self, Self.configuration))
            let head = SiteHead(
                genesis: .zero, site: .zero, height: 0, term: 0, seed: .zero, epochSeed: .zero,
                members: [Voter(id: Self.node, vrf: .zero)])
            var effects = machine.step(ConsensusEvent(now: 0, .head(head)))
            for now in stride(from: Int64(0), through: 2_000, by: 100) {
                effects += machine.step(ConsensusEvent(now: now, .timer(ElectionTimer("election"))))
            }
            #expect(machine.leadership.term == 1)
            for case .persist(let bytes) in effects { try store.write(bytes) }
            #expect(try store.restore(RaftElection.self, Self.configuration).leadership.term == 1)
        }
    }

    @Test func aDamagedFileIsNamed() throws {
        try Self.withStore { store, directory in
            try store.write([1, 2, 3])
            let error = try #require(throws: StoreError.self) {
                try store.restore(RaftElection.self, Self.configuration)
            }
            #expect(error.description.hasPrefix("\(directory)/consensus-raft.state is damaged: "))
        }
    }
}
