import Contracts
import MigratorCore

struct Due {
    var at: Int64
    var number: Int
    var what: SimulatedSite.What
}

/// A binary heap: the earliest first, and of equals the one pushed first.
struct DueQueue {
    private var heap: [Due] = []

    private func isBefore(_ a: Int, _ b: Int) -> Bool {
        (heap[a].at, heap[a].number) < (heap[b].at, heap[b].number)
    }

    mutating func push(_ due: Due) {
        heap.append(due)
        var child = heap.count - 1
        while child > 0, isBefore(child, (child - 1) / 2) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func pop(until end: Int64) -> Due? {
        guard let first = heap.first, first.at <= end else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            let children = [2 * parent + 1, 2 * parent + 2].filter { $0 < heap.count }
            guard let least = children.min(by: isBefore), isBefore(least, parent) else { return first }
            heap.swapAt(least, parent)
            parent = least
        }
    }
}

extension Operation {
    var outgoing: Outgoing? {
        switch self {
        case .prepare(let entry, _, _), .checkpoint(let entry), .ship(let entry, _, _), .askRestore(let entry, _),
            .resume(let entry, _):
            entry
        default: nil
        }
    }

    var app: String {
        switch self {
        case .start(let placed, _): placed.specification.name
        case .restart(let copy), .freeze(let copy), .thaw(let copy): copy.app
        case .setAside(let copy, _): copy.app
        case .remove(let app, _, _, _): app
        case .restore(let entry): entry.key.app
        case .discard(let key): key.app
        case .prepare, .checkpoint, .ship, .askRestore, .resume: outgoing?.app ?? ""
        }
    }
}

// What a failed run's trace says.

extension Operation {
    var words: String {
        "\(String(describing: self).prefix { $0 != "(" }) \(app)\(outgoing.map { " \($0.key)" } ?? "")"
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

extension PlacedApp {
    var words: String {
        "\(specification.name)/\(incarnation)@pi\(node.bytes[0])\(running ? "" : "?")"
            + (move.map { "->\($0.incarnation)@pi\($0.to.bytes[0])" } ?? "")
    }
}
