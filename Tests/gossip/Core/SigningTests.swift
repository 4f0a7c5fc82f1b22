import Contracts
import GossipCore
import Identity
import Machine
import Testing

/// What one key signs in its life, across crashes at any moment, with nothing left but what was made durable.
@Suite struct SigningTests {
    private static let operatorKey = Mesh.key(9)
    private static let genesis = Genesis(
        site: "attic", operatorKey: operatorKey.publicKey, parameters: SiteParameters(), members: [member(0)])
    private static let chain = genesis.hash

    private static func member(_ index: Int) -> Member {
        Member(id: Mesh.key(index).nodeID, name: "pi\(index)", vrf: Mesh.key(index).vrf.publicKey)
    }

    /// A gossip of which a crash leaves only what it persisted.
    private struct Device {
        var sequences = GossipMachine.initialRecords.sequences
        var ledger = GossipMachine.initialRecords.ledger
        var machine: GossipMachine
        let operatorKey: PublicKey?

        init(operatorKey: PublicKey? = SigningTests.operatorKey.publicKey) throws {
            self.operatorKey = operatorKey
            machine = try Self.start(sequences, ledger, operatorKey)
        }

        static func start(_ sequences: [UInt8], _ ledger: [UInt8], _ key: PublicKey? = nil) throws -> GossipMachine {
            try GossipMachine(
                key: Mesh.key(0), configuration: GossipConfiguration(name: "pi0", site: "attic", operatorKey: key),
                sequences: sequences, ledger: ledger, epoch: 1)
        }

        mutating func crash() throws { machine = try Self.start(sequences, ledger, operatorKey) }

        /// Performs the effects of an event, but only the first `until` of them.
        /// - Returns: those performed.
        mutating func step(_ event: GossipEvent.Kind, until: Int = .max) -> [GossipEffect] {
            let effects = machine.step(GossipEvent(now: 0, event)).prefix(until)
            for effect in effects {
                if case .persistSequences(let bytes) = effect { sequences = bytes }
                if case .persistLedger(let bytes) = effect { ledger = bytes }
            }
            return Array(effects)
        }

        mutating func sign(_ purpose: SigningRequest.Purpose, _ bytes: [UInt8], until: Int = .max) -> GossipAnswer? {
            for effect in step(.sign(RequestNumber(1), SigningRequest(purpose: purpose, bytes: bytes)), until: until) {
                if case .answer(_, let answer) = effect { return answer }
            }
            return nil
        }

        mutating func code(_ purpose: SigningRequest.Purpose, _ bytes: [UInt8]) -> String? {
            switch sign(purpose, bytes) {
            case .problem(let problem): "\(problem.status) \(problem.code)"
            case .signed: nil
            default: "no answer"
            }
        }
    }

    private func block(_ number: Int) -> Digest { Digest(unchecked: [UInt8](repeating: UInt8(number), count: 32)) }

    private func vote(_ height: UInt64, _ round: UInt32, _ step: VoteStep, _ block: Digest?) -> [UInt8] {
        Vote(genesis: Self.chain, height: height, round: round, step: step, block: block).encoded
    }

    @Test func noTwoConflictingVotesLeaveWhateverIsAskedAndWheneverItCrashes() throws {
        var signed = 0
        var refused = 0
        for seed in seeds(3_000) {
            var random = SplitMix64(seed: seed)
            var device = try Device()
            var votes: [[UInt8]: Digest?] = [:]
            var proposals: [[UInt8]: Proposal] = [:]
            var newest: (UInt64, UInt32, UInt8) = (0, 0, 0)
            for _ in 0..<30 {
                if random.next(in: 0...9) == 0 { try device.crash() }
                let height = UInt64(random.next(in: 1...3))
                let round = UInt32(random.next(in: 0...2))
                let until = random.next(in: 0...5) == 0 ? random.next(in: 0...2) : .max
                if random.next(in: 0...3) == 0 {
                    let proposal = Proposal(
                        genesis: Self.chain, height: height, round: round, validRound: Int32(random.next(in: -1...1)),
                        block: block(random.next(in: 1...2)))
                    let answer = device.sign(.proposal, proposal.encoded, until: until)
                    if case .signed(let response) = answer {
                        #expect(response.signer.verifies(response.signature, of: proposal.encoded))
                        let place = Array("\(height) \(round)".utf8)
                        let before = proposals.updateValue(proposal, forKey: place)
                        #expect(before == nil || before == proposal, "seed \(seed): two proposals in one round")
                    }
                } else {
                    let step: VoteStep = random.next(in: 0...1) == 0 ? .prevote : .precommit
                    let block = random.next(in: 0...2) == 0 ? nil : block(random.next(in: 1...2))
                    let ledger = device.ledger
                    let answer = device.sign(.vote, vote(height, round, step, block), until: until)
                    if device.ledger != ledger {
                        // from here on it may leave, also after a crash
                        let now = (height, round, step.rawValue)
                        #expect(now > newest, "seed \(seed): a vote back in time")
                        newest = now
                    }
                    switch answer {
                    case .signed:
                        signed += 1
                        let before = votes.updateValue(block, forKey: Array("\(height) \(round) \(step)".utf8))
                        if let before { #expect(before == block, "seed \(seed): two votes in one step") }
                    case .problem(let problem):
                        refused += 1
                        #expect(problem.status == 409 && problem.code == "conflicting-vote", "seed \(seed)")
                    default: break
                    }
                }
                // effects not performed are lost with the process
                if until != .max { try device.crash() }
            }
        }
        #expect(signed > 1_000 && refused > 1_000)
    }

    // MARK: Recoveries

    /// Under which name the chain goes on after that of `before`.
    private func recovery(
        of before: Digest, height: UInt64 = 7, site: String = "attic", by key: SigningKey = Self.operatorKey
    ) throws -> Recovery {
        let genesis = Genesis(
            site: site, operatorKey: Self.operatorKey.publicKey, parameters: SiteParameters(),
            members: Self.genesis.members,
            predecessor: Predecessor(genesis: before, height: height, head: block(1), stateRoot: block(2)))
        return try #require(Recovery(genesis: genesis, signature: key.sign(genesis.signedBytes)))
    }

    private func vote(in chain: Digest, _ height: UInt64) -> [UInt8] {
        Vote(genesis: chain, height: height, round: 0, step: .prevote, block: block(1)).encoded
    }

    @Test func theOperatorsWordMovesAllVotesToTheNewName() throws {
        var device = try Device()
        let first = try recovery(of: Self.chain)
        let second = try recovery(of: first.genesis.hash, height: 9)
        let newer = second.genesis.hash
        #expect(device.code(.vote, vote(in: Self.chain, 8)) == nil)
        #expect(device.code(.vote, vote(in: first.genesis.hash, 8)) == "409 conflicting-genesis")
        #expect(device.code(.recovery, RecoveryPath([first]).encoded) == nil)
        try device.crash()
        // The same height, which the old chain may have decided otherwise.
        #expect(device.code(.vote, vote(in: first.genesis.hash, 8)) == nil)
        #expect(device.code(.vote, vote(in: first.genesis.hash, 7)) == "409 conflicting-vote")
        #expect(device.code(.vote, vote(in: Self.chain, 9)) == "409 conflicting-genesis", "never back")
        #expect(device.code(.recovery, RecoveryPath([first]).encoded) == nil, "shown again after a start")
        #expect(device.code(.vote, vote(in: first.genesis.hash, 8)) == nil)
        #expect(device.code(.recovery, RecoveryPath([first, second]).encoded) == nil)
        #expect(device.code(.recovery, RecoveryPath([first]).encoded) == "409 conflicting-genesis", "never back")
        #expect(device.code(.vote, vote(in: newer, 10)) == nil)
        #expect(device.code(.vote, vote(in: first.genesis.hash, 11)) == "409 conflicting-genesis")
    }

    @Test func anotherWordThanTheOperatorsMovesNothing() throws {
        let stranger = Mesh.key(0)
        for recovery in [
            try recovery(of: Self.chain, by: stranger), try recovery(of: Self.chain, site: "cellar"),
        ] {
            var device = try Device()
            #expect(device.code(.vote, vote(in: Self.chain, 8)) == nil)
            #expect(device.code(.recovery, RecoveryPath([recovery]).encoded) == "409 bad-recovery")
            #expect(device.code(.vote, vote(in: Self.chain, 9)) == nil)
        }
        var device = try Device()
        #expect(device.code(.vote, vote(in: Self.chain, 8)) == nil)
        let other = try recovery(of: block(5))
        #expect(device.code(.recovery, RecoveryPath([other]).encoded) == "409 conflicting-genesis")
        // Two that don't follow each other.
        let torn = RecoveryPath([try recovery(of: Self.chain), try recovery(of: block(5))])
        #expect(device.code(.recovery, torn.encoded) == "409 bad-recovery")
        var unknowing = try Device(operatorKey: nil)
        #expect(unknowing.code(.vote, vote(in: Self.chain, 8)) == nil)
        #expect(unknowing.code(.recovery, RecoveryPath([try recovery(of: Self.chain)]).encoded) == "409 no-operator")
        for bytes in [RecoveryPath([]).encoded, try recovery(of: Self.chain).encoded, []] {
            #expect(device.code(.recovery, bytes) == "400 not-signable")
        }
    }

    @Test func signsAVoteAgainIfItIsTheSame() throws {
        var device = try Device()
        let prevote = vote(5, 0, .prevote, block(1))
        let precommit = vote(5, 0, .precommit, block(1))
        for bytes in [prevote, precommit, prevote, precommit] { #expect(device.code(.vote, bytes) == nil) }
        try device.crash()
        for bytes in [prevote, precommit] { #expect(device.code(.vote, bytes) == nil) }
        #expect(device.code(.vote, vote(5, 0, .prevote, nil)) == "409 conflicting-vote")
        #expect(device.code(.vote, vote(4, 7, .precommit, nil)) == "409 conflicting-vote")
        #expect(device.code(.vote, vote(5, 1, .prevote, nil)) == nil)
    }

    @Test func signsOneGenesisAndVotesInItsChainAlone() throws {
        var device = try Device()
        let other = Genesis(
            site: "attic", operatorKey: .zero, parameters: SiteParameters(blockInterval: 2_000),
            members: Self.genesis.members)
        #expect(device.code(.genesis, Self.genesis.signedBytes) == nil)
        try device.crash()
        #expect(device.code(.genesis, Self.genesis.signedBytes) == nil)
        #expect(device.code(.genesis, other.signedBytes) == "409 conflicting-genesis")
        let stray = Vote(genesis: block(9), height: 1, round: 0, step: .prevote, block: nil)
        #expect(device.code(.vote, stray.encoded) == "409 conflicting-genesis")
        #expect(device.code(.vote, vote(1, 0, .prevote, nil)) == nil)
    }

    @Test func signsNothingThatIsNotWhatThePurposeSays() throws {
        var device = try Device()
        let vote = vote(1, 0, .prevote, nil)
        #expect(device.code(.proposal, vote) == "400 not-signable")
        #expect(device.code(.header, vote) == "400 not-signable")
        #expect(device.code(.genesis, Self.genesis.encoded) == "400 not-signable")
        #expect(device.code(.vote, vote + [0]) == "400 not-signable")
        for count in vote.indices { #expect(device.code(.vote, Array(vote[..<count])) == "400 not-signable") }
        var elsewhere = Self.genesis
        elsewhere.site = "cellar"
        #expect(device.code(.genesis, elsewhere.signedBytes) == "400 wrong-site")
        let others = Genesis(
            site: "attic", operatorKey: .zero, parameters: SiteParameters(), members: [Self.member(3)])
        #expect(device.code(.genesis, others.signedBytes) == "400 not-a-member")
        var header = ByteWriter()
        header.text(SigningRequest.headerDomain)
        header.raw([1, 2, 3])
        #expect(device.code(.header, header.bytes) == nil)
        // an envelope can't be had signed under any purpose
        let envelope = SignedMessage.signedBytes(
            site: GossipMachine.siteDigest("attic"), kind: .transaction, sequence: 1, payload: [])
        for purpose in [SigningRequest.Purpose.vote, .proposal, .header, .genesis, .recovery] {
            #expect(device.code(purpose, envelope) == "400 not-signable")
        }
    }

    /// The answer to a draw, or the problem's status and code.
    private func draw(_ device: inout Device, _ alpha: [UInt8]) -> (DrawResponse?, String?) {
        for case .answer(_, let answer) in device.step(.draw(RequestNumber(1), DrawRequest(alpha: alpha))) {
            switch answer {
            case .drawn(let response): return (response, nil)
            case .problem(let problem): return (nil, "\(problem.status) \(problem.code)")
            default: break
            }
        }
        return (nil, nil)
    }

    @Test func drawsForBlocksAndAlwaysAlike() throws {
        var device = try Device()
        let alpha = Draw.alpha(genesis: Self.chain, height: 7, seed: block(1))
        let first = try #require(draw(&device, alpha).0)
        #expect(first.key == device.machine.info.vrf && first.key == Mesh.key(0).vrf.publicKey)
        #expect(first.key.output(of: first.proof, for: alpha) != nil)
        // A crash in between changes nothing, for nothing was to be kept.
        try device.crash()
        #expect(draw(&device, alpha).0 == first)
        let next = Draw.alpha(genesis: Self.chain, height: 8, seed: block(1))
        #expect(try #require(draw(&device, next).0).proof != first.proof)
    }

    @Test func drawsForNothingElse() throws {
        var device = try Device()
        let alpha = Draw.alpha(genesis: Self.chain, height: 7, seed: block(1))
        let others = [alpha + [0], vote(1, 0, .prevote, nil), Self.genesis.signedBytes, alpha + alpha + alpha]
        for bytes in others + alpha.indices.map({ Array(alpha[..<$0]) }) {
            #expect(draw(&device, bytes).1 == "400 not-drawable")
        }
    }

    /// Without its ledger a key could vote twice: better not to start.
    @Test func aDamagedRecordKeepsGossipFromStarting() throws {
        var device = try Device()
        _ = device.sign(.vote, vote(1, 0, .prevote, block(1)))
        #expect(throws: (any Error).self) { try Device.start(device.sequences, Array(device.ledger.dropLast())) }
        #expect(throws: (any Error).self) { try Device.start(Array(device.sequences.dropLast()), device.ledger) }
        #expect(throws: (any Error).self) { try Device.start([], device.ledger) }
    }

    @Test func noSequenceIsUsedTwiceAcrossCrashes() throws {
        for seed in seeds(1_000) {
            var random = SplitMix64(seed: seed)
            var device = try Device()
            var used: Set<[UInt64]> = []
            var newest: [MessageKind: UInt64] = [:]
            for _ in 0..<60 {
                let kind = MessageKind.allCases[random.next(in: 2...8)]
                let until = random.next(in: 0...6) == 0 ? random.next(in: 0...4) : .max
                let publication = Publication(kind: kind, payload: [UInt8(random.next(in: 0...255))])
                for effect in device.step(.publish(RequestNumber(1), publication), until: until) {
                    guard case .deliver(let line) = effect else { continue }
                    let sequence = line.message.sequence
                    #expect(used.insert([UInt64(kind.rawValue), sequence]).inserted, "seed \(seed): used twice")
                    #expect(sequence > newest[kind, default: 0], "seed \(seed): not ascending")
                    newest[kind] = sequence
                }
                if until != .max { try device.crash() }
            }
        }
    }

    @Test func sequencesAreReservedInRuns() throws {
        var device = try Device()
        var writes = 0
        for _ in 0..<2_500 {
            for effect in device.step(.publish(RequestNumber(1), Publication(kind: .vote, payload: []))) {
                if case .persistSequences = effect { writes += 1 }
            }
        }
        #expect(writes == 3)
    }
}
