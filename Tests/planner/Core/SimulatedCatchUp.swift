import Contracts
import Identity

@testable import PlannerCore

/// How simulated nodes answer those that lack blocks, also those that should not be believed.
extension SimulatedSite {
    func answer(from height: UInt64, to node: NodeID, _ index: Int) -> Publication? {
        let disk = nodes[index].disk
        switch liars[index] {
        case .silence: return nil
        case .rubbish: return Publication(kind: .blocks, payload: [1, 2, 3], to: node)
        case .otherBytes, .forgedState, .endlessRestart: return answer(0, of: .zero, to: node, index)
        case nil: break
        }
        var heights: ClosedRange<UInt64>?
        if let first = disk.blocks.first, let last = disk.blocks.last { heights = first.height...last.height }
        let offer = CatchUpOffer(
            blocks: heights, blockBytes: 1_000, snapshot: disk.snapshot.map { ($0.height, $0.bytes.count) })
        if offer.prefersSnapshot(from: height) { return disk.snapshot?.piece(0)?.publication(to: node) }
        guard heights?.contains(height) == true else { return nil }
        return CommittedBlocks.publication(of: disk.blocks.filter { $0.height >= height }, to: node)
    }

    func answer(_ piece: UInt32, of digest: Digest, to node: NodeID, _ index: Int) -> Publication? {
        guard let snapshot = nodes[index].disk.snapshot else { return nil }
        switch liars[index] {
        case .silence, .rubbish: return nil
        case .otherBytes:
            var piece = snapshot.piece(0)
            piece?.bytes[0] ^= 1
            return piece?.publication(to: node)
        case .forgedState:
            guard var forged = try? CertifiedSnapshot(encoded: snapshot.bytes) else { return nil }
            forged.state[forged.state.count - 1] ^= 1
            return StoredSnapshot(forged).piece(0)?.publication(to: node)
        case .endlessRestart:
            // Always the first of many pieces, and of ever newer snapshots.
            let bytes = [UInt8](repeating: 0, count: SnapshotPiece.byteLimit)
            let endless = SnapshotPiece(
                height: UInt64(now) + 1_000, digest: Digest(of: bytes, domain: "\(now)"),
                size: UInt32(CertifiedSnapshot.sizeLimit), index: 0, bytes: bytes)
            return endless.publication(to: node)
        case nil: return snapshot.piece(digest == snapshot.digest ? piece : 0)?.publication(to: node)
        }
    }

    mutating func adopt(_ snapshot: StoredSnapshot, _ index: Int) {
        if snapshot.height <= nodes[index].disk.height { violations.append("\(nodes[index].name) went back") }
        do {
            let proven = try Chain(snapshot: snapshot.bytes, genesis: nodes[index].machine?.state?.genesis ?? .zero)
            if proven.state.head != chain[snapshot.height] {
                violations.append("\(nodes[index].name) took a state that is none of this chain")
            }
        } catch {
            violations.append("\(nodes[index].name) took a state that is not proven: \(error)")
        }
        nodes[index].disk.snapshot = snapshot
        nodes[index].disk.blocks = []
        nodes[index].disk.agreement = nil
        adoptions += 1
    }
}
