import Contracts

/// Whether a node may run an app, and whether two nodes can restore each other's apps. The one place that answers: what the
/// strategies plan, what a submission may wish and what people are told must be the same.
///
/// It is asked when an app gets a node or another one. What runs stays where it is, whatever its node says of itself later.
enum Feasibility {
    /// Why a node may not run an app.
    enum Obstacle: Equatable, CustomStringConvertible {
        /// A constraint, and what the node has instead; nil if it has no such label.
        case constraint(PlacementConstraint, found: String?)
        /// A device that the node doesn't offer.
        case device(String)
        /// A node, by its name, that has the app's volumes.
        case volumes(on: String)

        /// In words, beginning with "it" or "its".
        var description: String {
            switch self {
            case .volumes(let name): return "its volumes are on \(name)"
            case .device(let path): return "it doesn't offer \(path)"
            case .constraint(let constraint, let found):
                // After an equal value that was not wanted there is no more to say.
                let wanted = constraint.isEqual ? ", not \(shown(constraint.value))" : ""
                switch constraint.subject {
                case .hostname: return "its name is \(shown(found ?? ""))\(wanted)"
                case .architecture: return "it is \(shown(found ?? ""))\(wanted)"
                case .label(let key):
                    guard let found else { return "it has no label \(key)" }
                    return "its label \(key) is \(shown(found))\(wanted)"
                }
            }
        }

        private func shown(_ value: String) -> String {
            let plain = String(value.prefix(40).map { $0.isNewline ? " " : $0 })
            return plain.isEmpty ? "empty" : plain
        }
    }

    /// Whether any node may run the app: what most apps are, and for which nothing else need be asked.
    static func isFree(_ app: AppSpecification) -> Bool { app.constraints.isEmpty && app.devices.isEmpty }

    /// What keeps the node that the site calls `name` from running the app, first of all; nil if it may.
    static func obstacle(to app: AppSpecification, on name: String, _ facts: Facts) -> Obstacle? {
        for constraint in app.constraints {
            let found: String? =
                switch constraint.subject {
                case .hostname: name
                case .architecture: facts.architecture
                case .label(let key): facts.labels[key]
                }
            // By bytes: which texts Swift takes for equal depends on a version of Unicode.
            let isEqual = found.map { $0.utf8.elementsEqual(constraint.value.utf8) } ?? false
            if isEqual != constraint.isEqual { return .constraint(constraint, found: found) }
        }
        for device in app.devices where !facts.devices.contains(device.source) { return .device(device.source) }
        return nil
    }

    /// Nodes of one kind can restore each other's checkpoints.
    struct Kind: Hashable {
        private let architecture: String
        private let storageDriver: String
        private let pageSize: Int

        /// nil for a node that has no checkpoints: it takes part in no move.
        init?(_ facts: Facts) {
            guard facts.checkpoints else { return nil }
            architecture = facts.architecture
            storageDriver = facts.storageDriver
            pageSize = facts.pageSize
        }
    }

    /// Whether what runs on a node of the one can be restored on a node of the other.
    static func canRestore(_ source: Facts, _ target: Facts) -> Bool {
        guard let kind = Kind(source) else { return false }
        return kind == Kind(target)
    }
}

extension SiteState {
    /// What keeps a member from running the app; nil also while it has not reported what it is.
    func obstacle(to app: AppSpecification, on node: NodeID) -> Feasibility.Obstacle? {
        guard !Feasibility.isFree(app), let facts = nodes[node]?.report?.load.facts else { return nil }
        return Feasibility.obstacle(to: app, on: name(of: node), facts)
    }

    /// What keeps a member from being given a queued app. A running one may move away from its volumes' node: it takes them along.
    func placementObstacle(to app: AppRecord, on node: NodeID) -> Feasibility.Obstacle? {
        if let home = app.home, home != node { return .volumes(on: name(of: home)) }
        return app.mayRunAnywhere ? nil : obstacle(to: app.specification, on: node)
    }

    /// The members that can be given apps, and of these those that may run `app`.
    func candidates(for app: AppRecord) -> [NodeID] {
        members.map(\.id).filter { nodes[$0]?.isPresent == true && placementObstacle(to: app, on: $0) == nil }
    }

    /// Why nobody is given the queued app, where that is because no present node may run it; nil otherwise.
    func whyNowhere(_ app: AppRecord) -> String? {
        guard let home = app.home else { return whyNowhere(app.specification) }
        guard !app.isWaiting else { return nil }
        guard nodes[home]?.isPresent == true else { return "waits for \(name(of: home)), which has its volumes" }
        return obstacle(to: app.specification, on: home).map {
            "\(name(of: home)), which has its volumes, may not run it: \($0)"
        }
    }

    /// Why nobody runs the app, where that is because no present node may; nil otherwise, and without any present node.
    func whyNowhere(_ app: AppSpecification) -> String? {
        guard !Feasibility.isFree(app) else { return nil }
        let present = members.filter { nodes[$0.id]?.isPresent == true }.sorted { $0.name < $1.name }
        var reasons: [String] = []
        for member in present {
            guard let facts = nodes[member.id]?.report?.load.facts,
                let obstacle = Feasibility.obstacle(to: app, on: member.name, facts)
            else { return nil }
            if reasons.count < 4 { reasons.append("\(member.name): \(obstacle)") }
        }
        guard !present.isEmpty else { return nil }
        if present.count > reasons.count { reasons.append("and \(present.count - reasons.count) more") }
        return "no present device may run it: \(reasons.joined(separator: "; "))"
    }
}
