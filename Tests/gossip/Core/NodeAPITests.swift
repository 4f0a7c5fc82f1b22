import Contracts
import GossipCore
import Identity
import Testing

/// The node API of the paper's section 6.1: who may change which entry.
@Suite struct NodeAPITests {
    private let site = GossipMachine.siteDigest(Mesh.site)

    private func signed(_ kind: MessageKind, by index: Int, sequence: UInt64, payload: [UInt8]? = nil) -> SignedMessage
    {
        let report = Report(
            name: "pi\(index)", gossipAddress: Mesh.address(index), migratorAddress: "10.0.0.\(index):7701",
            vrf: Mesh.key(index).vrf.publicKey, load: Mesh.sample(Int64(sequence)))
        let payload = payload ?? (kind == .report ? report.encoded : [])
        let bytes = SignedMessage.signedBytes(site: site, kind: kind, sequence: sequence, payload: payload)
        return SignedMessage(
            kind: kind, sender: Mesh.key(index).nodeID, sequence: sequence, payload: payload,
            signature: Mesh.key(index).sign(bytes))
    }

    /// What became of a request: `created`, `changed` or the problem's status and code.
    private func ask(_ mesh: inout Mesh, _ verb: SharedRequest.Verb, _ node: Int, _ message: SignedMessage) -> String {
        let change = SharedRequest(verb, node: Mesh.key(node).nodeID, message: message)
        let request = mesh.request(0) { .shared($0, change) }
        switch mesh.answers[request] {
        case .shared(let created): return created ? "created" : "changed"
        case .problem(let problem): return "\(problem.status) \(problem.code)"
        default: return "no answer"
        }
    }

    @Test func anEntryChangesOnlyByItsOwnersWord() throws {
        var mesh = try Mesh(seed: 1, count: 1) { _ in [] }
        #expect(ask(&mesh, .replace, 5, signed(.report, by: 5, sequence: 1)) == "404 unknown-node")
        #expect(ask(&mesh, .introduce(address: nil), 5, signed(.report, by: 6, sequence: 1)) == "403 not-the-owner")
        #expect(ask(&mesh, .introduce(address: nil), 5, signed(.report, by: 5, sequence: 2)) == "created")
        #expect(ask(&mesh, .introduce(address: nil), 5, signed(.report, by: 5, sequence: 2)) == "changed")
        #expect(ask(&mesh, .replace, 5, signed(.report, by: 5, sequence: 3)) == "changed")
        #expect(ask(&mesh, .replace, 5, signed(.report, by: 6, sequence: 4)) == "403 not-the-owner")
        var bent = signed(.report, by: 5, sequence: 4)
        bent.sequence = 9
        #expect(ask(&mesh, .replace, 5, bent) == "403 not-the-owner")
        #expect(mesh.nodes[0].machine.scores(now: 0).map(\.sequence) == [3])
        #expect(ask(&mesh, .replace, 5, signed(.report, by: 5, sequence: 3, payload: [1])) == "400 malformed-report")
        #expect(ask(&mesh, .replace, 5, signed(.vote, by: 5, sequence: 4)) == "400 wrong-kind")
        #expect(ask(&mesh, .leave, 5, signed(.report, by: 5, sequence: 5)) == "400 wrong-kind")
        #expect(ask(&mesh, .leave, 5, signed(.leave, by: 6, sequence: 1)) == "403 not-the-owner")
        #expect(mesh.nodes[0].machine.scores(now: 0).count == 1)
        #expect(ask(&mesh, .leave, 5, signed(.leave, by: 5, sequence: 1)) == "changed")
        #expect(mesh.nodes[0].machine.scores(now: 0).isEmpty)
        #expect(ask(&mesh, .leave, 5, signed(.leave, by: 5, sequence: 2)) == "changed")
    }

    /// Of a site that has a chain the chain decides who is a member: what is said here goes there, and nothing is forgotten before.
    @Test func theChainIsToldOfComingAndGoing() throws {
        var mesh = try Mesh(seed: 1, count: 1) { _ in [] }
        func transaction(_ transaction: Transaction, _ sequence: UInt64) -> SignedMessage {
            signed(.transaction, by: 5, sequence: sequence, payload: transaction.encoded)
        }
        let invitation = Invitation(
            genesis: .zero, site: Mesh.site, height: 1, head: .zero, members: .zero, name: "pi5", expires: 1, key: .zero
        )
        let member = Member(id: Mesh.key(5).nodeID, name: "pi5", vrf: .zero)
        let join = Transaction.join(Join(invitation: invitation, signature: .zero, member: member, proof: .zero))
        #expect(ask(&mesh, .introduce(address: nil), 5, transaction(join, 1)) == "changed")
        #expect(ask(&mesh, .introduce(address: nil), 5, signed(.report, by: 5, sequence: 1)) == "created")
        #expect(ask(&mesh, .leave, 5, transaction(join, 2)) == "400 wrong-kind")
        #expect(ask(&mesh, .introduce(address: nil), 5, transaction(.leave(since: 3), 2)) == "400 wrong-kind")
        #expect(ask(&mesh, .leave, 5, transaction(.leave(since: 3), 2)) == "changed")
        #expect(mesh.nodes[0].machine.scores(now: 0).count == 1, "it still reports while its apps move away")
        let kinds = mesh.nodes[0].machine.feed.lines(after: nil, kinds: [.transaction]).map(\.message.kind)
        #expect(kinds == [.transaction, .transaction])
    }

    @Test func anOlderReportReplacesNothing() throws {
        var mesh = try Mesh(seed: 1, count: 1) { _ in [] }
        #expect(ask(&mesh, .introduce(address: nil), 5, signed(.report, by: 5, sequence: 900)) == "created")
        #expect(ask(&mesh, .replace, 5, signed(.report, by: 5, sequence: 899)) == "409 superseded")
        #expect(ask(&mesh, .replace, 5, signed(.report, by: 5, sequence: 900, payload: [])) == "400 malformed-report")
        #expect(mesh.nodes[0].machine.scores(now: 0).map(\.sequence) == [900])
    }

    /// A report still under way must not bring back a node that has left; one that it sends later does.
    @Test func aNodeThatLeftComesBackByALaterReport() throws {
        var mesh = try Mesh(seed: 1, count: 1) { _ in [] }
        #expect(ask(&mesh, .introduce(address: nil), 5, signed(.report, by: 5, sequence: 1)) == "created")
        #expect(ask(&mesh, .leave, 5, signed(.leave, by: 5, sequence: 1)) == "changed")
        #expect(ask(&mesh, .introduce(address: nil), 5, signed(.report, by: 5, sequence: 2)) == "409 left")
        mesh.run(for: 3_100)
        #expect(ask(&mesh, .introduce(address: nil), 5, signed(.report, by: 5, sequence: 3)) == "created")
    }
}
