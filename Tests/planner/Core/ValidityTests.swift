import Contracts
import Identity
import Testing

@testable import PlannerCore

/// valid(v): every rule has its own refusal.
@Suite struct ValidityTests {
    /// Three blocks in, with an app running and one queued.
    static func chain() throws -> TestChain {
        var chain = TestChain(nodes: 4)
        try chain.grow(reports: chain.reports())
        try chain.run("counter", on: 1)
        return chain
    }

    func refusal(_ block: Block, _ chain: TestChain) -> Refusal.Reason? {
        do throws(Refusal) {
            _ = try Validity.check(block, after: chain.state)
            return nil
        } catch {
            return error.reason
        }
    }

    /// Changes the header of an otherwise valid block and signs it again.
    func refusal(_ change: (inout BlockHeader, inout BlockBody) -> Void, builder: Int = 0) throws -> Refusal.Reason? {
        var chain = try Self.chain()
        let submission = chain.transaction(.submit([SubmittedApp(specification: .test("redis"))]), by: 2)
        let block = chain.block(transactions: [submission], reports: chain.reports())
        #expect(refusal(block, chain) == nil)
        var (header, body) = (block.header, block.body)
        change(&header, &body)
        return refusal(chain.sign(header, body, by: builder), chain)
    }

    @Test func eachHeaderFieldIsChecked() throws {
        #expect(try refusal { header, _ in header.genesis = .zero } == .anotherGenesis)
        #expect(try refusal { header, _ in header.height += 1 } == .wrongHeight)
        #expect(try refusal { header, _ in header.parent = .zero } == .wrongParent)
        #expect(try refusal { header, _ in header.parentSignature = .zero } == .wrongParentSignature)
        #expect(
            try refusal { header, _ in header.builder = NodeID(unchecked: header.parent.bytes) } == .builderNotMember)
        #expect(try refusal({ _, _ in }, builder: 1) == .badBuilderSignature)
        #expect(try refusal { header, _ in header.term = 0 } == .termBelowParent)
        #expect(try refusal { header, _ in header.time -= 1_000 } == .timeNotAfterParent)
        #expect(try refusal { header, _ in header.time += 60_000 } == .timeTooFarAhead)
        #expect(try refusal { header, _ in header.body = .zero } == .wrongBodyHash)
        #expect(try refusal { header, _ in header.draw = Self.bent(header.draw) } == .badDraw)
        #expect(try refusal { header, _ in header.nextMembers = .zero } == .wrongMembersHash)
        #expect(try refusal { header, _ in header.stateRoot = .zero } == .wrongStateRoot)
    }

    private static func bent(_ proof: VRFProof) -> VRFProof {
        var bytes = proof.bytes
        bytes[40] ^= 1
        return VRFProof(unchecked: bytes)
    }

    /// A draw is its builder's own, for this height and after these draws.
    @Test func onlyTheBuildersOwnDrawIsTaken() throws {
        let chain = try Self.chain()
        let block = chain.block()
        let draw = chain.state.nextDraw
        var (later, elsewhere) = (draw, draw)
        later.height += 1
        elsewhere.seed = .zero
        let proofs = [
            chain.keys[1].vrf.prove(draw.encoded), chain.keys[0].vrf.prove(later.encoded),
            chain.keys[0].vrf.prove(elsewhere.encoded), VRFProof(unchecked: [UInt8](repeating: 0xff, count: 80)),
        ]
        for proof in proofs {
            var header = block.header
            header.draw = proof
            #expect(refusal(chain.sign(header, block.body, by: 0), chain) == .badDraw)
        }
        // From this node's own storage the proof is believed, but what it proves is in the state's root.
        var header = block.header
        header.draw = proofs[0]
        #expect(throws: Refusal.self) {
            try Validity.check(chain.sign(header, block.body, by: 0), after: chain.state, trusting: true)
        }
        #expect(try Validity.check(block, after: chain.state, trusting: true).seed != chain.state.seed)
    }

    /// Fields that are free within bounds still are part of the state's root or of the signature.
    @Test func freeFieldsAreBound() throws {
        #expect(try refusal { header, _ in header.time += 1 } == .wrongStateRoot)
        #expect(try refusal { header, _ in header.term += 1 } == .wrongStateRoot)
        #expect(try refusal { header, _ in header.engine = "paxos" } == nil)
    }

    func bodyRefusal(_ change: (inout BlockBody, inout TestChain) -> Void) throws -> Refusal.Reason? {
        var chain = try Self.chain()
        let messages = [
            chain.transaction(.submit([SubmittedApp(specification: .test("redis"))]), by: 2),
            chain.transaction(.submit([SubmittedApp(specification: .test("nginx"))]), by: 2),
        ]
        let block = chain.block(transactions: messages, reports: chain.reports())
        var body = block.body
        change(&body, &chain)
        var header = block.header
        header.body = body.hash
        return refusal(chain.sign(header, body, by: 0), chain)
    }

    @Test func planIsRecomputed() throws {
        #expect(
            try bodyRefusal { body, chain in
                body.plan.moves.append(Move(app: "counter", from: chain.id(1), to: chain.id(0)))
            } == .wrongPlan)
        #expect(
            try bodyRefusal { body, chain in
                body.plan.assignments.append(Assignment(app: "counter", node: chain.id(0)))
            } == .wrongPlan)
        var chain = try Self.chain()
        try chain.grow([.submit([SubmittedApp(specification: .test("redis"), on: chain.id(3))])])
        let block = chain.block()
        #expect(block.body.plan.assignments == [Assignment(app: "redis", node: chain.id(3))])
        var (header, body) = (block.header, block.body)
        body.plan.assignments[0].node = chain.id(2)
        header.body = body.hash
        #expect(refusal(chain.sign(header, body, by: 0), chain) == .wrongPlan)
        body.plan.assignments = []
        header.body = body.hash
        #expect(refusal(chain.sign(header, body, by: 0), chain) == .wrongPlan)
    }

    @Test func eachMessageIsChecked() throws {
        #expect(try bodyRefusal { body, _ in body.transactions.swapAt(0, 1) } == .outOfOrder)
        #expect(try bodyRefusal { body, _ in body.reports.swapAt(0, 1) } == .outOfOrder)
        #expect(try bodyRefusal { body, _ in body.transactions.append(body.transactions[1]) } == .outOfOrder)
        #expect(try bodyRefusal { body, _ in body.transactions.removeLast() } == .wrongStateRoot)
        #expect(try bodyRefusal { body, _ in body.reports.removeLast() } == .wrongStateRoot)
        #expect(try bodyRefusal { body, _ in body.transactions[0].kind = .report } == .wrongMessageKind)
        #expect(try bodyRefusal { body, _ in body.transactions[0].signature = .zero } == .badMessageSignature)
        #expect(try bodyRefusal { body, _ in body.reports[0].sequence += 100 } == .badMessageSignature)
        #expect(try bodyRefusal { body, _ in body.reports[0].payload.bytes[3] ^= 1 } == .badMessageSignature)
        let stranger = NodeID(unchecked: [UInt8](repeating: 9, count: 32))
        #expect(try bodyRefusal { body, _ in body.reports[0].sender = stranger } == .senderNotMember)
        #expect(
            try bodyRefusal { body, chain in
                body.reports[0] = chain.seal(.report, body.reports[0].payload.bytes, by: 0, site: "another")
            } == .badMessageSignature)
        #expect(
            try bodyRefusal { body, chain in body.transactions = [chain.seal(.transaction, [7], by: 0)] }
                == .undecodableMessage)
        #expect(
            try bodyRefusal { body, chain in
                let large = [UInt8](repeating: 0, count: Validity.payloadLimit + 1)
                body.transactions = [chain.seal(.transaction, large, by: 0)]
            } == .messageTooLarge)
        #expect(
            try bodyRefusal { body, chain in
                body.transactions = [chain.transaction(.remove(app: "nothing"), by: 0)]
            } == .unknownApp)
        #expect(
            try bodyRefusal { body, chain in
                let receipt = Receipt(app: "counter", incarnation: 99, outcome: .running)
                body.transactions = [chain.transaction(.receipt(receipt), by: 1)]
            } == .receiptWithoutEffect)
        #expect(
            try bodyRefusal { body, chain in
                let app = SubmittedApp(specification: .test("counter"))
                body.transactions = [chain.transaction(.submit([app]), by: 1)]
            } == .appExists)
    }

    @Test func replayedMessagesAreRefused() throws {
        var chain = try Self.chain()
        let removal = chain.transaction(.remove(app: "counter"), by: 2)
        let reports = chain.reports()
        let first = chain.block(transactions: [removal], reports: reports)
        chain.state = try Validity.check(first, after: chain.state)
        try chain.run("counter", on: 1)
        for body in [BlockBody(transactions: [removal]), BlockBody(reports: [reports[0]])] {
            var header = chain.block().header
            header.body = body.hash
            #expect(refusal(chain.sign(header, body, by: 0), chain) == .replayedMessage)
        }
        let rebuilt = chain.block(transactions: [removal], reports: reports)
        #expect(rebuilt.body.transactions.isEmpty && rebuilt.body.reports.isEmpty)
    }

    @Test func boundsAreChecked() throws {
        #expect(throws: Refusal.self) { try Block.decode([UInt8](repeating: 0, count: Block.sizeLimit + 1)) }
        #expect(throws: Refusal.self) { try Block.decode([1, 2, 3]) }
        var chain = try Self.chain()
        var messages: [SignedMessage] = []
        for index in 0..<400 {
            let app = SubmittedApp(specification: .test("app\(index)"))
            messages.append(chain.transaction(.submit([app]), by: index % 4))
        }
        let block = chain.block(transactions: messages)
        #expect(block.body.transactions.count == BlockBody.transactionLimit)
        #expect(refusal(block, chain) == nil)
        var body = block.body
        body.transactions = messages
        #expect(throws: ByteCodingError.self) { try BlockBody(encoded: body.encoded) }
    }

    /// However much is offered, what is built fits a message.
    @Test func builtBlocksFit() throws {
        var chain = try Self.chain()
        var messages: [SignedMessage] = []
        for index in 0..<40 {
            var specification = AppSpecification.test("app\(index)")
            specification.environment = ["A": String(repeating: "x", count: 4_096)]
            specification.command = Array(repeating: String(repeating: "y", count: 4_096), count: 14)
            messages.append(chain.transaction(.submit([SubmittedApp(specification: specification)]), by: 0))
        }
        let block = chain.block(transactions: messages, reports: chain.reports())
        #expect(block.encoded.count < Block.sizeLimit)
        #expect(block.body.transactions.count > 5)
        #expect(refusal(block, chain) == nil)
    }

    @Test func certificatesAreChecked() throws {
        var chain = try Self.chain()
        var verified = try Chain(snapshot: chain.snapshot().encoded, genesis: chain.genesis.hash)
        #expect(verified.state == chain.state)
        let block = try chain.grow()
        func reason(_ committed: CommittedBlock) -> Refusal.Reason? {
            var copy = verified
            do throws(ChainFault) {
                try copy.append(committed)
                return nil
            } catch {
                return error.refusal?.reason
            }
        }
        #expect(reason(chain.certify(block, by: [0, 1])) == .certificateBelowQuorum)
        #expect(reason(chain.certify(block, by: [0, 1, 2])) == nil)
        func changed(_ change: (inout Certificate) -> Void) throws -> Refusal.Reason? {
            var committed = chain.certify(block, by: [0, 1, 2])
            var certificate = try Certificate(encoded: committed.certificate)
            change(&certificate)
            committed.certificate = certificate.encoded
            return reason(committed)
        }
        #expect(try changed { $0.round = 1 } == .badCertificateSignature)
        #expect(try changed { $0.step = .prevote } == .certificateForAnother)
        #expect(try changed { $0.block = .zero } == .certificateForAnother)
        #expect(try changed { $0.signatures.swapAt(0, 1) } == .certificateOutOfOrder)
        #expect(try changed { $0.signatures[2] = $0.signatures[1] } == .certificateOutOfOrder)
        let stranger = SigningKey(seed: [UInt8](repeating: 200, count: 32))!
        let signed = Vote(
            genesis: chain.genesis.hash, height: block.header.height, round: 0, step: .precommit, block: block.id)
        let forged = MemberSignature(member: stranger.nodeID, signature: stranger.sign(signed.encoded))
        #expect(
            try changed { certificate in
                certificate.signatures[2] = forged
                certificate.signatures.sort { $0.member < $1.member }
            } == .certificateOfAStranger)
        try verified.append(chain.certify(block))
        #expect(verified.state == chain.state)
    }

    @Test func wholeChainsAreVerified() throws {
        var chain = TestChain(nodes: 3)
        var blocks: [CommittedBlock] = []
        for _ in 0..<5 { blocks.append(chain.certify(try chain.grow(reports: chain.reports()))) }
        #expect(try Chain.verify(blocks: blocks, genesis: chain.record.encoded) == chain.state)
        for victim in blocks.indices {
            var broken = blocks
            broken[victim].block[broken[victim].block.count / 2] ^= 1
            #expect(throws: ChainFault.self) { try Chain.verify(blocks: broken, genesis: chain.record.encoded) }
        }
        var missing = blocks
        missing.remove(at: 2)
        #expect(throws: ChainFault.self) { try Chain.verify(blocks: missing, genesis: chain.record.encoded) }
        let unsigned = FoundingRecord(genesis: chain.genesis)
        #expect(throws: ChainFault.self) { try Chain.verify(blocks: blocks, genesis: unsigned.encoded) }
    }
}
