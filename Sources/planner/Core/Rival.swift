import Contracts
import Identity

/// Another way in which the operator has had the chain go on, and who follows it.
struct Rival: Sendable {
    /// Milliseconds for which a word of its members counts.
    private static let freshness: Int64 = 10_000
    /// Milliseconds after which nothing is to be done about one that nobody follows any more.
    private static let memory: Int64 = 600_000

    let record: FoundingRecord
    private let recovery: Recovery
    /// Where the ways part: the first recovery of it, and of this device's own, that the other doesn't have.
    private let first: Recovery
    let own: Recovery
    /// Its members: when each was last heard, monotonic milliseconds, and whether it then had a block after the ways parted.
    private var heard: [NodeID: (at: Int64, hasBlock: Bool)] = [:]
    /// When it was last heard of.
    private var at: Int64

    /// nil if one goes on from the other.
    init?(_ record: FoundingRecord, besides own: FoundingRecord, at now: Int64) {
        let common = zip(record.recoveries, own.recoveries).prefix { $0 == $1 }.count
        guard common < own.recoveries.count, common < record.recoveries.count, let last = record.recoveries.last else {
            return nil
        }
        self.record = record
        self.own = own.recoveries[common]
        first = record.recoveries[common]
        recovery = last
        at = now
    }

    func has(_ node: NodeID) -> Bool { recovery.genesis.members.contains { $0.id == node } }

    mutating func hear(_ status: ChainStatus, of node: NodeID, at now: Int64) {
        guard status.genesis == recovery.genesis.hash, has(node) else { return }
        heard[node] = (now, status.height > first.predecessor.height)
        at = now
    }

    func isHeard(_ node: NodeID, at now: Int64) -> Bool { heard[node].map { now - $0.at <= Self.freshness } ?? false }

    /// Whether somebody may follow it still.
    func matters(at now: Int64) -> Bool { now - at <= Self.memory }

    /// Whether a longer or another list of recoveries takes its place: an older one of the same way tells nothing.
    func yields(to other: FoundingRecord, at now: Int64) -> Bool {
        other.recoveries.starts(with: record.recoveries)
            || (!record.recoveries.starts(with: other.recoveries) && !heard.keys.contains { isHeard($0, at: now) })
    }

    /// Whether a quorum of it says that it has decided a block since the ways parted.
    func goesOn(at now: Int64) -> Bool {
        let genesis = recovery.genesis
        let quorum = Quorum(members: genesis.members.count, rule: genesis.parameters.quorum)
        return heard.values.count { $0.hasBlock && now - $0.at <= Self.freshness } >= quorum.votes
    }

    /// "block 12 with pi3, pi4, as 8fb0a1c2".
    var words: String {
        let names = recovery.genesis.members.map(\.name).joined(separator: ", ")
        return "another recovery of the operator, after block \(recovery.predecessor.height) with \(names), as "
            + recovery.genesis.hash.short
    }

    /// Which of two ways goes on where both do: with more members where they parted, or else after the later block, or else by
    /// its name. All nodes find the same.
    var precedes: Bool {
        let (a, b) = (first, own)
        if a.genesis.members.count != b.genesis.members.count {
            return a.genesis.members.count > b.genesis.members.count
        }
        if a.predecessor.height != b.predecessor.height { return a.predecessor.height > b.predecessor.height }
        return a.genesis.hash < b.genesis.hash
    }
}

/// Two recoveries of one chain, neither of which goes on from the other: the operator has signed both, on devices that could not
/// hear each other or at the same moment.
extension PlannerMachine {
    mutating func meet(_ record: FoundingRecord) {
        guard let known = founding.record, record != rival?.record, rival?.yields(to: record, at: now) ?? true,
            let rival = Rival(record, besides: known, at: now)
        else { return }
        self.rival = rival
        effects.append(.log(.error, "some follow \(rival.words), from which this device's chain doesn't go on"))
    }

    /// Someone follows a chain whose name isn't known here.
    mutating func hearRival(_ status: ChainStatus, of node: NodeID) {
        tellRival(status, node)
        // What gossip kept from before the start may be old.
        guard now - (startedAt ?? now) > Peers.freshness else { return }
        rival?.hear(status, of: node, at: now)
        guard let rival, rival.goesOn(at: now), rival.precedes || isIdle(rival) else { return }
        stop("others go on by \(rival.words), and of two ways only one can stay")
    }

    /// Says by which recoveries this device's chain goes on, or went on until it stopped: the others are to know of both.
    mutating func tellRival(_ status: ChainStatus, _ node: NodeID) {
        guard let record = founding.record, !record.recoveries.isEmpty, !record.names.contains(status.genesis),
            peers.mayTell(node, at: now)
        else { return }
        effects.append(.publish(Publication(kind: .genesis, payload: record.encoded, to: node)))
    }

    /// Whether nobody is heard to have decided a block of this device's own way since the two parted.
    private func isIdle(_ rival: Rival) -> Bool {
        let height = rival.own.predecessor.height
        return state?.height == height && peers.ahead(of: height, at: now).isEmpty
    }

    /// What is to be done about a rival; nil if there is none, or nothing.
    public var rivalObstacle: String? {
        guard halted == nil, let rival, rival.matters(at: now) else { return nil }
        let standing = rival.goesOn(at: now) ? "goes on as well" : "has not gone on, as far as is heard"
        return
            "there is \(rival.words). It \(standing). Only one can stay: choose. To bring back the other's devices: "
            + Self.wayBack
    }
}
