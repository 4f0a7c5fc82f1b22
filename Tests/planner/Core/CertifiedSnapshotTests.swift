import Contracts
import Identity
import Machine
import Testing

@testable import PlannerCore

/// Snapshots of chains whose members change, made of headers alone: what a snapshot proves does not depend on bodies.
private struct ChangingSite {
    var keys: [SigningKey] = []
    var founding: FoundingRecord
    var links: [MembershipLink] = []
    var state: SiteState
    var last: CertifiedHeader?

    init(seed: UInt64, changes: Int) throws {
        var random = SplitMix64(seed: seed)
        for _ in 0..<9 {
            let bytes = (0..<32).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            keys.append(try #require(SigningKey(seed: bytes)))
        }
        keys.sort { $0.nodeID < $1.nodeID }
        let first = Array(keys.prefix(random.next(in: 1...5)))
        let genesis = Genesis(site: "lab", parameters: SiteParameters(), members: first.map(Self.member))
        founding = FoundingRecord(genesis: genesis)
        for key in first { _ = founding.add(key.sign(genesis.signedBytes), of: key.nodeID) }
        state = SiteState(genesis: genesis)
        for _ in 0..<changes {
            var members = keys.filter { _ in random.next(below: 2) == 0 }.map(Self.member)
            if members.isEmpty { members = [Self.member(keys[0])] }
            try grow(to: members, &random)
        }
        try grow(to: state.members, &random)
    }

    static func member(_ key: SigningKey) -> Member {
        Member(id: key.nodeID, name: "n\(key.nodeID.short)", vrf: key.vrf.publicKey)
    }

    private mutating func grow(to members: [Member], _ random: inout SplitMix64) throws {
        let deciders = state
        state.height += UInt64(random.next(in: 1...5))
        state.time += 1_000
        state.members = members
        state.nodes = Dictionary(uniqueKeysWithValues: members.map { ($0.id, NodeRecord()) })
        let builder = try #require(keys.first { $0.nodeID == deciders.members[0].id })
        let header = BlockHeader(
            genesis: state.genesis, height: state.height, builder: builder.nodeID, engine: "raft", term: 0,
            time: state.time, parent: deciders.head, parentSignature: deciders.headSignature, body: .zero,
            nextMembers: .members(members), draw: builder.vrf.prove([1]), stateRoot: state.root)
        let signature = builder.sign(header.encoded)
        state.head = header.blockID(signature)
        state.headSignature = signature
        let vote = Vote(
            genesis: state.genesis, height: state.height, round: 0, step: .precommit, block: state.head)
        let signers = keys.filter { deciders.memberIDs.contains($0.nodeID) }.suffix(deciders.quorum.votes)
        let certificate = Certificate(
            height: state.height, round: 0, step: .precommit, block: state.head,
            signatures: signers.map { MemberSignature(member: $0.nodeID, signature: $0.sign(vote.encoded)) })
        if let last, (links.last?.members ?? founding.genesis.members) != deciders.members {
            links.append(MembershipLink(block: last, members: deciders.members))
        }
        last = CertifiedHeader(header: header, signature: signature, certificate: certificate.encoded)
    }

    func snapshot() throws -> CertifiedSnapshot {
        CertifiedSnapshot(founding: founding, links: links, last: try #require(last), state: state.snapshot)
    }
}

private func reason(_ snapshot: CertifiedSnapshot, _ genesis: Digest) -> Refusal.Reason? {
    do throws(ChainFault) {
        _ = try CertifiedSnapshot.decode(snapshot.encoded).verify(genesis: genesis)
        return nil
    } catch {
        return error.refusal?.reason
    }
}

@Suite struct CertifiedSnapshotTests {
    private static func chain() throws -> TestChain {
        var chain = TestChain(nodes: 3)
        try chain.grow(reports: chain.reports())
        try chain.run("web", on: 1)
        try chain.run("db", on: 2)
        try chain.grow(reports: chain.reports(demand: ["web": 300]))
        return chain
    }

    @Test func aSnapshotGivesTheStateItself() throws {
        var chain = try Self.chain()
        let bytes = try chain.snapshot().encoded
        var restored = try Chain(snapshot: bytes, genesis: chain.genesis.hash)
        #expect(restored.state == chain.state && restored.base == chain.state.height && restored.links.isEmpty)
        #expect(restored.founding == chain.record)
        // It goes on from there, and so does a snapshot of what follows.
        let block = try chain.grow(reports: chain.reports())
        try restored.append(chain.certify(block))
        #expect(restored.state == chain.state)
        let next = try #require(restored.snapshot)
        #expect(try next.verify(genesis: chain.genesis.hash).state == chain.state)
    }

    @Test func anyByteChangedIsRefused() throws {
        let chain = try Self.chain()
        let bytes = try chain.snapshot().encoded
        for place in stride(from: 0, to: bytes.count, by: 3) {
            var changed = bytes
            changed[place] ^= UInt8(1) << (place % 8)
            #expect(throws: ChainFault.self, "byte \(place) of \(bytes.count)") {
                _ = try Chain(snapshot: changed, genesis: chain.genesis.hash)
            }
        }
        for count in stride(from: 0, to: bytes.count, by: 97) {
            #expect(throws: ChainFault.self) {
                _ = try Chain(snapshot: Array(bytes.prefix(count)), genesis: chain.genesis.hash)
            }
        }
    }

    @Test(arguments: 0..<24 as Range<UInt64>) func linksLeadToMembersOfAnyTime(seed: UInt64) throws {
        let site = try ChangingSite(seed: seed, changes: Int(seed % 7))
        let genesis = site.founding.genesis.hash
        let snapshot = try site.snapshot()
        let proven = try snapshot.verify(genesis: genesis)
        #expect(proven.state == site.state, "seed \(seed)")
        let bytes = snapshot.encoded
        var random = SplitMix64(seed: seed ^ 0xB17)
        for _ in 0..<60 {
            var changed = bytes
            let place = random.next(in: 0...bytes.count - 1)
            changed[place] ^= UInt8(1) << random.next(below: 8)
            #expect(throws: ChainFault.self, "seed \(seed), byte \(place) of \(bytes.count)") {
                _ = try Chain(snapshot: changed, genesis: genesis)
            }
        }
        for index in snapshot.links.indices {
            var missing = snapshot
            missing.links.remove(at: index)
            let isNeeded =
                index + 1 < snapshot.links.count
                || Set(snapshot.links[index].members) != Set(site.members(before: index))
            if isNeeded { #expect(reason(missing, genesis) != nil, "seed \(seed), without link \(index)") }
            var twice = snapshot
            twice.links.insert(snapshot.links[index], at: index)
            #expect(reason(twice, genesis) == .linkOutOfOrder, "seed \(seed), link \(index) twice")
        }
    }

    @Test func eachFlawHasItsReason() throws {
        let chain = try Self.chain()
        let genesis = chain.genesis.hash
        let good = try chain.snapshot()
        #expect(reason(good, genesis) == nil)
        #expect(reason(good, .zero) == .anotherGenesis)
        #expect(reason(try chain.snapshot(by: [0]), genesis) == .certificateBelowQuorum)
        var changed = good
        changed.founding = FoundingRecord(genesis: chain.genesis)
        #expect(reason(changed, genesis) == .incompleteGenesis)
        changed = good
        var state = chain.state
        state.nextIncarnation += 1
        changed.state = state.snapshot
        #expect(reason(changed, genesis) == .wrongStateRoot)
        state = chain.state
        state.height += 1
        changed.state = state.snapshot
        #expect(reason(changed, genesis) == .snapshotOfAnotherBlock)
        state = chain.state
        state.headSignature = .zero
        changed.state = state.snapshot
        #expect(reason(changed, genesis) == .snapshotOfAnotherBlock)
        changed.state = [1, 2, 3]
        #expect(reason(changed, genesis) == .undecodableSnapshot)
        changed = good
        changed.last.signature = .zero
        #expect(reason(changed, genesis) == .badBuilderSignature)
        changed = good
        changed.last.header.stateRoot = .zero
        #expect(reason(changed, genesis) == .badBuilderSignature)
        let stranger = SigningKey(seed: [UInt8](repeating: 99, count: 32))!
        changed.last.header.builder = stranger.nodeID
        changed.last.signature = stranger.sign(changed.last.header.encoded)
        #expect(reason(changed, genesis) == .builderNotMember)
        #expect(throws: ChainFault.self) {
            try CertifiedSnapshot.decode([UInt8](repeating: 0, count: CertifiedSnapshot.sizeLimit + 1))
        }
    }

    @Test func snapshotsAreMadeWhereTheyAreWorthTheirBytes() {
        var schedule = SnapshotSchedule()
        for _ in 0..<499 { schedule.took(blockOf: 1_000) }
        #expect(!schedule.isDue(at: 499, interval: 500))
        #expect(schedule.isDue(at: 500, interval: 500))
        schedule.took(snapshotOf: 1 << 20, at: 500)
        for _ in 0..<4_000 { schedule.took(blockOf: 1_000) }
        #expect(!schedule.isDue(at: 4_500, interval: 500), "a fifth of all that is written at most")
        schedule.took(blockOf: 1 << 20)
        #expect(schedule.isDue(at: 4_501, interval: 500))
        schedule.took(snapshotOf: 1_000, at: 4_501)
        schedule.took(blockOf: SnapshotSchedule.byteLimit)
        #expect(schedule.isDue(at: 4_502, interval: 500), "much is not to be read again at a start")
    }
}

extension ChangingSite {
    func members(before link: Int) -> [Member] { link == 0 ? founding.genesis.members : links[link - 1].members }
}
