import Contracts
import GossipCore
import PlannerCore

/// What is written down of a site's blocks: when each was proposed and where it was committed when, and what it took.
struct ChainLedger {
    struct Traffic {
        /// Copies of messages that went from one device to another.
        var messages = 0
        var bytes = 0
    }

    let nodes: Int
    private(set) var proposed: [UInt64: Int64] = [:]
    private(set) var committed: [UInt64: [Int64]] = [:]
    private(set) var proposals: Set<UInt64> = []
    /// Proposals and votes, and all that gossip carries, since ``begin()``.
    private(set) var agreement = Traffic()
    private(set) var all = Traffic()
    var complaints: [String] = []

    init(nodes: Int) { self.nodes = nodes }

    func isDone(_ height: UInt64) -> Bool { committed[height]?.count == nodes }

    mutating func begin() {
        agreement = Traffic()
        all = Traffic()
    }

    mutating func committed(_ height: UInt64, by node: Int, at time: Int64) {
        committed[height, default: []].append(time)
    }

    /// A planner has something said.
    mutating func said(_ kind: MessageKind, _ payload: [UInt8], at time: Int64) {
        guard kind == .proposal, let message = try? ProposalMessage(encoded: payload) else { return }
        let height = message.proposal.height
        if proposed[height] == nil { proposed[height] = time }
        if message.proposal.round > 0 { complaints.append("block \(height) took another round") }
    }

    /// `copies` of a message went to as many devices, each on its own.
    mutating func sent(_ message: SignedMessage, copies: Int) {
        add(message, copies: copies)
        all.bytes += copies * message.encoded.count
    }

    /// A batch of gossip's went to another device.
    mutating func sent(_ batch: Batch) {
        for delivery in batch.deliveries { add(delivery.message, copies: 1) }
        all.bytes += batch.encoded.count
    }

    mutating func sent(_ question: Question) { all.bytes += question.encoded.count + 4 + question.signatures.count }

    private mutating func add(_ message: SignedMessage, copies: Int) {
        all.messages += copies
        guard message.kind == .proposal || message.kind == .vote else { return }
        agreement.messages += copies
        agreement.bytes += copies * message.encoded.count
    }

    /// In ascending order, of each of these blocks: from its proposal until so many nodes had committed it.
    func latencies(_ heights: ClosedRange<UInt64>, until count: Int) -> [Int64] {
        heights.compactMap { height in
            guard let begun = proposed[height], let times = committed[height], times.count >= count else { return nil }
            return times.sorted()[count - 1] - begun
        }.sorted()
    }
}
