import Contracts
import Identity
import PlannerCore

/// What a block costs a site on which nothing goes wrong, and how soon it is committed.
struct ChainFigures: Codable, Sendable {
    /// How messages reach the others.
    enum Network: String, Codable, CaseIterable, Sendable {
        /// One copy from whoever says something to each other node.
        case direct
        /// As gossip spreads them.
        case gossip
    }

    struct Latency: Codable, Sendable {
        /// One-way delays.
        var median: Double
        var most: Double

        init(_ sorted: [Int64]) {
            func delays(_ value: Int64?) -> Double { Double(value ?? 0) / Double(ChainFigures.delay) }
            median = delays(sorted.isEmpty ? nil : sorted[sorted.count / 2])
            most = delays(sorted.last)
        }
    }

    /// Milliseconds that every message takes.
    static let delay: Int64 = 10
    private static let start: Int64 = 1_750_000_000_000
    /// The first blocks, while all find each other, don't count.
    private static let warmUp: UInt64 = 4

    var network: Network
    var nodes: Int
    var quorum: Int
    var blocks: Int
    /// From the proposal until so many nodes have committed.
    var quorumLatency: Latency
    var medianLatency: Latency
    var allLatency: Latency
    /// Copies of proposals and votes, and bytes of them, for a block.
    var messages: Double
    var bytes: Double
    /// The same of all that went from device to device meanwhile.
    var allMessages: Double
    var allBytes: Double

    enum Fault: Error, CustomStringConvertible {
        case notInPeace(String)

        var description: String {
            switch self {
            case .notInPeace(let what): "something went wrong on a site where nothing should: \(what)"
            }
        }
    }

    static func measure(_ network: Network, nodes: Int, blocks: Int) throws -> ChainFigures {
        let parameters = SiteParameters(quorum: .byzantine, blockInterval: 1_000, idleInterval: 1_000)
        let cast = PeacefulCast(nodes: nodes, apps: 0, parameters: parameters)
        let last = warmUp + UInt64(blocks)
        let ledger = try VerificationMemo().during {
            switch network {
            case .direct: try direct(cast, until: last)
            case .gossip: try gossiped(cast, until: last)
            }
        }
        if let complaint = ledger.complaints.first { throw Fault.notInPeace(complaint) }
        let quorum = Quorum(members: nodes, rule: .byzantine).votes
        func latency(_ count: Int) -> Latency { Latency(ledger.latencies(warmUp + 1...last, until: count)) }
        func each(_ count: Int) -> Double { Double(count) / Double(blocks) }
        return ChainFigures(
            network: network, nodes: nodes, quorum: quorum, blocks: blocks, quorumLatency: latency(quorum),
            medianLatency: latency(nodes / 2 + 1), allLatency: latency(nodes),
            messages: each(ledger.agreement.messages), bytes: each(ledger.agreement.bytes),
            allMessages: each(ledger.all.messages), allBytes: each(ledger.all.bytes))
    }

    private static func gossiped(_ cast: PeacefulCast, until last: UInt64) throws -> ChainLedger {
        var site = try GossipedSite(cast, delay: delay, start: start)
        site.run(until: warmUp)
        site.ledger.begin()
        site.run(until: last)
        return site.ledger
    }

    private static func direct(_ cast: PeacefulCast, until last: UInt64) throws -> ChainLedger {
        var site = try PeacefulSite(cast, delay: delay, start: start)
        var ledger = ChainLedger(nodes: cast.nodes.count)
        var hasBegun = false
        while !ledger.isDone(last) {
            for notice in site.next() {
                switch notice {
                case .said(let message, _, let to):
                    ledger.said(message.kind, message.payload.bytes, at: site.now)
                    ledger.sent(message, copies: to == nil ? cast.nodes.count - 1 : 1)
                case .committed(let block, let node): ledger.committed(block.height, by: node, at: site.now)
                case .complaint(let text, _): ledger.complaints.append(text)
                case .snapshot: break
                }
            }
            if !hasBegun, ledger.isDone(warmUp) {
                hasBegun = true
                ledger.begin()
            }
        }
        return ledger
    }
}
