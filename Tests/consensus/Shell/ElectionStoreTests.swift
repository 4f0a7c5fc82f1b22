import ConsensusCore
import Contracts
import FoundationEssentials
import Runtime
import Testing

@testable import consensus

/// The disk between two lives of a process.
struct ElectionStoreTests {
    private static let nodes = (1...2).map { NodeID(unchecked: [UInt8](repeating: $0, count: 32)) }
    private static let configuration = ElectionConfiguration(own: nodes[0], seed: 1, heartbeat: 250, timeout: 1_000)

    private static func withStore(_ engine: String, _ body: (ElectionStore, String) throws -> Void) throws {
        let directory = FileManager.default.temporaryDirectory.path + "/poise-election-\(Entropy.seed())"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try body(ElectionStore(directory: directory, engine: engine), directory)
    }

    /// What a node has promised in one life, it holds to in the next.
    @Test(arguments: ["raft", "paxos"]) func aTermSurvives(name: String) throws {
        let engine = try Elections.named(name)
        let head = SiteHead(
            genesis: .zero, site: .zero, height: 9, membersSince: 3, seed: .zero, epochSeed: .zero,
            members: Self.nodes.map { Voter(id: $0, vrf: .zero) })
        try Self.withStore(name) { store, _ in
            var machine = ConsensusMachine(own: Self.nodes[0], election: try store.restore(engine, Self.configuration))
            for case .persist(let bytes) in machine.step(ConsensusEvent(now: 0, .head(head))) { try store.write(bytes) }
            #expect(machine.leadership.term == 3 << 32)
            #expect(try store.restore(engine, Self.configuration).leadership.term == 3 << 32)
        }
    }

    @Test(arguments: ["raft", "paxos"]) func aDamagedFileIsNamed(name: String) throws {
        let engine = try Elections.named(name)
        try Self.withStore(name) { store, directory in
            try store.write([1, 2, 3])
            let error = try #require(throws: StoreError.self) { try store.restore(engine, Self.configuration) }
            #expect(error.description.hasPrefix("\(directory)/consensus-\(name).state is damaged: "))
        }
    }
}
