import Glibc
import Machine
import Testing

@testable import Runtime

@Suite struct RecordFileTests {
    private let directory: TemporaryDirectory
    private let file: RecordFile

    init() throws {
        directory = try TemporaryDirectory()
        file = RecordFile(path: "\(directory.path)/record")
    }

    private func record(_ number: Int) -> [UInt8] {
        var random = SplitMix64(seed: UInt64(number))
        return (0..<random.next(in: 0...RecordFile.limit)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    private func bytes() throws -> [UInt8] { try #require(try DurableFile(path: file.path).read()) }

    @Test func keepsWhatWasWrittenLast() throws {
        #expect(try file.read() == nil)
        for number in 0..<20 {
            try file.write(record(number))
            #expect(try file.read() == record(number))
            #expect(try bytes().count == 32_768, "it never grows")
        }
        #expect(throws: RecordError.self) { try file.write([UInt8](repeating: 0, count: RecordFile.limit + 1)) }
        #expect(try file.read() == record(19))
    }

    @Test func aFileOfTheOlderFormIsTakenOver() throws {
        try DurableFile(path: file.path).write([1, 2, 3])
        #expect(try file.read() == [1, 2, 3])
        try file.write([4])
        #expect(try file.read() == [4])
    }

    /// Of a write that a power cut ends, any sectors may be on the disk: it is the old record or the new one.
    @Test(arguments: 0..<40) func aWriteThatIsCutOffLeavesTheOldRecord(seed: Int) throws {
        var random = SplitMix64(seed: UInt64(seed))
        let count = random.next(in: 1...5)
        for number in 0..<count { try file.write(record(number)) }
        let before = try bytes()
        try file.write(record(count))
        let after = try bytes()
        for _ in 0..<20 {
            var torn = before
            for sector in stride(from: 0, to: torn.count, by: 512) where random.next(below: 2) == 0 {
                torn.replaceSubrange(sector..<sector + 512, with: after[sector..<sector + 512])
            }
            try DurableFile(path: file.path).write(torn)
            let found = try file.read()
            #expect(found == record(count - 1) || found == record(count), "seed \(seed)")
            try file.write([7])
            #expect(try file.read() == [7], "seed \(seed)")
        }
    }

    /// A bit that the disk turned never brings back an older record.
    @Test(arguments: 0..<40) func aTurnedBitChangesNothing(seed: Int) throws {
        var random = SplitMix64(seed: UInt64(seed))
        let count = random.next(in: 1...4)
        for number in 0..<count { try file.write(record(number)) }
        var turned = try bytes()
        turned[random.next(in: 0...turned.count - 1)] ^= UInt8(1) << random.next(below: 8)
        try DurableFile(path: file.path).write(turned)
        #expect(try file.read() == record(count - 1), "seed \(seed)")
    }

    @Test func withoutASoundCopyItIsAnError() throws {
        try file.write([1])
        try DurableFile(path: file.path).write([UInt8](repeating: 0, count: 32_768))
        #expect(throws: RecordError.self) { try file.read() }
        #expect(throws: RecordError.self) { try file.write([2]) }
    }
}
