import Contracts

/// Whether this node is in touch with the site: until when no block can find it absent.
///
/// A block that holds a report of this node was built after the report was made, and block time never runs faster than time
/// and a tenth (``BlockTime``). So within ten elevenths of the time to absence after the report no block can declare an absence, whatever
/// was decided meanwhile without this node, and however late it heard of the block. A block that comes by catching up, or one that was
/// stored before a start, holds an old report and says little; so does the newest block to a node whose reports don't get through.
struct Touch: Sendable {
    /// Reports that wait for a block.
    private static let limit = 64
    /// Milliseconds that a report's newest sample may be old when the report comes here. More is the delay of a process that
    /// stood still, and counts.
    private static let sampleAge: Int64 = 500

    /// In milliseconds of the monotonic clock; nil before the first block with a report of this node.
    private(set) var until: Int64?
    /// In ascending order of sequence.
    private var reports: [(sequence: UInt64, at: Int64)] = []

    /// - Parameter age: milliseconds since the report's newest sample, by this device's clock on the wall.
    mutating func reported(_ sequence: UInt64, age: Int64, at now: Int64) {
        if let last = reports.last, last.sequence >= sequence { return }
        if reports.count == Self.limit { reports.removeFirst() }
        reports.append((sequence, now - (max(Self.sampleAge, age) - Self.sampleAge)))
    }

    /// - Parameters:
    ///   - sequence: of this node's newest report in the chain.
    ///   - absentAfter: ``SiteParameters/absentAfter``.
    mutating func committed(_ sequence: UInt64, absentAfter: Int64) {
        if let report = reports.first(where: { $0.sequence == sequence }) {
            until = max(until ?? .min, report.at + absentAfter / 5 * 4)
        }
        reports.removeAll { $0.sequence <= sequence }
    }
}
