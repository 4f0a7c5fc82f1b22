import Machine

/// Apps that ask for a place, in the order in which they come. An app's number is its place here, from 0.
public struct Workload: Sendable, Equatable {
    public struct Arrival: Sendable, Equatable {
        /// The block in which it comes, from 1.
        public var block: UInt32
        /// What it needs, 1 to 1,000,000 ppm of a node.
        public var demand: UInt32
        /// Blocks from its placement to its end, at least 1.
        public var duration: UInt32

        public init(block: UInt32, demand: UInt32, duration: UInt32) {
            self.block = block
            self.demand = demand
            self.duration = duration
        }
    }

    /// In ascending order of block.
    public internal(set) var arrivals: [Arrival]

    public init(arrivals: [Arrival] = []) { self.arrivals = arrivals }

    /// The workload of the paper's section 6.2, which leaves arrivals and durations open.
    ///
    /// One ``SplitMix64`` with this seed draws everything. For each block, `nodes` times: a draw below 5 without bias, and
    /// if it is 0 an app comes: its demand is drawn in 50,000...400,000 ppm, then its duration in 20...100 blocks.
    public static func random(nodes: Int, blocks: Int, seed: UInt64) -> Workload {
        var random = SplitMix64(seed: seed)
        var arrivals: [Arrival] = []
        for block in 1...max(1, blocks) {
            for _ in 0..<nodes where random.next(below: 5) == 0 {
                let demand = random.next(in: 50_000...400_000)
                let duration = random.next(in: 20...100)
                arrivals.append(
                    Arrival(block: UInt32(block), demand: UInt32(demand), duration: UInt32(duration)))
            }
        }
        return Workload(arrivals: arrivals)
    }
}

/// What is wrong with a trace's text.
public struct TraceFault: Error, Equatable, CustomStringConvertible {
    /// From 1.
    public var line: Int
    public var problem: String

    public var description: String { "line \(line): \(problem)" }
}

/// Reads a trace as it comes: a header, then a line for each app, sorted by block. Lines end with LF or CRLF, the last one's
/// end may be missing.
public struct TraceReader {
    static let header = "block,demand_ppm,duration_blocks"
    /// Bytes: no right line is this long, and a file without line ends must not fill the memory.
    private static let lineLimit = 200
    /// Apps in a trace at most.
    public static let appLimit = 100_000_000

    private var workload = Workload()
    private var line: [UInt8] = []
    private var number = 0
    private var blank: Int?

    public init() {}

    /// - Throws: ``TraceFault`` with the first line that is wrong; the reader is then of no more use.
    public mutating func take(_ bytes: some Sequence<UInt8>) throws(TraceFault) {
        for byte in bytes {
            if byte == 0x0A {
                try endLine()
            } else {
                line.append(byte)
                if line.count > Self.lineLimit {
                    throw TraceFault(line: number + 1, problem: "it is longer than \(Self.lineLimit) bytes")
                }
            }
        }
    }

    /// - Throws: ``TraceFault``, also for an empty trace.
    public mutating func finish() throws(TraceFault) -> Workload {
        if !line.isEmpty { try endLine() }
        if number == 0 { throw TraceFault(line: 1, problem: "the trace is empty; it begins with \(Self.header)") }
        return workload
    }

    private mutating func endLine() throws(TraceFault) {
        defer { line.removeAll(keepingCapacity: true) }
        number += 1
        var text = line[...]
        if text.last == 0x0D { text = text.dropLast() }
        if number == 1 { return try Self.check(header: text) }
        if text.isEmpty {
            blank = blank ?? number
            return
        }
        if let blank { throw TraceFault(line: blank, problem: "it is empty, and more lines follow") }
        let arrival = try Self.arrival(text, number)
        if let last = workload.arrivals.last, last.block > arrival.block {
            throw TraceFault(
                line: number, problem: "block \(arrival.block) comes after block \(last.block): sort the trace by block"
            )
        }
        guard workload.arrivals.count < Self.appLimit else {
            throw TraceFault(line: number, problem: "it is one app too many: at most \(Self.appLimit) are simulated")
        }
        workload.arrivals.append(arrival)
    }

    private static func check(header found: ArraySlice<UInt8>) throws(TraceFault) {
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        let text = found.starts(with: mark) ? found.dropFirst(3) : found
        guard text.elementsEqual(header.utf8) else {
            throw TraceFault(line: 1, problem: "the header is \(quoted(text)), not \(header)")
        }
    }

    private static func arrival(_ text: ArraySlice<UInt8>, _ number: Int) throws(TraceFault) -> Workload.Arrival {
        let fields = text.split(separator: 0x2C, omittingEmptySubsequences: false)
        guard fields.count == 3 else {
            throw TraceFault(line: number, problem: "it has \(fields.count) fields, not the three of \(header)")
        }
        func figure(_ field: Int, _ name: String, _ range: ClosedRange<UInt32>) throws(TraceFault) -> UInt32 {
            var value: UInt64 = 0
            for byte in fields[field] {
                guard (0x30...0x39).contains(byte), value < 1 << 40 else {
                    value = .max
                    break
                }
                value = value * 10 + UInt64(byte - 0x30)
            }
            guard !fields[field].isEmpty, let figure = UInt32(exactly: value), range.contains(figure) else {
                throw TraceFault(
                    line: number,
                    problem:
                        "\(name) is \(quoted(fields[field])), not a whole number from \(range.lowerBound) to \(range.upperBound)"
                )
            }
            return figure
        }
        return Workload.Arrival(
            block: try figure(0, "block", 1...1_000_000_000), demand: try figure(1, "demand_ppm", 1...1_000_000),
            duration: try figure(2, "duration_blocks", 1...1_000_000_000))
    }

    private static func quoted(_ bytes: ArraySlice<UInt8>) -> String {
        "\"" + String(decoding: bytes.prefix(60).map { (0x20..<0x7F).contains($0) ? $0 : 0x3F }, as: UTF8.self) + "\""
    }
}
