import Contracts

/// A node that gossip talks to.
struct Peer: Sendable {
    let id: NodeID
    var name: String
    var address: String
    var connected = false
    /// Requests that failed since one got through.
    var failures = 0
    var outbox = Outbox()
    /// The one batch under way, and those that did not wait for it: ``GossipMachine/pump(_:)``.
    var sending: (number: UInt64, deliveries: [Delivery])?
    var hurrying: [UInt64: [Delivery]] = [:]
    /// The one question under way.
    var asking: (number: UInt64, messages: [SignedMessage])?
    /// Whether the next question may go. What is only passed on waits for the next look at what is due: by then the peer mostly
    /// has it, and has said so.
    var mayAsk = false
    /// Whether a failure must be waited out before the next request.
    var waiting = false
    /// Running mean of round trips in microseconds (each counts an eighth).
    var latency: Int64?
    var askedPeersAt: Int64?
    var askingPeers = false

    init(id: NodeID, name: String, address: String) {
        self.id = id
        self.name = name
        self.address = address
    }

    mutating func measured(_ roundTrip: Int64) {
        let roundTrip = max(0, roundTrip)
        latency = latency.map { $0 + (roundTrip - $0) / 8 } ?? roundTrip
    }

    /// Takes from its outbox what may be under way now.
    ///
    /// - Parameter node: this one, whose own words for agreement and elections don't wait for another batch.
    mutating func begin(ticket: inout UInt64, of node: NodeID) -> (
        batch: (number: UInt64, deliveries: [Delivery])?, question: (number: UInt64, messages: [SignedMessage])?
    ) {
        guard connected, !waiting else { return (nil, nil) }
        var batch: (number: UInt64, deliveries: [Delivery])?
        if sending == nil, outbox.hasReady {
            sending = (ticket, outbox.takeBatch())
            batch = sending
            ticket += 1
        } else if hurrying.count < GossipLimits.hurriedBatches,
            case let deliveries = outbox.takeUrgent(of: node), !deliveries.isEmpty
        {
            hurrying[ticket] = deliveries
            batch = (ticket, deliveries)
            ticket += 1
        }
        guard asking == nil, mayAsk, outbox.hasOffers else { return (batch, nil) }
        mayAsk = false
        asking = (ticket, outbox.takeOffers())
        ticket += 1
        return (batch, asking)
    }

    /// Forgets what was under way and waits: the node is gone for now, and what it misses is sent anew, not late.
    mutating func disconnect() {
        connected = false
        failures = 0
        outbox = Outbox()
        sending = nil
        hurrying = [:]
        asking = nil
        mayAsk = false
        waiting = false
        askingPeers = false
        askedPeersAt = nil
    }
}

/// An address at which a node may answer.
struct Address: Sendable {
    enum Standing: Sendable, Equatable {
        case unknown
        case peer(NodeID)
        /// This node itself.
        case own
        /// A node of another site.
        case foreign(site: String)
    }

    /// From the settings: never forgotten.
    var configured: Bool
    var standing = Standing.unknown
    var failures = 0
    var lastFailure: String?
    var nextTry: Int64
    var trying = false
}

extension Address {
    /// Milliseconds until the next try after so many failures in a row: 250 to 4,000.
    static func patience(_ failures: Int) -> Int64 { 250 << Int64(min(max(failures - 1, 0), 4)) }

    /// Whether `text` is `host:port` (`[v6]:port` for IPv6) with nothing else in it.
    static func isValid(_ text: String) -> Bool {
        let utf8 = Array(text.utf8)
        guard utf8.count <= 255, let colon = utf8.lastIndex(of: 0x3A), colon > 0 else { return false }
        let digits = utf8[(colon + 1)...]
        guard (1...5).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }),
            let port = Int(String(decoding: digits, as: UTF8.self)), (1...65_535).contains(port)
        else { return false }
        let host = utf8[..<colon]
        if host.first == 0x5B {
            return host.count > 2 && host.last == 0x5D && host.dropFirst().dropLast().allSatisfy(isHexOrColon)
        }
        return host.allSatisfy(isHostname)
    }

    private static func isHexOrColon(_ byte: UInt8) -> Bool {
        byte == 0x3A || byte == 0x2E || (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
            || (0x41...0x46).contains(byte)
    }

    private static func isHostname(_ byte: UInt8) -> Bool {
        byte == 0x2D || byte == 0x2E || byte == 0x5F || (0x30...0x39).contains(byte)
            || (0x61...0x7A).contains(byte) || (0x41...0x5A).contains(byte)
    }
}
