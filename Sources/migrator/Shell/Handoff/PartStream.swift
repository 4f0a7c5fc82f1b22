import Contracts
import Identity
import MigratorCore
import Synchronization

/// Counts and hashes what flows by.
final class PartMeter: Sendable {
    private let state = Mutex(Meter())

    private struct Meter: ~Copyable {
        var bytes: Int64 = 0
        let digest = StreamingDigest()
    }

    var bytes: Int64 { state.withLock { $0.bytes } }

    func take(_ chunk: [UInt8]) {
        state.withLock { meter in
            meter.bytes += Int64(chunk.count)
            meter.digest.update(chunk)
        }
    }

    func digest(of part: String) -> PartDigest {
        state.withLock { PartDigest(part: part, bytes: $0.bytes, digest: $0.digest.finish()) }
    }
}

/// A folder as an archive on its way out.
struct PackedFolder: AsyncSequence, Sendable {
    let folder: String
    let meter: PartMeter

    func makeAsyncIterator() -> Iterator { Iterator(folder: folder, meter: meter) }

    struct Iterator: AsyncIteratorProtocol {
        let folder: String
        let meter: PartMeter
        private var tar: Tar?

        init(folder: String, meter: PartMeter) {
            self.folder = folder
            self.meter = meter
        }

        mutating func next() async throws -> [UInt8]? {
            let tar = try tar ?? Tar.packing(folder)
            self.tar = tar
            let chunk = try await tar.read()
            if let chunk { meter.take(chunk) }
            return chunk
        }
    }
}

/// Any chunks, counted.
struct Metered<Base: AsyncSequence & Sendable>: AsyncSequence, Sendable where Base.Element == [UInt8] {
    let base: Base
    let meter: PartMeter

    func makeAsyncIterator() -> Iterator { Iterator(base: base.makeAsyncIterator(), meter: meter) }

    struct Iterator: AsyncIteratorProtocol {
        var base: Base.AsyncIterator
        let meter: PartMeter

        mutating func next() async throws -> [UInt8]? {
            let chunk = try await base.next()
            if let chunk { meter.take(chunk) }
            return chunk
        }
    }
}
