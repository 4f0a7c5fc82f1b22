import Glibc
import Testing

@testable import Runtime

@Suite struct DurableFileTests {
    private let directory: TemporaryDirectory
    private let file: DurableFile

    init() throws {
        directory = try TemporaryDirectory()
        file = DurableFile(path: "\(directory.path)/state")
    }

    private func mode(_ path: String) -> mode_t? {
        var status = stat()
        return lstat(path, &status) == 0 ? status.st_mode & 0o7777 : nil
    }

    @Test func keepsWhatWasWrittenLast() throws {
        #expect(try file.read() == nil)
        for content in [[], [1, 2, 3], [UInt8](repeating: 9, count: 300_000), [4]] {
            try file.write(content)
            #expect(try file.read() == content)
            #expect(mode(file.path) == 0o600)
            #expect(mode(file.path + ".new") == nil)
        }
    }

    /// A crash before the renaming leaves a draft of any length: the old content stands, and the next write is not hindered.
    @Test func aDraftThatACrashLeftIsNoContent() throws {
        try file.write([1, 2, 3])
        for length in [0, 1, 2, 100] {
            try DurableFile(path: file.path + ".new.tmp").write([UInt8](repeating: 7, count: length))
            #expect(rename(file.path + ".new.tmp", file.path + ".new") == 0)
            #expect(chmod(file.path + ".new", 0o666) == 0)
            #expect(try file.read() == [1, 2, 3])
        }
        try file.write([4, 5])
        #expect(try file.read() == [4, 5])
        #expect(mode(file.path) == 0o600)
    }

    @Test func aLinkInTheDraftsPlaceIsNotFollowed() throws {
        let victim = DurableFile(path: "\(directory.path)/victim")
        try victim.write([1])
        #expect(symlink(victim.path, file.path + ".new") == 0)
        try file.write([2])
        #expect(try victim.read() == [1])
        #expect(try file.read() == [2])
    }

    @Test func errorsNameTheFileAndTheReason() throws {
        let missing = DurableFile(path: "\(directory.path)/no/state")
        #expect(try missing.read() == nil)
        let error = #expect(throws: FileError.self) { try missing.write([1]) }
        #expect(error?.description == "can't write \(missing.path).new: No such file or directory")
        try file.write([UInt8](repeating: 1, count: 100))
        #expect(try file.read(limit: 100)?.count == 100)
        let large = #expect(throws: FileError.self) { try file.read(limit: 99) }
        #expect(large?.description == "can't read \(file.path): File too large")
        #expect(throws: FileError.self) { try DurableFile(path: directory.path).read() }
        let endless = #expect(throws: FileError.self) { try DurableFile(path: "/dev/zero").read(limit: 1 << 20) }
        #expect(endless?.code == EFBIG)
    }

    @Test(.enabled(if: geteuid() == 0, "a full disk takes root to mount")) func aFullDiskLeavesTheOldContent() throws {
        let disk = "\(directory.path)/disk"
        #expect(mkdir(disk, 0o700) == 0)
        guard mount("none", disk, "tmpfs", 0, "size=64k") == 0 else {
            try Test.cancel("mounting is not allowed here")
        }
        defer {
            umount(disk)
            rmdir(disk)
        }
        let file = DurableFile(path: "\(disk)/state")
        let small = [UInt8](repeating: 1, count: 1_000)
        try file.write(small)
        for _ in 0..<3 {
            let error = #expect(throws: FileError.self) { try file.write([UInt8](repeating: 2, count: 200_000)) }
            #expect(error?.code == ENOSPC)
            #expect(try file.read() == small)
            #expect(mode(file.path + ".new") == nil, "the draft holds no room")
        }
        // There is room again for what fits.
        let other = [UInt8](repeating: 3, count: 30_000)
        try file.write(other)
        #expect(try file.read() == other)
    }
}
