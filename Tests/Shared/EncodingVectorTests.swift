import Contracts
import Glibc
import Identity
import Machine
import Runtime
import Testing

/// The vectors of docs/encodings.md, which another implementation computed: that page and this code must agree.
@Suite struct EncodingVectorTests {
    private static let document =
        String(#filePath).split(separator: "/").dropLast(3).map { "/\($0)" }.joined()
        + "/docs/encodings.md"

    /// The bytes under each heading of the page.
    private let vectors: [String: [UInt8]]

    init() throws {
        let bytes = try #require(try DurableFile(path: Self.document).read())
        var vectors: [String: [UInt8]] = [:]
        var (name, isInside) = ("", false)
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            if line.hasPrefix("### ") { name = String(line.dropFirst(4)) }
            if line.hasPrefix("```") {
                isInside.toggle()
            } else if isInside {
                vectors[name, default: []] += try #require(Hex.decode(String(line)), "\(name)")
            }
        }
        self.vectors = vectors
    }

    private func vector(_ name: String) throws -> [UInt8] { try #require(vectors[name], "\(name)") }

    private let keys = [0, 32, 64, 96].compactMap { first in SigningKey(seed: Array(first..<first + 32)) }
    private let site = Digest(of: Array("home".utf8), domain: "poise/site/1")
    private let block = Digest(of: Array("block".utf8), domain: "x")

    private var report: Report {
        Report(
            name: "pi1", gossipAddress: "10.0.0.1:7700", migratorAddress: "10.0.0.1:7701",
            vrf: keys[0].vrf.publicKey,
            load: LoadMatrix(
                timestamp: 1_767_225_600_000, device: Score(cpu: 250_000, ram: 500_000, network: 0),
                apps: [AppScore(app: "counter", incarnation: 7, score: Score(cpu: 150_000, ram: 1_000))],
                services: [AppScore(app: "gossip", incarnation: 0, score: Score(cpu: 1, ram: 2, disk: 3, network: 4))],
                capacity: Capacity(
                    cpuMillicores: 4_000, ramBytes: 8 << 30, diskBytesPerSecond: 40 << 20,
                    networkBytesPerSecond: 125_000_000),
                facts: Facts(
                    architecture: "aarch64", kernel: "6.12.0", engineVersion: "28.0.1", storageDriver: "overlay2",
                    checkpoints: true, pageSize: 16_384, labels: ["floor": "2", "camera": ""],
                    devices: ["/dev/i2c-1", "/dev/video0"])))
    }

    private var genesis: Genesis {
        Genesis(
            site: "home", operatorKey: keys[2].publicKey,
            parameters: SiteParameters(strategy: "paper", quorum: .byzantine),
            members: zip(keys, ["pi1", "pi2"]).map { Member(id: $0.nodeID, name: $1, vrf: $0.vrf.publicKey) })
    }

    @Test func reportAndMessage() throws {
        #expect(report.encoded == (try vector("report")))
        let key = keys[0]
        let signed = SignedMessage.signedBytes(site: site, kind: .report, sequence: 1_001, payload: report.encoded)
        #expect(signed == (try vector("message, signed")))
        let message = SignedMessage(
            kind: .report, sender: key.nodeID, sequence: 1_001, payload: report.encoded, signature: key.sign(signed))
        #expect(message.encoded == (try vector("message, sent")))
        let read = try SignedMessage(encoded: try vector("message, sent"))
        #expect(read.sender.verifies(read.signature, of: read.signedBytes(site: site)))
        #expect(try Report(encoded: read.payload.bytes) == report)
    }

    @Test func genesisVoteAndProposal() throws {
        #expect(genesis.signedBytes == (try vector("genesis, signed")))
        let vote = Vote(genesis: genesis.hash, height: 42, round: 1, step: .precommit, block: block)
        #expect(vote.encoded == (try vector("vote")))
        #expect(keys[0].sign(vote.encoded).bytes == (try vector("vote, signature")))
        let none = Vote(genesis: genesis.hash, height: 42, round: 1, step: .prevote, block: nil)
        #expect(none.encoded == (try vector("vote, for no block")))
        let proposal = Proposal(genesis: genesis.hash, height: 42, round: 3, validRound: -1, block: block)
        #expect(proposal.encoded == (try vector("proposal")))
    }

    @Test func draws() throws {
        let first = Draw.firstSeed(of: genesis.hash)
        let alpha = Draw.alpha(genesis: genesis.hash, height: 1, seed: first)
        #expect(alpha == (try vector("draw")))
        let proof = keys[0].vrf.prove(alpha)
        #expect(proof.bytes == (try vector("draw, proof")))
        let output = try #require(keys[0].vrf.publicKey.output(of: proof, for: alpha))
        #expect(output.bytes == (try vector("draw, output")))
        let next = Draw.seed(after: first, output)
        #expect(next.bytes == (try vector("draw, next seed")))
        let members = (1...7 as ClosedRange<UInt8>).map { NodeID(unchecked: [UInt8](repeating: $0, count: 32)) }
        #expect(Rotation.order(members, seed: next).flatMap(\.bytes) == (try vector("turns")))
    }

    @Test func transactions() throws {
        let app = AppSpecification(
            name: "web", image: "nginx:1", command: ["nginx", "-g"], environment: ["B": "", "A": "1"],
            volumes: [VolumeMount(kind: .volume, source: "data", target: "/data")],
            ports: [PortMapping(published: 8_080, target: 80)], restart: .always, cpuMillicores: 500,
            memoryBytes: 64 << 20, hostname: "web", workingDirectory: "/srv",
            isolated: .freeze, recovery: .fresh,
            constraints: [
                PlacementConstraint(.label("floor"), "2"), PlacementConstraint(.hostname, isEqual: false, "pi1"),
            ], devices: [DeviceMapping(source: "/dev/video0", target: "/dev/video1", permissions: "rw")])
        func order(_ sequence: UInt64, _ act: Order.Act) -> Order {
            Order(genesis: genesis.hash, sequence: sequence, act: act)
        }
        let submit = order(
            1_767_225_600_000_000, .submit([SubmittedApp(specification: app, on: keys[1].nodeID)]))
        #expect(submit.signedBytes == (try vector("order, submit")))
        let signed = SignedOrder(order: submit, signature: keys[2].sign(submit.signedBytes))
        #expect(Transaction.order(signed).encoded == (try vector("transaction, order")))
        #expect(keys[2].publicKey.verifies(signed.signature, of: try vector("order, submit")))
        #expect(order(2, .remove(app: "web")).encoded == (try vector("order, remove")))
        #expect(order(3, .dismiss(keys[1].nodeID)).encoded == (try vector("order, dismiss")))
        let configure = order(4, .configure(SiteParameters(quorum: .byzantine), from: 100))
        #expect(configure.encoded == (try vector("order, configure")))
        let receipt = Receipt(
            app: "web", incarnation: 9, outcome: .refused, reason: "no room",
            shipment: Shipment(bytes: 1 << 20, milliseconds: 250))
        #expect(Transaction.receipt(receipt).encoded == (try vector("transaction, receipt")))
    }

    @Test func changesOfMembers() throws {
        #expect(Transaction.leave(since: 7).encoded == (try vector("transaction, leave")))
        var members = ByteWriter()
        members.list(genesis.members)
        let invitation = Invitation(
            genesis: genesis.hash, site: "home", height: 42, head: block,
            members: Digest(of: members.bytes, domain: "poise/members/2"), name: "pi3", expires: 1_767_225_660_000,
            key: keys[3].publicKey)
        #expect(invitation.signedBytes == (try vector("invitation")))
        let member = Member(id: keys[1].nodeID, name: "pi3", vrf: keys[1].vrf.publicKey)
        let join = Join(
            invitation: invitation, signature: keys[2].sign(invitation.signedBytes), member: member,
            proof: keys[3].sign(Join.provenBytes(invitation, member)))
        #expect(Transaction.join(join).encoded == (try vector("transaction, join")))
        let votes = [block, nil].map { block in
            let vote = Vote(genesis: genesis.hash, height: 42, round: 1, step: .precommit, block: block)
            return SignedVote(voter: keys[0].nodeID, vote: vote, signature: keys[0].sign(vote.encoded))
        }
        let evidence = try #require(Evidence(votes[0], votes[1]))
        #expect(Transaction.evidence(evidence).encoded == (try vector("transaction, evidence")))
        let token = InvitationToken(invitation: invitation, signature: join.signature, seed: keys[3].seed)
        #expect(try InvitationToken(text: token.text) == token)
        #expect(throws: ByteCodingError.self) { try InvitationToken(text: token.text.dropLast(2) + "zz") }
    }

    @Test func kindsKeepTheirNumbers() {
        #expect(
            MessageKind.allCases.map { "\($0.rawValue) \($0.name)" }.joined(separator: ", ")
                == "1 report, 2 leave, 3 genesis, 4 election, 5 status, 6 proposal, 7 vote, 8 blocks, 9 transaction, "
                + "10 snapshot")
        #expect(MessageKind.allCases.allSatisfy { MessageKind(name: $0.name) == $0 })
        #expect(MessageKind(name: "Report") == nil && MessageKind(rawValue: 0) == nil)
    }
}
