import MigratorCore

// Operations in the log.

extension Operation {
    var app: String {
        switch self {
        case .start(let placed, _): placed.specification.name
        case .restart(let copy), .freeze(let copy), .thaw(let copy): copy.app
        case .setAside(let copy, _): copy.app
        case .remove(let app, _, _, _): app
        case .prepare(let entry, _, _), .checkpoint(let entry), .ship(let entry, _, _), .askRestore(let entry, _),
            .resume(let entry, _):
            entry.app
        case .restore(let entry): entry.key.app
        case .discard(let key): key.app
        }
    }

    var words: String {
        switch self {
        case .start(let placed, _): "start \(app)/\(placed.incarnation)"
        case .restart: "restart \(app)"
        case .freeze: "freeze \(app)"
        case .thaw: "thaw \(app)"
        case .setAside(let copy, _): "set aside \(app)/\(copy.incarnation)"
        case .remove: "remove \(app)"
        case .prepare(let entry, let peer, _): "prepare \(entry.key) for \(peer.name)"
        case .checkpoint(let entry): "checkpoint \(entry.key)"
        case .ship(let entry, let peer, _): "ship \(entry.key) to \(peer.name)"
        case .askRestore(let entry, let peer): "ask \(peer.name) to restore \(entry.key)"
        case .resume(let entry, let fromCheckpoint): "resume \(entry.key)\(fromCheckpoint ? "" : " without its memory")"
        case .restore(let entry): "restore \(entry.key)"
        case .discard(let key): "discard \(key)"
        }
    }
}

extension OperationOutcome {
    var words: String {
        switch self {
        case .done(let measures): measures.remark.isEmpty ? "done" : "done, but \(measures.remark)"
        case .delayed(let reason): "to be tried again: \(reason)"
        case .refused(let reason): "can't be: \(reason)"
        case .lost(let reason): "lost: \(reason)"
        case .incomplete(let reason): "incomplete: \(reason)"
        }
    }
}
