import Contracts
import MigratorCore

/// What the chain would decide about apps: a committed block a second, receipts and deadlines as planner folds them.
struct SimulatedChain {
    struct App {
        var specification: AppSpecification
        var node: NodeID
        var incarnation: UInt64 = 1
        /// Of the newest placement or move, whether it held or not: no number is given twice.
        var lastIncarnation: UInt64 = 1
        var isRunning = false
        var move: (order: MoveOrder, endsAt: Int64)?
        var isEnded = false
    }

    static let deadline: Int64 = 20_000

    let nodes: [NodeID]
    var apps: [String: App] = [:]
    var height: UInt64 = 1
    /// Of the newest block.
    var time: Int64 = 0
    var mempool: [(Receipt, NodeID)] = []
    var committedMoves = 0

    mutating func commit(now: Int64) {
        height += 1
        time = now
        for (receipt, sender) in mempool { take(receipt, sender) }
        mempool = []
        for name in apps.keys.sorted() where apps[name]!.move.map({ $0.endsAt <= now }) ?? false {
            apps[name]!.move = nil
        }
    }

    mutating func order(_ name: String, to node: NodeID) {
        guard let app = apps[name], app.isRunning, app.move == nil, app.node != node, !app.isEnded else { return }
        apps[name]!.lastIncarnation += 1
        let order = MoveOrder(
            to: node, incarnation: apps[name]!.lastIncarnation, height: height, deadline: Self.deadline)
        apps[name]!.move = (order, time + Self.deadline)
    }

    /// As if the app's node had been absent.
    mutating func place(_ name: String, anew node: NodeID) {
        guard apps[name]?.isEnded == false else { return }
        apps[name]!.node = node
        apps[name]!.lastIncarnation += 1
        apps[name]!.incarnation = apps[name]!.lastIncarnation
        apps[name]!.isRunning = false
        apps[name]!.move = nil
    }

    private mutating func take(_ receipt: Receipt, _ sender: NodeID) {
        guard var app = apps[receipt.app], !app.isEnded else { return }
        let isHolder = app.node == sender && app.incarnation == receipt.incarnation
        let ofMove = app.move?.order.incarnation == receipt.incarnation
        let isTarget = ofMove && app.move?.order.to == sender
        switch receipt.outcome {
        case .running where isHolder: app.isRunning = true
        case .running where isTarget:
            app.node = sender
            app.incarnation = receipt.incarnation
            app.move = nil
            committedMoves += 1
        case .refused where ofMove && (isTarget || app.node == sender): app.move = nil
        case .failed where isHolder && !app.isRunning:
            app.node = nodes[(nodes.firstIndex(of: sender)! + 1) % nodes.count]
            app.lastIncarnation += 1
            app.incarnation = app.lastIncarnation
        case .failed where isHolder, .completed where isHolder || isTarget: app.isEnded = true
        default: return
        }
        apps[receipt.app] = app
    }

    func placement(for node: NodeID) -> Placement {
        let placed = apps.keys.sorted().compactMap { name -> PlacedApp? in
            guard let app = apps[name], !app.isEnded else { return nil }
            return PlacedApp(
                specification: app.specification, node: app.node, incarnation: app.incarnation, running: app.isRunning,
                move: app.move.map { move in
                    var order = move.order
                    order.deadline = max(0, move.endsAt - time)
                    return order
                })
        }
        let members = nodes.enumerated().map {
            PlacedNode(id: $0.element, name: "pi\($0.offset + 1)", migratorAddress: "pi\($0.offset + 1):7701")
        }
        return Placement(height: height, here: node, nodes: members, apps: placed)
    }
}
