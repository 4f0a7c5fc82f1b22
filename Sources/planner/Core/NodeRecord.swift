public import Contracts
import Identity

/// What the chain knows of one member's device.
public struct NodeRecord: ByteCodable, Hashable {
    /// The height of the block that made it a member; 0 for the founders.
    public let since: UInt64
    /// Block time until which its apps may still move away, milliseconds; nil unless it is about to leave.
    public internal(set) var drainsUntil: Int64?
    /// Block time of the newest report, milliseconds; before the first report, that of the first block.
    public var seenAt: Int64
    /// Whether it has been silent for so long that its apps were placed elsewhere. It still votes.
    public var absent: Bool
    /// The newest report's sequence; nil before the first.
    public private(set) var reportSequence: UInt64?
    public private(set) var report: Report?
    /// The hash of the newest report, which stands for it in the state's root.
    private(set) var reportHash: Digest
    /// Which of its transactions are in the chain.
    public var transactions: ReplayWindow
    /// What moves have brought here and in which time, older ones counting less and less; nil before the first.
    public private(set) var received: Shipment?
    /// What it carries beside the chain's apps, without its noise; nil before the first report.
    public private(set) var steadyBase: SteadyResources?

    /// - Parameters:
    ///   - since: the height of the block that makes it a member.
    ///   - time: that block's.
    public init(since: UInt64 = 0, at time: Int64 = 0) {
        self.since = since
        drainsUntil = nil
        seenAt = time
        absent = false
        reportSequence = nil
        report = nil
        reportHash = .zero
        transactions = ReplayWindow()
        received = nil
        steadyBase = nil
    }

    /// Bytes a second at which moves have come here; nil before the first.
    var measuredBandwidth: Int64? { received.map { max(1, Int64(Int128($0.bytes) * 1_000 / Int128($0.milliseconds))) } }

    /// An eighth of what was known is forgotten, so that a small app that was moved slowly doesn't undo what a large one has shown.
    mutating func take(_ shipment: Shipment) {
        received =
            received.map {
                Shipment(
                    bytes: $0.bytes - $0.bytes / 8 + shipment.bytes,
                    milliseconds: $0.milliseconds - $0.milliseconds / 8 + shipment.milliseconds)
            } ?? shipment
    }

    /// Whether it can be given apps: it has reported, is not absent and doesn't leave.
    public var isPresent: Bool { report != nil && !absent && drainsUntil == nil }

    /// The node has said something, be it a receipt: it is there. Else the app that has just arrived there would be taken off it in the
    /// same block, as its report can be in a later one.
    mutating func hear(at time: Int64) {
        seenAt = time
        absent = false
    }

    /// - Parameter base: what the report shows beside the chain's apps.
    mutating func take(_ report: Report, base: Resources, sequence: UInt64, at time: Int64) {
        self.report = report
        if steadyBase == nil { steadyBase = SteadyResources(base) } else { steadyBase?.take(base) }
        reportHash = Self.hash(report)
        reportSequence = sequence
        seenAt = time
        absent = false
    }

    private static func hash(_ report: Report) -> Digest { Digest(of: report.encoded, domain: "poise/report/2") }

    func encodeStanding(to writer: inout ByteWriter) {
        writer.integer(since)
        writer.optional(integer: drainsUntil)
        writer.integer(seenAt)
        writer.bool(absent)
        writer.optional(integer: reportSequence)
        writer.value(reportHash)
        writer.value(transactions)
        writer.optional(received)
        writer.optional(steadyBase)
    }

    public func encode(to writer: inout ByteWriter) {
        writer.integer(since)
        writer.optional(integer: drainsUntil)
        writer.integer(seenAt)
        writer.bool(absent)
        writer.optional(integer: reportSequence)
        writer.optional(report)
        writer.value(transactions)
        writer.optional(received)
        writer.optional(steadyBase)
    }

    public init(from reader: inout ByteReader) throws {
        since = try reader.integer()
        drainsUntil = try reader.optional(integer: Int64.self)
        seenAt = try reader.integer()
        absent = try reader.bool()
        reportSequence = try reader.optional(integer: UInt64.self)
        report = try reader.optional()
        reportHash = report.map(Self.hash) ?? .zero
        transactions = try reader.value()
        received = try reader.optional()
        steadyBase = try reader.optional()
    }
}

/// Which sequence numbers of a sender are used up, in bounded space: all below a floor, and single ones above it.
public struct ReplayWindow: ByteCodable, Hashable {
    /// Numbers remembered one by one. A number that comes this late counts as used.
    public static let size = 256

    private(set) var floor: UInt64 = 0
    /// In ascending order, none below the floor.
    private(set) var used: [UInt64] = []

    public init() {}

    public func contains(_ sequence: UInt64) -> Bool { sequence < floor || used.contains(sequence) }

    mutating func insert(_ sequence: UInt64) {
        guard !contains(sequence) else { return }
        used.insert(sequence, at: used.firstIndex { $0 > sequence } ?? used.endIndex)
        if used.count > Self.size { floor = used.removeFirst() + 1 }
    }

    public func encode(to writer: inout ByteWriter) {
        writer.integer(floor)
        writer.integer(UInt32(used.count))
        for sequence in used { writer.integer(sequence) }
    }

    public init(from reader: inout ByteReader) throws {
        floor = try reader.integer()
        let count = try reader.integer(UInt32.self)
        guard count <= Self.size else {
            throw ByteCodingError.tooLong(what: "a replay window", count: Int(count), limit: Self.size)
        }
        for _ in 0..<count { used.append(try reader.integer()) }
    }
}
