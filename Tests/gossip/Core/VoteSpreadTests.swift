import Contracts
import GossipCore
import Testing

/// How soon a vote is everywhere, and in how many copies (docs/decisions/0022-when-to-ask.md).
@Suite struct VoteSpreadTests {
    /// All know each other, and every message takes 10 ms.
    private func calmMesh(_ count: Int) throws -> Mesh {
        var mesh = try Mesh(seed: 7, count: count) { me in (0..<count).filter { $0 != me } }
        mesh.faults = Mesh.Faults(loss: 0, duplication: 0, delay: 10...10)
        mesh.run(for: 2_000)
        return mesh
    }

    private func vote(_ mesh: inout Mesh, by node: Int, _ number: UInt8) throws -> Signature {
        let payload = [UInt8](repeating: number, count: 230)
        let request = mesh.request(node) { .publish($0, Publication(kind: .vote, payload: payload)) }
        mesh.run(for: 0)
        guard case .published(let message)? = mesh.answers[request] else {
            Issue.record("the vote was not published: \(String(describing: mesh.answers[request]))")
            return .zero
        }
        return message.signature
    }

    private func holders(_ mesh: Mesh, of signature: Signature) -> Int {
        mesh.nodes.count { $0.delivered.contains { $0.signature == signature } }
    }

    @Test("A vote takes one delay though the one before is still under way, and each node gets one copy")
    func votesDoNotWait() throws {
        var mesh = try calmMesh(6)
        var signatures: [Signature] = []
        for number in UInt8(1)...3 {
            for node in 0..<6 { signatures.append(try vote(&mesh, by: node, number)) }
            mesh.run(for: 10)
            for signature in signatures.suffix(6) { #expect(holders(mesh, of: signature) == 6) }
        }
        mesh.run(for: 2_000)
        for signature in signatures { #expect(mesh.bodies[signature] == 5) }
    }

    @Test("Where two can't reach each other a third passes it on")
    func aThirdPassesItOn() throws {
        var mesh = try calmMesh(4)
        mesh.cut = [[0, 1]]
        let signature = try vote(&mesh, by: 0, 1)
        mesh.run(for: 10)
        #expect(holders(mesh, of: signature) == 3)
        mesh.run(for: 300)
        #expect(holders(mesh, of: signature) == 4)
    }
}
