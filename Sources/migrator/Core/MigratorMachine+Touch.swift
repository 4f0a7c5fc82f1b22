import Contracts

/// Whether this device is in touch with the site, as far as planner has said.
struct Touch: Sendable {
    var startedAt: Int64 = 0
    /// Monotonic milliseconds; nil before planner has said.
    private(set) var until: Int64?
    /// Says more than what has been seen of placements allows to rely on.
    private var ahead: Commit?

    /// - Parameter seen: the height of the newest placement seen.
    mutating func take(_ commit: Commit, seen: UInt64?) {
        guard commit.until != nil, commit.placement != nil else { return }
        ahead = commit
        if let seen { see(seen) }
    }

    /// A block may have given an app away. That it was committed counts only once its placement is known here.
    mutating func see(_ height: UInt64) {
        guard let commit = ahead, let placement = commit.placement, placement <= height else { return }
        ahead = nil
        until = max(until ?? .min, commit.until ?? .min)
    }

    func holds(at now: Int64) -> Bool { until.map { now < $0 } ?? false }

    /// When it is over.
    var end: Int64 { until ?? startedAt + Wait.touch }
}

/// What a device that is out of touch with the site does: it begins nothing new, and freezes apps that ask for it before the
/// site can have placed them elsewhere.
extension MigratorMachine {
    var isInTouch: Bool { touch.holds(at: now) }

    /// Whether an app with this policy may be started, thawed or restored now.
    func mayRun(_ policy: IsolationPolicy) -> Bool { policy == .run || isInTouch }

    func mustFreeze(_ copy: Copy) -> Bool {
        copy.isolated == .freeze && copy.state == .running && now >= touch.end
    }

    /// What hasn't run here yet is begun in touch only: the placement may be an old one.
    func mayStart(_ placed: PlacedApp) -> Bool {
        isInTouch || placed.running && placed.specification.isolated == .run
    }

    func mayGoOnStarting(_ placed: PlacedApp) -> Bool { mayStart(placed) || now < touch.end }

    /// Whether the chain has given the app to another node, or another incarnation of it to this one.
    func isSuperseded(_ copy: Copy, _ placed: PlacedApp, _ here: NodeID) -> Bool {
        let isOwn = placed.node == here && placed.incarnation == copy.incarnation
        let isComing = placed.move?.to == here && placed.move?.incarnation == copy.incarnation
        return !isOwn && !isComing
    }

    /// Whether a copy of the app runs here that must not.
    func mustStop(_ app: String, _ placed: PlacedApp?, _ here: NodeID) -> Bool {
        liveCopies(app).contains { copy in
            guard copy.state == .running else { return false }
            if let placed, isSuperseded(copy, placed, here) { return true }
            return mustFreeze(copy) || isUnconfirmed(copy)
        }
    }

    /// Whether it is the copy of a handoff that the chain hasn't confirmed in time.
    private func isUnconfirmed(_ copy: Copy) -> Bool {
        journal.incoming.contains { entry in
            entry.key == HandoffKey(app: copy.app, incarnation: copy.incarnation) && now >= entry.freezeAt
                && (entry.phase == .restoring || entry.phase == .restored)
        }
    }

    /// As long as planner is silent after a start, only the journal and the copies themselves speak. A copy whose checkpoint is
    /// being written is left to that.
    mutating func freezeWithoutPlacement() {
        for app in (copies ?? [:]).keys.sorted() where busy[app] == nil {
            if let retry = retries[app], retry.at > now, retry.isOfStop { continue }
            if journal.outgoing.contains(where: { $0.app == app && $0.phase == .checkpointing }) { continue }
            let running = liveCopies(app).first { $0.state == .running && (mustFreeze($0) || isUnconfirmed($0)) }
            if let running { perform(app, .freeze(running)) }
        }
    }

    /// When a running copy is to be frozen unless planner says otherwise; nil if none is.
    var touchEnd: Int64? {
        let isConcerned = (copies ?? [:]).values.contains {
            $0.contains { $0.isolated == .freeze && $0.state == .running }
        }
        return isConcerned ? touch.end : nil
    }
}

extension Operation {
    var isStop: Bool {
        switch self {
        case .freeze, .setAside: true
        default: false
        }
    }

    /// Whether it ends within moments, so that others can wait for it.
    var isBrief: Bool {
        switch self {
        case .freeze, .setAside, .thaw, .restart: true
        default: false
        }
    }
}
