import Contracts

/// An archive as `docker save` writes it, without the layers that the receiver has.
///
/// `docker load` looks for a layer by the chain of digests up to it before it opens the layer's file, so a file may be
/// missing where the chain is known. Engines since 25 name a layer's file by its digest; of older ones nothing is
/// recognised and all is passed on.
struct ReducedArchive<Base: AsyncSequence & Sendable>: AsyncSequence, Sendable where Base.Element == [UInt8] {
    let base: Base
    /// Digests (`sha256:…`) of the layers to leave out.
    let known: Set<String>

    func makeAsyncIterator() -> Iterator {
        Iterator(base: base.makeAsyncIterator(), filter: ArchiveFilter(known: known))
    }

    struct Iterator: AsyncIteratorProtocol {
        var base: Base.AsyncIterator
        var filter: ArchiveFilter

        mutating func next() async throws -> [UInt8]? {
            while let chunk = try await base.next() {
                let kept = filter.take(chunk)
                if !kept.isEmpty { return kept }
            }
            return nil
        }
    }
}

/// Leaves entries out of a tar stream (POSIX.1-2017 pax, "ustar Interchange Format").
struct ArchiveFilter {
    private static let block = 512
    private let known: Set<String>
    /// Bytes of the header that is being read.
    private var header: [UInt8] = []
    /// Headers that belong to the entry that follows them, such as its times.
    private var prefix: [UInt8] = []
    private var remaining = 0
    private var isKept = true
    /// Whether what is being read goes with the next entry.
    private var isPrefix = false

    init(known: Set<String>) {
        self.known = Set(known.map { "blobs/sha256/" + $0.split(separator: ":").last! })
    }

    /// What is left of the next bytes.
    mutating func take(_ chunk: [UInt8]) -> [UInt8] {
        var kept: [UInt8] = []
        var rest = chunk[...]
        while !rest.isEmpty {
            if remaining > 0 {
                let part = rest.prefix(remaining)
                if isPrefix { prefix += part } else if isKept { kept += part }
                remaining -= part.count
                rest = rest.dropFirst(part.count)
                continue
            }
            let part = rest.prefix(Self.block - header.count)
            header += part
            rest = rest.dropFirst(part.count)
            if header.count == Self.block {
                kept += takeHeader()
                header = []
            }
        }
        return kept
    }

    private mutating func takeHeader() -> [UInt8] {
        let size = Self.octal(header[124..<136])
        remaining = (size + Self.block - 1) / Self.block * Self.block
        let kind = header[156]
        // pax headers and GNU's long names: a kept prefix is at most a few kilobytes.
        isPrefix = [0x78, 0x4C, 0x4B].contains(kind) && size <= 1 << 20
        if isPrefix {
            prefix += header
            return []
        }
        let name = String(decoding: header[0..<100].prefix { $0 != 0 }, as: UTF8.self)
        isKept = !known.contains(name)
        defer { prefix = [] }
        return isKept ? prefix + header : []
    }

    private static func octal(_ field: ArraySlice<UInt8>) -> Int {
        var value = 0
        for byte in field where (0x30...0x37).contains(byte) { value = value << 3 | Int(byte - 0x30) }
        // Sizes beyond 8 GiB are written in base 256; the first byte says so.
        if let first = field.first, first & 0x80 != 0 {
            value = field.dropFirst().reduce(Int(first & 0x7F)) { $0 << 8 | Int($1) }
        }
        return value
    }
}

enum ImageLayers {
    /// How many of `layers`, from the lowest, are the beginning of one of `others`: the engine then has them.
    static func shared(_ layers: [String], with others: [[String]]) -> Int {
        others.map { other in zip(layers, other).prefix { $0 == $1 }.count }.max() ?? 0
    }

    /// The digests whose files may be left out: in the first `count` layers and nowhere above.
    static func dispensable(_ layers: [String], first count: Int) -> Set<String> {
        Set(layers.prefix(count)).subtracting(layers.dropFirst(count))
    }
}
