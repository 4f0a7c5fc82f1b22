import Contracts
import Identity
import Machine
import Testing

@testable import PlannerCore

/// Byte-exact encodings: a change of any of these is another chain.
@Suite struct EncodingTests {
    static let node = NodeID(unchecked: Array(0..<32))
    static let hash = Digest(unchecked: Array(32..<64))
    static let signature = Signature(unchecked: Array(64..<128))
    static let vrf = VRFKey(unchecked: Array(128..<160))

    static let header = BlockHeader(
        genesis: hash, height: 7, builder: node, engine: "raft", term: 3, time: 1_700_000_000_000, parent: hash,
        parentSignature: signature, body: hash, nextMembers: hash,
        draw: VRFProof(unchecked: Array(160..<240)), stateRoot: .zero)

    @Test func headerIsSpelledOut() {
        var bytes: [UInt8] = [0, 0, 0, 14] + Array("poise/header/2".utf8)
        bytes += Array(32..<64)
        bytes += [0, 0, 0, 0, 0, 0, 0, 7]
        bytes += Array(0..<32)
        bytes += [0, 0, 0, 4] + Array("raft".utf8)
        bytes += [0, 0, 0, 0, 0, 0, 0, 3]
        bytes += [0x00, 0x00, 0x01, 0x8B, 0xCF, 0xE5, 0x68, 0x00]
        bytes += Array(32..<64) + Array(64..<128) + Array(32..<64) + Array(32..<64)
        bytes += Array(160..<240)
        bytes += [UInt8](repeating: 0, count: 32)
        #expect(Self.header.encoded == bytes)
    }

    @Test func bodyAndPlanAreSpelledOut() {
        let plan = Plan(
            assignments: [Assignment(app: "a", node: Self.node)],
            moves: [Move(app: "b", from: Self.node, to: NodeID(unchecked: Self.hash.bytes))])
        var bytes: [UInt8] = [0, 0, 0, 1, 0, 0, 0, 1, 0x61] + Array(0..<32)
        bytes += [0, 0, 0, 1, 0, 0, 0, 1, 0x62] + Array(0..<32) + Array(32..<64)
        #expect(plan.encoded == bytes)
        let message = SignedMessage(
            kind: .report, sender: Self.node, sequence: 5, payload: [1, 2], signature: Self.signature)
        let body = BlockBody(plan: plan, transactions: [], reports: [message])
        #expect(body.encoded == bytes + [0, 0, 0, 0] + [0, 0, 0, 1] + message.encoded)
    }

    @Test func certificateIsSpelledOut() {
        let certificate = Certificate(
            height: 1, round: 2, step: .precommit, block: Self.hash,
            signatures: [MemberSignature(member: Self.node, signature: Self.signature)])
        var bytes: [UInt8] = [0, 0, 0, 19] + Array("poise/certificate/1".utf8)
        bytes += [0, 0, 0, 0, 0, 0, 0, 1] + [0, 0, 0, 2] + [2] + Array(32..<64)
        bytes += [0, 0, 0, 1] + Array(0..<32) + Array(64..<128)
        #expect(certificate.encoded == bytes)
    }

    /// Hashes of fixed values. A new version of an encoding gets a new domain tag and a new vector.
    @Test func namesAreFixed() throws {
        let block = Block(header: Self.header, signature: Self.signature, body: BlockBody())
        let genesis = Genesis(
            site: "lab", operatorKey: .zero, parameters: SiteParameters(),
            members: [Member(id: Self.node, name: "pi1", vrf: Self.vrf)])
        let names = [
            block.id, BlockBody().hash, genesis.hash, .members(genesis.members), .site(named: "lab"),
            SiteState(genesis: genesis).root,
        ]
        #expect(names.map(\.description) == Self.vectors)
    }

    static let vectors = [
        "2f572f17b48c1dd599211f60719fe2fbf34a4f35841b3ab79a0f3837391b4bf0",
        "cdf609013c9290e2d30e2acecec4c80062048afebee70954fbdf2d674f62f9e8",
        "2694c560d74a8e812f6a3d3c5c172607aed9904bd3554c8097a1c5adb619282b",
        "e9ee86156eeb3e45008ea6c6ddee678ac83a0c04dad6eb3065b5ef5ad3faecfb",
        "f6af35fa31fc7cd1b1b476cc19e8fef23ea277d61b0fdc0cbfea1572cb4a94ff",
        "58a97b034ebed11c0766ed6c8652335e3c7033fc5dd9d1328ae723ad2006b90c",
    ]

    /// What one node writes another reads, and nothing else: for random values, cut short, and with bytes left over.
    @Test func encodingsAreReadBackExactly() throws {
        var chain = try ValidityTests.chain()
        let submission = chain.transaction(.submit([SubmittedApp(specification: .test("redis"))]), by: 2)
        let block = chain.block(transactions: [submission], reports: chain.reports())
        let committed = chain.certify(block)
        let vote = Vote(genesis: Self.hash, height: 1, round: 0, step: .prevote, block: nil)
        let proposal = Proposal(genesis: Self.hash, height: 1, round: 2, validRound: 1, block: Self.hash)
        let signatures = [MemberSignature(member: Self.node, signature: Self.signature)]
        try check(block)
        try check(chain.record)
        try check(SignedVote(voter: Self.node, vote: vote, signature: Self.signature))
        try check(
            ProposalMessage(
                proposal: proposal, signature: Self.signature, block: block.encoded, prevotes: signatures))
        try check(
            ChainStatus(
                genesis: Self.hash, height: 4, head: Self.hash, round: 1, asks: Self.node, pending: [submission]))
        try check(
            CommittedBlocks(entries: [.init(block: committed.block, certificate: committed.certificate)]))
        let header = CertifiedHeader(header: Self.header, signature: Self.signature, certificate: [1, 2])
        try check(MembershipLink(block: header, members: []))
        try check(SnapshotMessage.wish(SnapshotWish(genesis: Self.hash, digest: Self.hash, index: 3)))
        try check(
            SnapshotMessage.piece(SnapshotPiece(height: 4, digest: Self.hash, size: 3, index: 0, bytes: [1, 2, 3])))
    }

    private func check<T: ByteCodable & Equatable>(_ value: T) throws {
        let bytes = value.encoded
        #expect(try T(encoded: bytes) == value)
        #expect(throws: ByteCodingError.self) { try T(encoded: bytes + [0]) }
        for count in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 64)) {
            #expect(throws: ByteCodingError.self) { try T(encoded: Array(bytes.prefix(count))) }
        }
    }

    /// Bytes from nowhere are refused, never a trap.
    @Test func noiseIsRefused() {
        for seed in 0..<2_000 as Range<UInt64> {
            var random = SplitMix64(seed: seed)
            var bytes = Self.header.encoded + Self.signature.bytes + BlockBody().encoded
            for _ in 0..<random.next(in: 1...8) {
                bytes[random.next(in: 0...bytes.count - 1)] = UInt8(truncatingIfNeeded: random.next())
            }
            _ = try? Block(encoded: bytes)
            _ = try? ProposalMessage(encoded: bytes)
            _ = try? AgreementRecord(encoded: bytes)
            _ = try? SnapshotMessage(encoded: bytes)
            _ = try? CertifiedSnapshot(encoded: bytes)
            _ = try? CommittedBlocks(encoded: bytes)
            _ = try? Certificate(encoded: bytes)
            _ = try? ChainStatus(encoded: bytes)
        }
    }

    @Test func blocksFillAMessageAndNoMore() {
        let large = CommittedBlock(
            height: 1, id: .zero, block: [UInt8](repeating: 0, count: Block.sizeLimit),
            certificate: [UInt8](repeating: 0, count: 100_000))
        let publication = CommittedBlocks.publication(of: [large, large], to: Self.node)
        #expect(publication.map { $0.payload.bytes.count < SignedMessage.payloadLimit } == true)
        #expect(CommittedBlocks.publication(of: [], to: Self.node) == nil)
        let small = CommittedBlock(height: 1, id: .zero, block: [1], certificate: [2])
        let many = CommittedBlocks.publication(of: Array(repeating: small, count: 40), to: Self.node)
        #expect(many.flatMap { try? CommittedBlocks(encoded: $0.payload.bytes) }?.entries.count == 16)
    }

    @Test func quorums() {
        let crash = (1...7).map { Quorum(members: $0, rule: .crash).votes }
        #expect(crash == [1, 2, 2, 3, 3, 4, 4])
        let byzantine = (1...7).map { Quorum(members: $0, rule: .byzantine) }
        #expect(byzantine.map(\.votes) == [1, 2, 3, 3, 4, 5, 5])
        #expect(byzantine.map(\.oneHonest) == [1, 1, 1, 2, 2, 2, 3])
    }
}
