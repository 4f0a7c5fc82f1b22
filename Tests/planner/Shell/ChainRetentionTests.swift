import Contracts
import PlannerCore
import Testing

@testable import planner

@Suite struct ChainRetentionTests {
    private static let limit = 16 << 20

    private func fill(_ store: ChainStore, to last: UInt64, nodes: Int = 64, snapshots: UInt64 = 50) throws {
        let first = try store.lastHeight() + 1
        guard first <= last else { return }
        for height in first...last {
            let imitation = ImitatedHeight(height: height, nodes: nodes)
            for agreement in imitation.agreements.suffix(1) { try store.persist(agreement) }
            try store.commit(imitation.committed)
            if height.isMultiple(of: snapshots) {
                try store.persist(StoredSnapshot(height: height, bytes: imitation.bytes(20_000, salt: 1)))
            }
            try store.prune()
        }
    }

    @Test func oldBodiesGoFirstThenHeaders() throws {
        let directory = TemporaryDirectory()
        let store = try ChainStore(directory: directory.path, limit: Self.limit)
        try store.persist(genesis: [1, 2, 3])
        let reader = try ChainReader(directory: directory.path)
        var largest = 0
        var sawWholeChain = false
        for last in stride(from: 150, through: 3_000, by: 150) as StrideThrough<UInt64> {
            try fill(store, to: last)
            largest = max(largest, store.bytes)
            let heights = try #require(try reader.heights())
            let snapshot = try #require(try store.snapshot())
            #expect(heights.upperBound == last && heights.lowerBound <= snapshot.height)
            if heights.lowerBound == 1 { sawWholeChain = true }
            // Headers reach without a gap from the first one kept to the first body.
            let headers = try reader.headers(from: 0, limit: .max)
            if let first = headers.first {
                #expect(headers.map(\.header.height) == Array(first.header.height..<heights.lowerBound))
            } else {
                #expect(heights.lowerBound == 1)
            }
        }
        #expect(sawWholeChain)
        // The index of the log in shared memory is no file on the disk's behalf, but is counted.
        #expect(largest <= Self.limit + (64 << 10), "\(largest)")
        #expect(try reader.headers(from: 0, limit: 1).first.map { $0.header.height > 1 } == true, "headers go as well")
        #expect(try store.genesis() == [1, 2, 3])
    }

    @Test func withoutASnapshotNothingGoes() throws {
        let directory = TemporaryDirectory()
        let store = try ChainStore(directory: directory.path, limit: Self.limit)
        try fill(store, to: 600, snapshots: .max)
        let reader = try ChainReader(directory: directory.path)
        #expect(try reader.heights() == 1...600)
        #expect(try reader.height() == 600)
    }

    @Test func aLowerLimitGivesRoomBack() throws {
        let directory = TemporaryDirectory()
        do {
            let store = try ChainStore(directory: directory.path, limit: 64 << 20)
            try fill(store, to: 900)
        }
        let before = ChainFiles.bytes(directory.file("chain.sqlite"))
        #expect(before > Self.limit * 3 / 2)
        let store = try ChainStore(directory: directory.path, limit: Self.limit)
        #expect(store.bytes <= Self.limit, "\(before) to \(store.bytes)")
        #expect(try ChainReader(directory: directory.path).height() == 900)
        try fill(store, to: 910)
    }

    @Test func aSnapshotTakesThePlaceOfAllBlocks() throws {
        let directory = TemporaryDirectory()
        let ahead = StoredSnapshot(height: 900, bytes: [1, 2, 3])
        do {
            let store = try ChainStore(directory: directory.path)
            try store.persist(genesis: [9])
            try fill(store, to: 250)
            try store.persist(ImitatedHeight(height: 251, nodes: 8).agreements[0])
            #expect(throws: StorageError.self) { try store.adopt(StoredSnapshot(height: 250, bytes: [])) }
            #expect(throws: StorageError.self, "there is no such block yet") { try store.persist(ahead) }
            try store.adopt(ahead)
            #expect(try store.agreement() == nil, "its height is decided")
        }
        let store = try ChainStore(directory: directory.path)
        let reader = try ChainReader(directory: directory.path)
        #expect(try reader.height() == 900 && reader.heights() == nil && store.snapshot() == ahead)
        #expect(try store.genesis() == [9])
        #expect(throws: StorageError.self) { try store.commit(ImitatedHeight(height: 251, nodes: 8).committed) }
        try fill(store, to: 1_000)
        #expect(try reader.heights() == 901...1_000)
        #expect(try reader.blocks(from: 0, limit: 1, bytes: .max).first?.height == 901)
    }

    @Test func whoAsksGetsBlocksOrTheSnapshot() throws {
        let node = NodeID(unchecked: [UInt8](repeating: 7, count: 32))
        let directory = TemporaryDirectory()
        let store = try ChainStore(directory: directory.path)
        try fill(store, to: 40, snapshots: 30)
        let reader = try ChainReader(directory: directory.path)
        #expect(try reader.answer(from: 20, to: node)?.kind == .blocks)
        #expect(try reader.answer(from: 41, to: node) == nil)
        let bytes = (0..<SnapshotPiece.byteLimit + 9).map { UInt8(truncatingIfNeeded: $0) }
        let ahead = StoredSnapshot(height: 90, bytes: bytes)
        try store.adopt(ahead)
        #expect(try reader.answer(from: 20, to: node) == ahead.piece(0)?.publication(to: node))
        #expect(try reader.piece(1, of: ahead.digest, to: node) == ahead.piece(1)?.publication(to: node))
        #expect(try reader.piece(2, of: ahead.digest, to: node) == nil)
        #expect(try reader.piece(1, of: .zero, to: node) == ahead.piece(0)?.publication(to: node), "of a newer one")
        #expect(try reader.answer(from: 91, to: node) == nil)
    }

    /// Every row that is turned is noticed by its hash, whatever the file system says.
    @Test(arguments: ["content", "block", "agreement", "snapshot", "record", "header"])
    func aDamagedRowIsAnError(table: String) throws {
        let directory = TemporaryDirectory()
        do {
            let store = try ChainStore(directory: directory.path, limit: Self.limit)
            try store.persist(genesis: [1, 2, 3])
            try fill(store, to: table == "header" ? 650 : 60)
            let next = try store.lastHeight() + 1
            try store.persist(ImitatedHeight(height: next, nodes: 8).agreements[0])
        }
        let column = ["content": "block", "block": "certificate"][table] ?? "value"
        do {
            let connection = try SQLite(path: directory.file("chain.sqlite"), readOnly: false)
            try connection.execute(
                "UPDATE \(table) SET \(column) = CAST(substr(\(column), 1, length(\(column)) - 1) || X'00' AS BLOB)")
        }
        var said = ""
        do {
            let store = try ChainStore(directory: directory.path, limit: Self.limit)
            let reader = try ChainReader(directory: directory.path)
            _ = try store.genesis()
            _ = try store.agreement()
            _ = try store.snapshot()
            _ = try reader.headers(from: 0, limit: .max)
            try reader.forEachBlock(from: 0) { _ in }
        } catch {
            said = "\(error)"
        }
        #expect(said.contains("is damaged on disk"), "\(table): \(said)")
    }
}

extension ChainStore {
    fileprivate func lastHeight() throws -> UInt64 {
        try SQLite(path: path, readOnly: true).height()
    }
}
