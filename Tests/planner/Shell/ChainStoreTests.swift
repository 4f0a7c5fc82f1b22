import Contracts
import Glibc
import Identity
import Machine
import PlannerCore
import Testing

@testable import planner

/// A block whose bytes follow from its height and a seed.
private func block(_ height: UInt64, seed: UInt64 = 1, size: Int? = nil) -> CommittedBlock {
    var random = SplitMix64(seed: seed &* 1_000_003 &+ height)
    // Eight bytes a step: the tests make megabytes of them.
    func bytes(_ count: Int) -> [UInt8] {
        var words = [UInt64](repeating: 0, count: count / 8 + 1)
        for index in words.indices { words[index] = random.next() }
        return words.withUnsafeBytes { Array($0.prefix(count)) }
    }
    let body = bytes(size ?? random.next(in: 0...6_000))
    return CommittedBlock(
        height: height, id: Digest(of: body, domain: "test"), block: body, certificate: bytes(random.next(in: 0...600)))
}

private func agreement(_ record: [UInt8], _ height: UInt64, _ blocks: [CommittedBlock] = []) -> StoredAgreement {
    StoredAgreement(
        height: height, record: record, named: blocks.map(\.id),
        blocks: blocks.map { StoredAgreement.Held(id: $0.id, block: $0.block) })
}

private func stored(_ directory: TemporaryDirectory) throws -> [CommittedBlock] {
    try ChainReader(directory: directory.path).blocks(from: 0, limit: .max, bytes: .max)
}

private func failure(_ body: () throws -> Void) -> String {
    do {
        try body()
        return ""
    } catch {
        return "\(error)"
    }
}

@Suite struct ChainStoreTests {
    @Test func whatWasStoredIsThereAfterReopening() throws {
        let directory = TemporaryDirectory()
        do {
            let store = try ChainStore(directory: directory.path)
            #expect(try store.genesis() == nil && store.agreement() == nil && store.stop() == nil)
            try store.persist(genesis: [1, 2, 3])
            try store.persist(stop: "pi2’s word")
            try store.persist(agreement([], 1))
            #expect(try store.agreement() == agreement([], 1))
            try store.persist(agreement([4], 1))
            try store.commit(block(1))
            #expect(try store.agreement() == nil, "a commit forgets the height's agreement")
            try store.persist(agreement([5], 2))
            try store.commit(block(2))
            try store.persist(agreement([6], 3))
        }
        let store = try ChainStore(directory: directory.path)
        #expect(try store.genesis() == [1, 2, 3] && store.stop() == "pi2’s word")
        #expect(try store.agreement() == agreement([6], 3))
        #expect(try stored(directory) == [block(1), block(2)])
        let reader = try ChainReader(directory: directory.path)
        #expect(try reader.height() == 2 && reader.genesis() == [1, 2, 3])
        #expect(store.bytes > 0)
    }

    @Test func readersGetBoundedPieces() throws {
        let directory = TemporaryDirectory()
        let store = try ChainStore(directory: directory.path)
        for height in 1...20 as ClosedRange<UInt64> { try store.commit(block(height, size: 1_000)) }
        let reader = try ChainReader(directory: directory.path)
        #expect(try reader.blocks(from: 5, limit: 3, bytes: .max).map(\.height) == [5, 6, 7])
        #expect(try reader.blocks(from: 1, limit: 20, bytes: 1).map(\.height) == [1], "one, however large")
        #expect(try reader.blocks(from: 1, limit: 20, bytes: 4_000).count < 4)
        #expect(try reader.blocks(from: 21, limit: 3, bytes: .max).isEmpty)
        #expect(try reader.blocks(from: 1, limit: 0, bytes: .max).isEmpty)
        #expect(try reader.blocks(from: .max, limit: 1, bytes: .max).isEmpty)
    }

    @Test func onlyTheNextHeightIsCommitted() throws {
        let directory = TemporaryDirectory()
        let store = try ChainStore(directory: directory.path)
        #expect(failure { try store.commit(block(2)) }.contains("block 2 doesn't follow the stored block 0"))
        try store.commit(block(1))
        try store.persist(agreement([1], 2))
        #expect(failure { try store.commit(block(1)) }.contains("block 1 doesn't follow the stored block 1"))
        #expect(try store.agreement() == agreement([1], 2), "a refused commit changes nothing")
        try store.commit(block(2))
    }

    @Test func theOwnerAloneMayReadTheFiles() throws {
        let directory = TemporaryDirectory()
        directory.write([], "chain.sqlite")
        chmod(directory.file("chain.sqlite"), 0o644)
        let store = try ChainStore(directory: directory.path)
        try store.commit(block(1))
        for name in directory.names {
            var status = stat()
            #expect(stat(directory.file(name), &status) == 0 && status.st_mode & 0o777 == 0o600, "\(name)")
        }
        #expect(directory.names.contains("chain.sqlite-wal"))
        withExtendedLifetime(store) {}
    }

    @Test func aSecondPlannerIsKeptOut() throws {
        let directory = TemporaryDirectory()
        let store = try ChainStore(directory: directory.path)
        #expect(failure { _ = try ChainStore(directory: directory.path) }.contains("another planner runs on"))
        withExtendedLifetime(store) {}
    }

    @Test func anotherProgramsFileIsRefused() throws {
        let directory = TemporaryDirectory()
        directory.write(
            Array("not a database, but long enough to be taken for a damaged one".utf8)
                + [UInt8](repeating: 7, count: 4_096), "chain.sqlite")
        #expect(failure { _ = try ChainStore(directory: directory.path) }.contains("the file is damaged"))

        let other = TemporaryDirectory()
        other.write([], "chain.sqlite")
        try SQLite(path: other.file("chain.sqlite"), readOnly: false).execute("CREATE TABLE mine(x)")
        #expect(failure { _ = try ChainStore(directory: other.path) }.contains("is a database of another program"))

        let newer = TemporaryDirectory()
        _ = try ChainStore(directory: newer.path)
        try SQLite(path: newer.file("chain.sqlite"), readOnly: false).execute("PRAGMA user_version = 3")
        #expect(failure { _ = try ChainStore(directory: newer.path) }.contains("has format 3 and this planner"))
        #expect(failure { _ = try ChainReader(directory: directory.file("nothing")) }.contains("there is no chain in"))
    }
}

/// What a kill, a power cut or a bad disk leaves behind.
@Suite struct ChainCrashTests {
    /// The files as they are at this moment, without the shared-memory index, which SQLite makes anew.
    private func snapshot(_ directory: TemporaryDirectory) -> TemporaryDirectory {
        let copy = TemporaryDirectory()
        for name in ["chain.sqlite", "chain.sqlite-wal"] { copy.write(directory.read(name), name) }
        return copy
    }

    @Test(arguments: 1...12 as ClosedRange<UInt64>) func killedAtAnyMomentItHoldsExactlyWhatWasAcknowledged(
        seed: UInt64
    ) throws {
        var random = SplitMix64(seed: seed)
        let directory = TemporaryDirectory()
        let store = try ChainStore(directory: directory.path)
        var height: UInt64 = 0
        var kept: StoredAgreement?
        func check(_ copy: TemporaryDirectory) throws {
            let reopened = try ChainStore(directory: copy.path)
            #expect(try reopened.agreement() == kept, "seed \(seed), height \(height)")
            #expect(try stored(copy) == (0..<height).map { block($0 + 1, seed: seed) }, "seed \(seed)")
            // It goes on from there.
            try reopened.commit(block(height + 1, seed: seed))
        }
        for _ in 0..<40 {
            if random.next(below: 2) == 0 {
                height += 1
                try store.commit(block(height, seed: seed))
                kept = nil
            } else {
                let bytes = (0..<random.next(in: 0...900)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                // Now the block that will be decided, now another one.
                let seeds = [seed, seed &+ 77].prefix(random.next(in: 0...2))
                let new = agreement(bytes, height + 1, seeds.map { block(height + 1, seed: $0) })
                let older = Set((kept?.blocks ?? []).map(\.id))
                var effect = new
                effect.blocks.removeAll { older.contains($0.id) }
                try store.persist(effect)
                kept = new.replacing(kept)
            }
            if random.next(below: 3) == 0 { try check(snapshot(directory)) }
            if random.next(below: 4) == 0 {
                // In the midst of a transaction of another connection that is then abandoned.
                let half = try SQLite(path: directory.file("chain.sqlite"), readOnly: false)
                try half.execute("PRAGMA cache_size = 2; BEGIN IMMEDIATE")
                try half.append(block(height + 1, seed: seed &+ 1, size: 100_000))
                try half.run("DELETE FROM agreement")
                try check(snapshot(directory))
            }
        }
    }

    /// A power cut may lose the end of the log: blocks from the end, never one in between.
    @Test(arguments: 1...12 as ClosedRange<UInt64>) func aTruncatedLogLosesOnlyItsEnd(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let directory = TemporaryDirectory()
        let store = try ChainStore(directory: directory.path)
        for height in 1...12 as ClosedRange<UInt64> {
            try store.persist(agreement([UInt8(height)], height))
            try store.commit(block(height, seed: seed))
        }
        let log = directory.read("chain.sqlite-wal")
        #expect(log.count > 10_000)
        let main = directory.read("chain.sqlite")
        var counts: Set<Int> = []
        for _ in 0..<12 {
            let copy = TemporaryDirectory()
            copy.write(main, "chain.sqlite")
            copy.write(Array(log.prefix(random.next(in: 0...log.count))), "chain.sqlite-wal")
            let reopened = try ChainStore(directory: copy.path)
            let blocks = try stored(copy)
            #expect(blocks == (0..<UInt64(blocks.count)).map { block($0 + 1, seed: seed) }, "seed \(seed)")
            try reopened.commit(block(UInt64(blocks.count) + 1, seed: seed))
            counts.insert(blocks.count)
        }
        #expect(counts.count > 1, "seed \(seed): the log was never cut within the chain")
    }

    /// A disk that turns bits gives an error or the truth.
    @Test(arguments: 1...8 as ClosedRange<UInt64>) func aDamagedFileNeverGivesAnotherBlock(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let directory = TemporaryDirectory()
        let blocks = (1...10 as ClosedRange<UInt64>).map { block($0, seed: seed) }
        do {
            let store = try ChainStore(directory: directory.path)
            try store.persist(genesis: [1, 2, 3])
            for block in blocks { try store.commit(block) }
        }
        let bytes = directory.read("chain.sqlite")
        #expect(bytes.count > 20_000, "closing the last connection empties the log into the file")
        var refused = 0
        for _ in 0..<40 {
            var damaged = bytes
            for _ in 0..<random.next(in: 1...4) {
                let place = random.next(in: 0...damaged.count - 1)
                damaged[place] ^= UInt8(1) << random.next(below: 8)
            }
            let copy = TemporaryDirectory()
            copy.write(damaged, "chain.sqlite")
            do {
                let store = try ChainStore(directory: copy.path)
                let genesis = try store.genesis()
                #expect(genesis == [1, 2, 3] || genesis == nil, "seed \(seed)")
                let found = try stored(copy)
                #expect(found == Array(blocks.prefix(found.count)), "seed \(seed)")
            } catch let error as StorageError {
                refused += 1
                #expect(error.description.contains("damaged") || error.description.contains("another"), "\(error)")
            }
        }
        #expect(refused > 0, "seed \(seed)")
    }

    @Test func aFullDiskIsAnErrorAndLosesNothing() throws {
        let directory = TemporaryDirectory()
        guard mount("tmpfs", directory.path, "tmpfs", 0, "size=512k") == 0 else {
            print("SKIPPED: a full disk needs root and the right to mount, to make a small one")
            return
        }
        defer { umount2(directory.path, Int32(MNT_DETACH)) }
        let store = try ChainStore(directory: directory.path)
        var height: UInt64 = 0
        var error = ""
        while error.isEmpty, height < 1_000 {
            error = failure { try store.commit(block(height + 1, size: 20_000)) }
            if error.isEmpty { height += 1 }
        }
        #expect(error.contains("the disk is full: free space on it and start again"), "\(error)")
        #expect(error.contains("could not change the chain in \(directory.path)/chain.sqlite"), "\(error)")
        #expect(height > 2)
        #expect(try stored(directory) == (0..<height).map { block($0 + 1, size: 20_000) })
    }
}
