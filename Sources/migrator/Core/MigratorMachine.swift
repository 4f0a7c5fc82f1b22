import Contracts
import Machine

/// Brings this device's containers to what the newest committed placement says, and moves running apps away and in.
///
/// It looks at levels, not edges: after each event it compares placement, journal and the engine's copies for every
/// app and does the next thing that is missing. A crash therefore loses nothing but the knowledge whether the last
/// operation was done, and operations may be repeated.
///
/// What keeps an app from running twice: a source resumes only when it never asked for the restore, or when a
/// placement says that the app stays; a target restores only a move that its own placement shows, says `running`
/// only after that, and freezes what the chain hasn't confirmed before the chain may give the app back.
public struct MigratorMachine: StateMachine {
    public internal(set) var journal: Journal
    public internal(set) var placement: Placement?
    /// The height of the last line that was older than what has been acted upon; nil if the last one was not.
    public internal(set) var staleHeight: UInt64?
    /// By app; nil until the engine has answered.
    var copies: [String: [Copy]]?
    /// Apps whose copies are unknown since an operation whose end the engine didn't describe.
    var unknown: Set<String> = []
    /// At most one operation at a time for each app.
    var busy: [String: RunningOperation] = [:]
    var offers: [WaitingOffer] = []
    /// Sources that wait for their restore.
    var askers: [HandoffKey: [RequestID]] = [:]
    var observation = Observation()
    var retries: [String: Retry] = [:]
    /// Why an app waits to be tried again, for people.
    public internal(set) var delays: [String: String] = [:]
    /// The step in which an app's last operation ended.
    var touched: [String: UInt64] = [:]
    var restarts: [String: Restart] = [:]
    var posts: [HandoffKey: Post] = [:]
    /// Since when an app's copy is seen to have ended.
    var endedSince: [HandoffKey: Int64] = [:]
    /// Since when an app has copies here and no place in the site.
    var goneSince: [String: Int64] = [:]
    /// Apps that a reboot ended, not they themselves: started again whatever their restart policy says.
    var interrupted: Set<HandoffKey> {
        get { Set(journal.interrupted ?? []) }
        set {
            let keys = newValue.sorted { ($0.app, $0.incarnation) < ($1.app, $1.incarnation) }
            journal.interrupted = keys.isEmpty ? nil : keys
        }
    }
    var boot = ""
    var now: Int64 = 0
    var wallTime: Int64 = 0
    /// Counts steps: tells what was known before an observation began.
    var tick: UInt64 = 0
    var nextOperation: UInt64 = 1
    var wakeAt: Int64?
    var effects: [MigratorEffect] = []

    /// Leaves older copies running, by which simulations show that their judge notices it. A service doesn't.
    private(set) var ignoresIncarnations = false

    public init(journal: Journal) { self.journal = journal }

    package init(journal: Journal, ignoringIncarnations: Bool) {
        self.init(journal: journal)
        ignoresIncarnations = ignoringIncarnations
    }

    public mutating func step(_ event: MigratorEvent) -> [MigratorEffect] {
        now = event.now
        wallTime = event.wallTime
        tick += 1
        effects = []
        let before = journal
        take(event.kind)
        if let placement, copies != nil {
            for app in concernedApps(placement) { reconcile(app, placement) }
            answerOffers(placement)
        } else if copies != nil {
            freezeUnconfirmed()
        }
        observeIfDue()
        scheduleWake()
        // Nothing below may happen before what it follows from is durable.
        if journal != before { effects.insert(.persist(journal), at: 0) }
        return effects
    }

    private mutating func take(_ kind: MigratorEvent.Kind) {
        switch kind {
        case .started(let boot): start(boot)
        case .placement(let placement): take(placement)
        case .observed(let number, let found): take(observation: number, found)
        case .engineChanged: observation.isDue = true
        case .finished(let id, let outcome, let found): finish(id, outcome, found)
        case .offered(let request, let offer): offers.append(WaitingOffer(request, offer, until: now + Wait.offer))
        case .restoreAsked(let request, let key, let from, let digests): takeAsk(request, key, from, digests)
        case .timer: wakeAt = nil
        }
    }

    /// Another boot's clock can't be compared with this one's: what had a deadline has passed it. A boot here is the
    /// engine's: what it ran may have been ended with it.
    private mutating func start(_ boot: String) {
        self.boot = boot
        observation.isDue = true
        defer { observation.isAfterBoot = journal.isUnseen == true }
        guard journal.boot != boot else { return }
        let isFirst = journal.boot.isEmpty
        journal.boot = boot
        journal.learned = []
        for index in journal.outgoing.indices {
            journal.outgoing[index].askUntil = now
            journal.outgoing[index].measures.frozenAt = nil
            journal.outgoing[index].measures.phaseSince = now
        }
        for index in journal.incoming.indices {
            journal.incoming[index].freezeAt = now
            journal.incoming[index].measures.phaseSince = now
        }
        if !isFirst { journal.isUnseen = true }
    }

    private mutating func take(_ new: Placement) {
        guard new.height >= journal.height else {
            staleHeight = new.height
            return
        }
        staleHeight = nil
        journal.height = new.height
        placement = new
        let moves = new.apps.compactMap { app in
            app.move.map { order in
                LearnedMove(
                    key: HandoffKey(app: app.specification.name, incarnation: order.incarnation),
                    endsAt: now + order.deadline, length: order.deadline)
            }
        }
        let current = Set(moves.map(\.key))
        let known = Set(journal.learned.map(\.key))
        journal.learned.removeAll { !current.contains($0.key) }
        journal.learned += moves.filter { !known.contains($0.key) }
        forgetPosts(new)
    }

    /// In ascending order of name: what is placed, what is here and what the journal holds.
    private func concernedApps(_ placement: Placement) -> [String] {
        var names = Set(placement.apps.map(\.specification.name))
        names.formUnion((copies ?? [:]).keys)
        names.formUnion(journal.outgoing.map(\.app))
        names.formUnion(journal.incoming.map(\.key.app))
        return names.sorted()
    }

    private mutating func reconcile(_ app: String, _ placement: Placement) {
        let placed = placement.apps.first { $0.specification.name == app }
        if placed != nil { goneSince[app] = nil }
        cancelIfPointless(app, placed)
        guard busy[app] == nil, !unknown.contains(app) else { return }
        if let retry = retries[app], retry.at > now { return }
        if let index = journal.outgoing.firstIndex(where: { $0.app == app }) {
            reconcileOutgoing(index, placed, placement)
        } else if let index = journal.incoming.firstIndex(where: { $0.key.app == app }) {
            reconcileIncoming(index, placed, placement)
        } else if let placed, placed.node == placement.here {
            reconcileResident(placed, placement)
        } else {
            reconcileForeign(app, placed, placement)
        }
        if busy[app] == nil { removeAged(app) }
    }

    /// The app's containers that were not set aside.
    func liveCopies(_ app: String) -> [Copy] { (copies?[app] ?? []).filter { !$0.isSetAside } }

    /// Ends early what the chain no longer wants. It is decided anew when the operation's end is known.
    private mutating func cancelIfPointless(_ app: String, _ placed: PlacedApp?) {
        guard let here = placement?.here, let operation = busy[app]?.operation else { return }
        let isPointless =
            switch operation {
            case .start(let wanted, _): placed?.node != here || placed?.incarnation != wanted.incarnation
            case .prepare(let entry, _, _), .ship(let entry, _, _), .askRestore(let entry, _):
                decision(entry, placed, here: here) != .pending
            default: false
            }
        if isPointless { cancel(app) }
    }

    mutating func perform(_ app: String, _ operation: Operation) {
        let id = OperationID(nextOperation)
        nextOperation += 1
        busy[app] = RunningOperation(id: id, operation: operation, since: now)
        effects.append(.perform(id, operation))
    }

    mutating func cancel(_ app: String) {
        guard let running = busy[app], !running.isCancelled else { return }
        busy[app]?.isCancelled = true
        effects.append(.cancel(running.id))
    }
}

struct RunningOperation: Sendable {
    var id: OperationID
    var operation: Operation
    var since: Int64
    var isCancelled = false
}

/// How long things may wait, in milliseconds.
enum Wait {
    /// A source's offer, for this device's planner to show the same block.
    static let offer: Int64 = 3_000
    /// An app's copies here, for the app to turn up in the placement again.
    static let gone: Int64 = 3_000
    /// Between two looks at the engine when nothing happens.
    static let observation: Int64 = 10_000
    static let setAside: Int64 = 24 * 3_600 * 1_000
    static let firstRetry: Int64 = 200
    static let lastRetry: Int64 = 5_000
    static let firstRestart: Int64 = 1_000
    static let lastRestart: Int64 = 60_000
    /// An app that ran so long is started again at once when it ends.
    static let settled: Int64 = 10_000
    /// An end that is to be told to the chain: a device that is being switched off ends its apps, too.
    static let ended: Int64 = 3_000
}

/// When to try again what failed.
struct Retry: Sendable {
    var at: Int64
    var delay: Int64
}

/// How an app that ends is started again.
struct Restart: Sendable {
    var at: Int64
    var delay: Int64
    var lastStart: Int64?
}

/// When a receipt was last said, until the chain shows it.
struct Post: Sendable {
    var outcome: Receipt.Outcome
    var next: Int64
    var delay: Int64
}

struct WaitingOffer: Sendable {
    var request: RequestID
    var offer: Offer
    var until: Int64

    init(_ request: RequestID, _ offer: Offer, until: Int64) {
        self.request = request
        self.offer = offer
        self.until = until
    }
}

struct Observation: Sendable {
    /// Of the look that is under way.
    var number: UInt64 = 0
    var isUnderWay = false
    var isDue = false
    /// The engine is seen for the first time since the device was switched on.
    var isAfterBoot = false
    /// The step in which the look under way began.
    var begun: UInt64 = 0
    var next: Int64 = 0
}
