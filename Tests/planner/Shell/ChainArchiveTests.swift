import Contracts
import Machine
import PlannerCore
import Testing

@testable import PlannerCore
@testable import planner

/// A chain on its way to another machine.
@Suite struct ChainArchiveTests {
    /// A stored chain of ten blocks.
    private let directory = TemporaryDirectory()
    private let chain: TestChain
    private let blocks: [CommittedBlock]
    private let snapshot: StoredSnapshot

    init() throws {
        var chain = TestChain(nodes: 3)
        var blocks: [CommittedBlock] = []
        var snapshot: StoredSnapshot?
        for height in 1...10 {
            let submission = Ask.submit([SubmittedApp(specification: .test("app\(height)"))])
            blocks.append(chain.certify(try chain.grow(height == 2 ? [submission] : [], reports: chain.reports())))
            if height == 6 { snapshot = StoredSnapshot(try chain.snapshot()) }
        }
        self.chain = chain
        self.blocks = blocks
        self.snapshot = try #require(snapshot)
    }

    private enum Extent: CaseIterable { case whole, withSnapshot, pruned, adopted }

    private func store(_ extent: Extent) throws -> ChainReader {
        let store = try ChainStore(directory: directory.path)
        try store.persist(genesis: chain.record.encoded)
        if extent == .adopted { try store.adopt(snapshot) }
        for block in blocks where extent != .adopted || block.height > 6 {
            try store.commit(block)
            if block.height == 6, extent != .whole { try store.persist(snapshot) }
        }
        if extent == .pruned {
            let connection = try SQLite(path: directory.file("chain.sqlite"), readOnly: false)
            var retention = try ChainRetention(limit: 1 << 30, connection)
            #expect(try retention.step(connection))
        }
        return try ChainReader(directory: directory.path)
    }

    private func check(_ path: String) throws -> ChainCheck.Result {
        try ChainCheck.run(try ChainSource(path)) { _, _ in }
    }

    private func failure(_ path: String) -> String {
        do {
            _ = try check(path)
            return ""
        } catch {
            return "\(error)"
        }
    }

    @Test(arguments: [(0, 1, 0), (1, 1, 0), (2, 7, 6), (3, 7, 0)])
    func itIsCheckedAlikeWhereverItIs(number: Int, from: UInt64, linked: Int) throws {
        let extent = Extent.allCases[number]
        let reader = try store(extent)
        let file = directory.file("archive")
        let bytes = try ChainArchive.export(reader, to: file) { _ in }
        #expect(bytes == directory.read("archive").count && !directory.names.contains("archive.part"))
        let copy = TemporaryDirectory()
        for name in directory.names where name.hasPrefix("chain.sqlite") { copy.write(directory.read(name), name) }
        for path in [file, directory.path, copy.path, copy.file("chain.sqlite")] {
            let result = try check(path)
            #expect(result.from == from && result.linked == linked && result.height == 10, "\(extent) \(path)")
            #expect(result.head == chain.state.head && result.stateRoot == chain.state.root)
            #expect(result.genesis == chain.genesis.hash && result.members == chain.state.members)
            #expect(result.snapshot == (extent == .whole ? nil : 6) && result.bytes > 1_000)
        }
    }

    @Test func whatIsDamagedOnTheWayIsNamed() throws {
        let file = directory.file("archive")
        _ = try ChainArchive.export(try store(.pruned), to: file) { _ in }
        let bytes = directory.read("archive")
        for place in stride(from: ChainArchive.magic.count, to: bytes.count, by: 211) {
            var changed = bytes
            changed[place] ^= 1 << UInt8(place % 8)
            directory.write(changed, "changed")
            let said = failure(directory.file("changed"))
            #expect(
                said.contains("damaged in record") || said.contains("ends within record"), "byte \(place): \(said)")
        }
        for count in stride(from: ChainArchive.magic.count, to: bytes.count, by: 211) {
            directory.write(Array(bytes.prefix(count)), "changed")
            let said = failure(directory.file("changed"))
            #expect(said.contains("ends within record") && said.contains("at byte"), "\(count) bytes: \(said)")
        }
        directory.write(bytes + [0], "changed")
        #expect(failure(directory.file("changed")).contains("bytes follow the last record"))
        directory.write(Array(bytes.dropFirst()), "changed")
        #expect(failure(directory.file("changed")).contains("is no chain"))
        #expect(failure(directory.file("nothing")).contains("can't read"))
        directory.write([], "empty")
        #expect(failure(directory.file("empty")).contains("is no chain"))
    }

    /// Whole and sound as a file, and false.
    @Test func aForgedChainIsRefused() throws {
        let store = try ChainStore(directory: directory.path)
        try store.persist(genesis: chain.record.encoded)
        for block in blocks {
            var forged = block
            if block.height == 8 { forged.certificate = blocks[6].certificate }
            try store.commit(forged)
        }
        let file = directory.file("archive")
        _ = try ChainArchive.export(try ChainReader(directory: directory.path), to: file) { _ in }
        for path in [file, directory.path] {
            #expect(failure(path).contains("block 8: certificate-for-another-block"), "\(failure(path))")
        }
    }

    @Test func aSnapshotOfAnotherStateIsRefused() throws {
        var other = TestChain(nodes: 3, parameters: SiteParameters(margin: 5))
        for _ in 1...6 { try other.grow(reports: other.reports()) }
        let store = try ChainStore(directory: directory.path)
        try store.persist(genesis: chain.record.encoded)
        for block in blocks { try store.commit(block) }
        try store.persist(StoredSnapshot(try other.snapshot()))
        #expect(failure(directory.path).contains("another-genesis"), "\(failure(directory.path))")
    }
}
