import Contracts
import MigratorCore

// What a transcript says.

extension Operation {
    /// The app it is about.
    var app: String {
        switch self {
        case .start(let placed, _): placed.specification.name
        case .restart(let copy), .freeze(let copy), .thaw(let copy), .setAside(let copy, _): copy.app
        case .remove(let app, _, _, _): app
        case .prepare(let entry, _, _), .checkpoint(let entry), .ship(let entry, _, _), .askRestore(let entry, _),
            .resume(let entry, _):
            entry.app
        case .restore(let entry): entry.key.app
        case .discard(let key): key.app
        }
    }

    /// The other device, if it is a step of a handoff.
    var peer: NodeID? {
        switch self {
        case .prepare(let entry, _, _), .checkpoint(let entry), .ship(let entry, _, _), .askRestore(let entry, _),
            .resume(let entry, _):
            entry.order.to
        case .restore(let entry): entry.from
        case .start, .restart, .freeze, .thaw, .setAside, .remove, .discard: nil
        }
    }

    var words: String {
        switch self {
        case .start(let placed, _): "starts \(app)/\(placed.incarnation)"
        case .restart(let copy): "starts \(copy.id) again"
        case .freeze(let copy): "freezes \(copy.id)"
        case .thaw(let copy): "thaws \(copy.id)"
        case .setAside(let copy, let ended): "sets \(copy.id) aside, \(ended ? "ended" : "frozen")"
        case .remove(_, let ids, _, _): "removes \(ids.joined(separator: ", "))"
        case .prepare(let entry, let peer, _): "offers \(entry.key) to \(peer.name)"
        case .checkpoint(let entry): "checkpoints \(entry.copy) for \(entry.key)"
        case .ship(let entry, let peer, _): "ships \(entry.key) to \(peer.name)"
        case .askRestore(let entry, let peer): "asks \(peer.name) to restore \(entry.key)"
        case .resume(let entry, let fromCheckpoint):
            "resumes \(entry.copy)\(fromCheckpoint ? "" : " without its memory")"
        case .restore(let entry): "restores \(entry.key)"
        case .discard(let key): "discards \(key)"
        }
    }
}

extension OperationOutcome {
    var words: String {
        switch self {
        case .done: "done"
        case .delayed(let reason): "delayed, \(reason)"
        case .refused(let reason): "refused, \(reason)"
        case .lost(let reason): "lost, \(reason)"
        case .incomplete(let reason): "incomplete, \(reason)"
        }
    }
}
