import Contracts
import Machine

/// Whom this node asks for what it lacks, and a snapshot on its way here. One node is asked at a time, and another one
/// as soon as it is silent or says what can't be.
struct CatchUp: Sendable {
    /// Milliseconds for which a node is not asked again: after silence, and after something false.
    private static let silencePause: Int64 = 5_000
    private static let falsehoodPause: Int64 = 60_000
    /// Milliseconds after which the node that was asked counts as silent: less than one word on where this node stands.
    private static let patience: Int64 = 900
    /// Milliseconds that may pass between two pieces of a snapshot, and for all of them.
    private static let piecePatience: Int64 = 5_000
    private static let transferPatience: Int64 = 300_000
    /// How often a newer snapshot may take the place of the one that is under way: nodes make one in many minutes.
    private static let restartLimit = 3
    /// Milliseconds after which a piece is asked for again.
    private static let repetition: Int64 = 900

    /// A snapshot of which some pieces are here.
    private struct Transfer {
        let from: NodeID
        let height: UInt64
        let digest: Digest
        let size: Int
        var bytes: [UInt8]
        /// Monotonic milliseconds.
        let since: Int64
        var heardAt: Int64
        var askedAt: Int64
        var restarts = 0

        var next: UInt32 { UInt32(bytes.count / SnapshotPiece.byteLimit) }
    }

    enum Step: Equatable {
        case nothing
        /// Ask this node for that piece.
        case ask(NodeID, digest: Digest, index: UInt32)
        /// All pieces are here and are what was announced.
        case complete([UInt8])
        /// What came is not what was announced.
        case falsehood
    }

    private var asked: (node: NodeID, at: Int64)?
    private var avoided: [NodeID: Int64] = [:]
    private var transfer: Transfer?

    /// Whether a snapshot is on its way.
    var isTransferring: Bool { transfer != nil }

    /// Bytes of it that are here.
    var bytes: Int { transfer?.bytes.count ?? 0 }

    /// Something came that this node lacked.
    mutating func progressed() { asked = nil }

    /// `node` sent what can't be.
    mutating func distrust(_ node: NodeID, at now: Int64) {
        avoided[node] = now + Self.falsehoodPause
        if asked?.node == node { asked = nil }
        if transfer?.from == node { transfer = nil }
    }

    /// One of `nodes` to be asked now; one that gave no answer only if there is no other.
    mutating func choose(_ nodes: [NodeID], at now: Int64, _ random: inout SplitMix64) -> NodeID? {
        if let asked, now - asked.at >= Self.patience { avoid(asked.node, until: now + Self.silencePause) }
        avoided = avoided.filter { $0.value > now }
        let trusted = nodes.filter { avoided[$0] == nil }
        let choice = trusted.isEmpty ? nodes : trusted
        guard !choice.isEmpty else { return nil }
        let node = choice[Int(random.next(below: UInt64(choice.count)))]
        asked = (node, now)
        return node
    }

    private mutating func avoid(_ node: NodeID, until end: Int64) { avoided[node] = max(avoided[node] ?? 0, end) }

    mutating func asks(_ node: NodeID, at now: Int64) { asked = (node, now) }

    // MARK: Snapshots

    /// Takes a piece of a snapshot that stands above `height`. Whatever nobody asked for is passed over.
    mutating func take(_ piece: SnapshotPiece, from node: NodeID, above height: UInt64, at now: Int64) -> Step {
        if piece.index == 0, transfer?.digest != piece.digest {
            guard begin(piece, from: node, above: height, at: now) else { return .nothing }
        } else {
            guard var current = transfer, current.from == node, current.digest == piece.digest,
                current.next == piece.index, current.size == Int(piece.size), current.bytes.count < current.size
            else { return .nothing }
            current.bytes += piece.bytes
            current.heardAt = now
            transfer = current
        }
        guard var current = transfer, current.restarts <= Self.restartLimit else { return .falsehood }
        guard current.bytes.count == current.size else {
            current.askedAt = now
            transfer = current
            return .ask(node, digest: current.digest, index: current.next)
        }
        transfer = nil
        return CertifiedSnapshot.digest(of: current.bytes) == current.digest ? .complete(current.bytes) : .falsehood
    }

    /// A first piece is welcome from the node that was asked for blocks, and from one whose snapshot has given way to a newer one.
    private mutating func begin(
        _ piece: SnapshotPiece, from node: NodeID, above height: UInt64, at now: Int64
    ) -> Bool {
        guard piece.height > height, Int(piece.size) <= CertifiedSnapshot.sizeLimit else { return false }
        if let transfer {
            guard transfer.from == node, piece.height > transfer.height else { return false }
        } else {
            guard asked?.node == node else { return false }
        }
        transfer = Transfer(
            from: node, height: piece.height, digest: piece.digest, size: Int(piece.size), bytes: piece.bytes,
            since: transfer?.since ?? now, heardAt: now, askedAt: now,
            restarts: transfer.map { $0.restarts + 1 } ?? 0)
        asked = nil
        return true
    }

    /// Gives up a snapshot that is not needed any more or whose sender is silent, or asks again for what may be lost.
    mutating func tick(height: UInt64, at now: Int64) -> Step {
        guard var current = transfer else { return .nothing }
        if current.height <= height {
            transfer = nil
            return .nothing
        }
        if now - current.heardAt > Self.piecePatience || now - current.since > Self.transferPatience {
            avoid(current.from, until: now + Self.falsehoodPause)
            transfer = nil
            return .nothing
        }
        guard now - current.askedAt >= Self.repetition else { return .nothing }
        current.askedAt = now
        transfer = current
        return .ask(current.from, digest: current.digest, index: current.next)
    }
}
