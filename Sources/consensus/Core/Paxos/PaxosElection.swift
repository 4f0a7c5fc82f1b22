public import Contracts
import Machine

/// The leader of each term is decided by one instance of single-decree Paxos (Lamport, "Paxos Made Simple", 2001): the
/// value is a node. Whoever finds the site without a leader proposes itself for the next term, or completes what others
/// began in this one.
///
/// A decided leader keeps its term by a lease (Gray and Cheriton, "Leases", 1989). Whoever accepts or renews grants it for
/// ``timeout`` milliseconds of its own clock, and until then takes part in no other node's ballot; the leader counts three
/// quarters of that from when it asked. So while clocks run within a tenth of true, there is no moment with two nodes
/// that take themselves for leader. A node that has just started may have granted a lease that it forgot, and waits one
/// out.
///
/// Two proposers can outbid each other for ever (section 2.4 there). Here an acceptor leaves whom it promised a heartbeat
/// to finish, and whoever was refused by too many waits for a time drawn at random, from a range that doubles with
/// each failure; so sooner or later one is alone.
public struct PaxosElection: Election {
    public static let name = "paxos"
    public static let guarantee = ElectionGuarantee(
        proof: .votes, oneLeaderATerm: true, oneLeaderAtATime: true, timeoutsToRecover: 10)
    static let renewalTimer = ElectionTimer("renewal")
    static let leaseTimer = ElectionTimer("lease")

    enum Role: Equatable {
        case follower
        /// Phase 1. The own promise is given last, with that of a quorum in sight: who can't reach one changes nothing.
        case preparing(term: UInt64, Ballot, promises: [NodeID: Acceptance?], refusals: Set<NodeID>)
        /// Phase 2, since a moment of the own clock.
        case accepting(term: UInt64, Acceptance, voices: [NodeID: QuorumCertificate.Voice], since: Int64)
    }

    /// A promise by the clock: until then no other node is helped to lead. Nobody holds the one that may have been
    /// forgotten in a restart.
    struct Lease: Equatable {
        var holder: NodeID?
        var until: Int64
    }

    /// While this node leads.
    struct Reign: Equatable {
        /// Until when it may take itself for leader.
        var until: Int64
        /// The newest renewal's. They begin anywhere: an answer to one of an earlier life must be none to this one's.
        var number: UInt64
        var hasShownProof = false
        /// When renewals were asked for, and who has granted them.
        var asked: [UInt64: (at: Int64, granted: Set<NodeID>)] = [:]

        static func == (a: Self, b: Self) -> Bool { a.until == b.until && a.number == b.number }
    }

    let own: NodeID
    let heartbeat: Int64
    let timeout: Int64
    let checks: ElectionChecks
    var patience: Patience

    var record = PaxosRecord()
    var head: SiteHead?
    var role = Role.follower
    var lease: Lease?
    var reign: Reign?
    /// What the record's term decided, as far as shown.
    var winner: NodeID?
    /// A ``QuorumCertificate`` of that; checked.
    var certificate: [UInt8]?
    /// Whom this node acknowledges; nil or ``winner``.
    var leader: NodeID?
    var failed = Failures()
    var disgrace = Disgrace()
    var distrust = Distrust()
    /// The highest ballot that a refusal named in the record's term.
    var outbid: UInt64 = 0
    /// When this node last promised a proposer in the record's term to take part, or began to propose itself.
    var engagedAt: Int64?
    /// Leaders that were acknowledged, told that they lead no more, or asked for proof.
    var answered = Answered()
    /// Attempts in a row that decided nothing.
    var failures = 0
    let isRestarted: Bool

    var effects: [ElectionEffect] = []

    public init(_ configuration: ElectionConfiguration, stored: [UInt8]?) throws {
        own = configuration.own
        heartbeat = configuration.heartbeat
        timeout = configuration.timeout
        checks = configuration.checks
        patience = Patience(seed: configuration.seed)
        isRestarted = stored != nil
        if let stored { record = try PaxosRecord(encoded: stored) }
    }

    public var leadership: Leadership {
        Leadership(
            engine: Self.name, term: record.term, leader: leader, certificate: leader == nil ? nil : certificate)
    }

    public var progress: String {
        guard let head else { return "waiting for a head" }
        guard isMember else { return "this node is no member and only listens" }
        return switch role {
        case .follower where reign != nil: "leading in term \(record.term)"
        case .follower where leader != nil: "following in term \(record.term)"
        case .follower where failed.areEnough:
            "no longer acknowledging the leader of term \(record.term), which failed"
        case .follower: "waiting for a leader, term \(record.term)"
        case .preparing(let term, let ballot, let promises, _):
            "preparing ballot \(ballot.number) of term \(term): \(promises.count) others of the \(head.quorum) needed"
        case .accepting(let term, let acceptance, let voices, _):
            "deciding ballot \(acceptance.ballot.number) of term \(term): \(voices.count) of the \(head.quorum) needed"
        }
    }

    public mutating func step(_ event: ElectionEvent) -> [ElectionEffect] {
        let before = leadership
        let now = event.now
        if let reign, now >= reign.until { stepDown("its lease is over", now: now) }
        switch event.kind {
        case .head(let head): take(head, now: now)
        case .timer(Patience.timer): electionTimerFired(now: now)
        case .timer(Self.renewalTimer): renew(now: now)
        case .timer, .answer: break
        case .blame(let blame): take(blame, now: now)
        case .message(let message): take(message, now: now)
        }
        if leadership != before { effects.append(.leadershipChanged(leadership)) }
        defer { effects = [] }
        return effects
    }

    public static func flaw(of leadership: Leadership, at head: SiteHead, _ checks: ElectionChecks) -> String? {
        QuorumCertificate.flaw(of: leadership, engine: name, at: head, checks) { statement in
            guard case .accept(let term, let acceptance) = try PaxosMessage(encoded: statement) else { return nil }
            return (term, acceptance.leader)
        }
    }

    // MARK: - What the chain says

    private mutating func take(_ newHead: SiteHead, now: Int64) {
        let old = head
        head = newHead
        // The least that a lease granted before the restart can still last.
        if old == nil, isRestarted { lease = Lease(holder: nil, until: now + timeout) }
        if record.genesis != newHead.genesis {
            // Whatever was promised before was promised to another site.
            record = PaxosRecord()
            record.genesis = newHead.genesis
            record.term = newHead.termFloor
            effects.append(.persist(record.encoded))
            enter(record.term, now: now)
        } else if record.term < newHead.termFloor {
            let led = reign != nil
            enter(newHead.termFloor, now: now)
            // Who has led so far may go on if the new members want it, without a pause.
            if led, isMember { armElectionTimer(after: 0, now: now) }
        } else if old == nil {
            enter(record.term, now: now)
        } else if !isMember, reign != nil {
            stepDown("it is no member any more", now: now)
        }
    }

    private mutating func take(_ blame: Blame, now: Int64) {
        guard blame.term == record.term, blame.leader == winner, failed.add(blame.height) else { return }
        effects.append(.count(.disowned))
        effects.append(
            .log(
                .notice, "\(failed.text(of: blame.leader)) and is not acknowledged for the rest of term \(record.term)")
        )
        disgrace.fall(on: blame.leader, until: now + 3 * timeout)
        if blame.leader == own, reign != nil { return stepDown("its own planner blames it", now: now) }
        forgetLeader()
        // Its lease holds to its end all the same: nobody else may think that it leads before this one knows.
        armElectionTimer(after: max(0, (lease?.until ?? now) - now) + patience.drawn(0...heartbeat), now: now)
    }

    // MARK: - Terms

    var isMember: Bool { head?.has(own) ?? false }

    /// Takes up a term that is undecided as far as this node knows. Durable at once, and what was promised in the term
    /// before is history: who names it is refused.
    mutating func enter(_ term: UInt64, now: Int64) {
        if term != record.term {
            record.term = term
            record.promised = nil
            record.accepted = nil
            effects.append(.persist(record.encoded))
        }
        if reign != nil { endReign() }
        winner = nil
        certificate = nil
        outbid = 0
        engagedAt = nil
        failed.forget()
        answered.forgetAll()
        role = .follower
        forgetLeader()
        armElectionTimer(now: now)
    }

    mutating func forgetLeader() {
        leader = nil
        role = .follower
    }

    func isBound(now: Int64, but node: NodeID) -> Bool {
        guard let lease else { return false }
        return now < lease.until && lease.holder != node
    }

    mutating func grantLease(to node: NodeID, now: Int64) { lease = Lease(holder: node, until: now + timeout) }

    // MARK: - Timers and messages out

    mutating func armElectionTimer(now: Int64) {
        let base = timeout << min(failures, 3)
        armElectionTimer(after: patience.drawn(base...(base + base / 2)), now: now)
    }

    mutating func armElectionTimer(after delay: Int64, now: Int64) { effects.append(patience.begin(delay, now: now)) }

    mutating func send(_ message: PaxosMessage, to node: NodeID? = nil) {
        effects.append(.send(to: node, message.encoded))
        effects.append(.count(.sent(type: message.type)))
    }

    mutating func refuse(_ reason: String) { effects.append(.count(.refused(reason: reason))) }
}
