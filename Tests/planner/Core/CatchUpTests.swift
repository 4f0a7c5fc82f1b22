import Contracts
import Identity
import Machine
import Testing

@testable import PlannerCore

/// Pieces, and who is asked for them.
@Suite struct CatchUpTests {
    private static let nodes = (1...4).map { SigningKey(seed: [UInt8](repeating: UInt8($0), count: 32))!.nodeID }

    private static func snapshot(_ size: Int, height: UInt64 = 9) -> StoredSnapshot {
        var random = SplitMix64(seed: UInt64(size))
        return StoredSnapshot(height: height, bytes: (0..<size).map { _ in UInt8(truncatingIfNeeded: random.next()) })
    }

    private static func asking(_ node: NodeID = nodes[0], at now: Int64 = 0) -> CatchUp {
        var catchUp = CatchUp()
        catchUp.asks(node, at: now)
        return catchUp
    }

    @Test(arguments: [1, SnapshotPiece.byteLimit - 1, SnapshotPiece.byteLimit, SnapshotPiece.byteLimit * 3 + 7])
    func piecesMakeTheWhole(size: Int) throws {
        let snapshot = Self.snapshot(size)
        var catchUp = Self.asking()
        var index: UInt32 = 0
        while true {
            let piece = try #require(snapshot.piece(index))
            #expect(try SnapshotPiece(encoded: piece.encoded) == piece)
            switch catchUp.take(piece, from: Self.nodes[0], above: 1, at: 5) {
            case .ask(let node, let digest, let next):
                #expect(node == Self.nodes[0] && digest == snapshot.digest && next == index + 1)
                // A repeated piece, one out of turn and one of somebody else change nothing.
                #expect(catchUp.take(piece, from: Self.nodes[0], above: 1, at: 5) == .nothing)
                if let later = snapshot.piece(next + 1) {
                    #expect(catchUp.take(later, from: Self.nodes[0], above: 1, at: 5) == .nothing)
                }
                let following = try #require(snapshot.piece(next))
                #expect(catchUp.take(following, from: Self.nodes[1], above: 1, at: 5) == .nothing)
                index = next
            case .complete(let bytes):
                #expect(bytes == snapshot.bytes && snapshot.piece(index + 1) == nil && !catchUp.isTransferring)
                return
            case let other:
                Issue.record("\(other)")
                return
            }
        }
    }

    @Test func onlyWhatWasAskedForIsTaken() throws {
        let piece = try #require(Self.snapshot(SnapshotPiece.byteLimit * 2).piece(0))
        var idle = CatchUp()
        #expect(idle.take(piece, from: Self.nodes[0], above: 1, at: 0) == .nothing && idle.bytes == 0)
        var catchUp = Self.asking()
        #expect(catchUp.take(piece, from: Self.nodes[1], above: 1, at: 0) == .nothing)
        #expect(catchUp.take(piece, from: Self.nodes[0], above: 9, at: 0) == .nothing, "it is not ahead")
        var large = piece
        large.size = UInt32(CertifiedSnapshot.sizeLimit + 1)
        #expect(catchUp.take(large, from: Self.nodes[0], above: 1, at: 0) == .nothing)
        #expect(throws: ByteCodingError.self) {
            try SnapshotPiece(
                encoded: SnapshotPiece(
                    height: 1, digest: .zero, size: 10, index: 0, bytes: [1]
                ).encoded)
        }
        #expect(catchUp.bytes == 0)
    }

    @Test func otherBytesThanAnnouncedAreAFalsehood() throws {
        var catchUp = Self.asking()
        var piece = try #require(Self.snapshot(100).piece(0))
        piece.bytes[50] ^= 1
        #expect(catchUp.take(piece, from: Self.nodes[0], above: 1, at: 0) == .falsehood)
    }

    @Test func silenceEndsATransfer() throws {
        let snapshot = Self.snapshot(SnapshotPiece.byteLimit * 3)
        var catchUp = Self.asking()
        _ = catchUp.take(try #require(snapshot.piece(0)), from: Self.nodes[0], above: 1, at: 0)
        #expect(catchUp.tick(height: 1, at: 500) == .nothing)
        #expect(
            catchUp.tick(height: 1, at: 1_000) == .ask(Self.nodes[0], digest: snapshot.digest, index: 1),
            "a lost piece is asked for again")
        #expect(catchUp.tick(height: 1, at: 6_000) == .nothing && !catchUp.isTransferring && catchUp.bytes == 0)
        var random = SplitMix64(seed: 1)
        for moment in 0..<20 as Range<Int64> {
            let chosen = catchUp.choose(Array(Self.nodes.prefix(2)), at: 6_000 + moment, &random)
            #expect(chosen == Self.nodes[1], "the silent one is avoided")
            catchUp.progressed()
        }
        #expect(catchUp.choose([Self.nodes[0]], at: 6_100, &random) == Self.nodes[0], "unless there is no other")
        #expect(catchUp.choose([], at: 6_100, &random) == nil)
    }

    @Test func neverNewerSnapshotsDoNotHoldItForEver() throws {
        var catchUp = Self.asking()
        var now: Int64 = 0
        var height: UInt64 = 10
        while now < 400_000 {
            let snapshot = Self.snapshot(SnapshotPiece.byteLimit * 2, height: height)
            var piece = try #require(snapshot.piece(0))
            piece.digest = Digest(of: [], domain: "\(height)")
            _ = catchUp.take(piece, from: Self.nodes[0], above: 1, at: now)
            _ = catchUp.tick(height: 1, at: now)
            #expect(catchUp.bytes <= SnapshotPiece.byteLimit)
            if !catchUp.isTransferring { return }
            now += 3_000
            height += 1
        }
        Issue.record("it was held for ever")
    }

    @Test func whoWasSilentIsNotAskedNext() {
        var catchUp = CatchUp()
        var random = SplitMix64(seed: 3)
        var asked: [NodeID] = []
        for second in 0..<4 as Range<Int64> {
            catchUp.choose(Self.nodes, at: second * 1_000, &random).map { asked.append($0) }
        }
        #expect(Set(asked).count == 4, "\(asked)")
    }

    @Test func snapshotsAreOfferedWhereBlocksAreGoneOrTooMany() {
        func offer(_ blocks: ClosedRange<UInt64>?, _ snapshot: (UInt64, Int)?) -> CatchUpOffer {
            CatchUpOffer(blocks: blocks, blockBytes: 5_000, snapshot: snapshot.map { (height: $0.0, bytes: $0.1) })
        }
        #expect(!offer(1...9_000, nil).prefersSnapshot(from: 1))
        #expect(offer(1...9_000, (8_500, 20_000)).prefersSnapshot(from: 1))
        #expect(!offer(1...9_000, (8_500, 20_000)).prefersSnapshot(from: 7_600), "few blocks")
        #expect(!offer(1...9_000, (8_500, 30 << 20)).prefersSnapshot(from: 1), "a large state")
        #expect(offer(500...900, (800, 30 << 20)).prefersSnapshot(from: 499), "they are gone")
        #expect(!offer(500...900, (800, 20_000)).prefersSnapshot(from: 900))
        #expect(!offer(500...900, (800, 20_000)).prefersSnapshot(from: 901), "there is none")
        #expect(offer(nil, (800, 20_000)).prefersSnapshot(from: 1))
    }
}

/// Whole sites in which nodes fall behind.
@Suite struct CatchUpSimulationTests {
    private static func site(_ seed: UInt64, nodes: Int = 5) -> SimulatedSite {
        var site = SimulatedSite(nodes: nodes, seed: seed, snapshotInterval: 3)
        site.forgetful = Set(0..<nodes)
        for (index, name) in ["a", "b", "c"].enumerated() { site.demand[name] = 100 * (index + 1) }
        site.run(until: 4_000)
        site.submit(["a", "b", "c"].map { Submission(specification: .test($0)) }, at: 0)
        site.run(until: 8_000)
        return site
    }

    private static func catchesUp(_ site: inout SimulatedSite, _ node: Int, _ what: String) {
        let height = site.nodes[node].disk.height
        let others = site.nodes.indices.filter { $0 != node && site.liars[$0] == nil }
        let needsState = others.allSatisfy { site.nodes[$0].disk.blocks.first.map { $0.height > height + 1 } ?? true }
        let base = site.heights.max() ?? 0
        let isLive = site.run(until: site.now + 180_000) { site in
            site.nodes.allSatisfy { $0.machine != nil } && site.heights.allSatisfy { $0 >= base + 3 }
        }
        #expect(site.violations == [], "\(what)")
        #expect(isLive, "\(what): heights \(site.heights) from \(base)")
        #expect(site.adoptions > 0 || !needsState, "\(what)")
        #expect(site.verifyChains() == nil, "\(what)")
    }

    @Test(arguments: 0..<6 as Range<UInt64>) func aNodeThatWasAwayGetsTheState(seed: UInt64) {
        var site = Self.site(seed)
        site.cut = [2]
        site.run(until: 60_000)
        site.cut = []
        Self.catchesUp(&site, 2, "seed \(seed)")
    }

    /// Its disk is new: it hears the genesis from the others, and then gets the state.
    @Test(arguments: 0..<4 as Range<UInt64>) func aNodeWithNothingGetsTheState(seed: UInt64) {
        var site = Self.site(seed)
        site.crash(3, for: nil)
        site.nodes[3].disk = SimulatedSite.Disk()
        site.run(until: 60_000)
        // Gossip would refuse what contradicts its votes at the first heights, which are long decided.
        site.nodes[3].signedVotes = [:]
        site.boot(3)
        Self.catchesUp(&site, 3, "seed \(seed)")
        #expect(site.nodes[3].disk.genesis != nil)
    }

    /// The snapshot stays though the node dies at any moment.
    @Test(arguments: 0..<6 as Range<UInt64>) func crashesWhileCatchingUp(seed: UInt64) {
        var site = Self.site(seed)
        site.cut = [2]
        site.run(until: 60_000)
        site.cut = []
        site.faults = Faults(loss: 100, duplication: 100, delay: 400, crashes: 15)
        site.run(until: 90_000)
        site.faults = Faults()
        Self.catchesUp(&site, 2, "seed \(seed)")
    }

    @Test(arguments: [SimulatedSite.Lie.silence, .rubbish, .otherBytes, .forgedState, .endlessRestart])
    func liarsDelayButDoNotStopIt(lie: SimulatedSite.Lie) {
        for seed in 0..<2 as Range<UInt64> {
            var site = Self.site(seed)
            site.cut = [4]
            site.run(until: 60_000)
            site.liars = [0: lie, 1: lie, 2: lie]
            site.cut = []
            Self.catchesUp(&site, 4, "\(lie), seed \(seed)")
        }
    }
}
