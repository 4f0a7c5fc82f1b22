public import Contracts
import Machine

/// The election half of Raft (Ongaro, "Consensus: Bridging Theory and Practice", 2014, section 3.4), with pre-vote
/// (9.6), check-quorum (6.2) and leader stickiness (4.2.3). There is no log: the chain is planner's.
///
/// Four things are Poise's own. A leader shows the votes it won by, and is acknowledged only where they were checked. A
/// node votes for no candidate whose chain is more than two blocks behind its own, as Raft's 3.6.1 does with
/// the log; here it is no matter of safety, but keeps a node whose planner is dead from leading. A node that has seen a
/// leader fail at two heights stops acknowledging it for the term. And a change of members ends all terms before it.
public struct RaftElection: Election {
    public static let name = "raft"
    public static let guarantee = ElectionGuarantee(
        proof: .votes, oneLeaderATerm: true, oneLeaderAtATime: false, timeoutsToRecover: 8)
    static let heartbeatTimer = ElectionTimer("heartbeat")

    enum Role: Equatable {
        case follower
        /// Asks who would vote for it. The record is still untouched.
        case preCandidate(grants: Set<NodeID>)
        /// At `height` of the chain when it stood.
        case candidate(votes: [NodeID: QuorumCertificate.Voice], height: UInt64)
        /// `heard`: who acknowledged it since the last check of its quorum, `beats` heartbeats ago.
        case leader(heard: Set<NodeID>, beats: Int64)
    }

    let own: NodeID
    let heartbeat: Int64
    let timeout: Int64
    let checks: ElectionChecks
    var patience: Patience

    var record = RaftRecord()
    var head: SiteHead?
    var role = Role.follower
    /// Who won the record's term, as far as shown, whether or not it is acknowledged now.
    var winner: NodeID?
    /// The votes by which ``winner`` won; checked. A ``QuorumCertificate``.
    var certificate: [UInt8]?
    /// Whom this node acknowledges; nil or ``winner``.
    var leader: NodeID?
    /// When ``leader`` last gave a sign of life.
    var leaderHeard: Int64 = 0
    /// Those of ``winner``.
    var failed = Failures()
    var disgrace = Disgrace()
    var distrust = Distrust()
    /// Leaders that were acknowledged, told that they lead no more, or asked for proof.
    var answered = Answered()

    /// Elections in a row that got answers and yet no leader: the network may be slower than the timeout.
    var failures = 0
    var wasAnswered = false

    var effects: [ElectionEffect] = []

    public init(_ configuration: ElectionConfiguration, stored: [UInt8]?) throws {
        own = configuration.own
        heartbeat = configuration.heartbeat
        timeout = configuration.timeout
        checks = configuration.checks
        patience = Patience(seed: configuration.seed)
        if let stored { record = try RaftRecord(encoded: stored) }
    }

    public var leadership: Leadership {
        Leadership(
            engine: Self.name, term: record.term, leader: leader, certificate: leader == nil ? nil : certificate)
    }

    public var progress: String {
        guard let head else { return "waiting for a head" }
        guard isMember else { return "this node is no member and only listens" }
        return switch role {
        case .follower where leader != nil: "following in term \(record.term)"
        case .follower where failed.areEnough:
            "no longer acknowledging the leader of term \(record.term), which failed"
        case .follower: "waiting for a leader, term \(record.term)"
        case .preCandidate(let grants):
            "asking who would vote for it in term \(record.term + 1): \(grants.count) of the \(head.quorum) needed"
        case .candidate(let votes, _):
            "asking for votes in term \(record.term): \(votes.count) of the \(head.quorum) needed"
        case .leader: "leading in term \(record.term)"
        }
    }

    public mutating func step(_ event: ElectionEvent) -> [ElectionEffect] {
        let before = leadership
        switch event.kind {
        case .head(let head): take(head, now: event.now)
        case .timer(Patience.timer): electionTimerFired(now: event.now)
        case .timer(Self.heartbeatTimer): heartbeatTimerFired(now: event.now)
        case .timer, .answer: break
        case .blame(let blame): take(blame, now: event.now)
        case .message(let message): take(message, now: event.now)
        }
        if leadership != before { effects.append(.leadershipChanged(leadership)) }
        defer { effects = [] }
        return effects
    }

    public static func flaw(of leadership: Leadership, at head: SiteHead, _ checks: ElectionChecks) -> String? {
        QuorumCertificate.flaw(of: leadership, engine: name, at: head, checks) { statement in
            guard case .vote(let term, let candidate, _) = try RaftMessage(encoded: statement) else { return nil }
            return (term, candidate)
        }
    }

    // MARK: - What the chain says

    private mutating func take(_ newHead: SiteHead, now: Int64) {
        let old = head
        head = newHead
        if record.genesis != newHead.genesis {
            // Whatever was promised before was promised to another site.
            record = RaftRecord()
            record.genesis = newHead.genesis
            advance(to: newHead.termFloor, now: now)
        } else if record.term < newHead.termFloor {
            let led = leader == own
            advance(to: newHead.termFloor, now: now)
            // Who has led so far may go on if the new members want it, without a pause.
            if led, isMember { armElectionTimer(after: 0, now: now) }
        } else if old == nil {
            follow(nil, now: now)
        } else if !isMember, case .leader = role {
            follow(nil, now: now)
        }
    }

    private mutating func take(_ blame: Blame, now: Int64) {
        guard blame.term == record.term, blame.leader == winner, failed.add(blame.height) else { return }
        effects.append(.count(.disowned))
        effects.append(
            .log(
                .notice, "\(failed.text(of: blame.leader)) and is not acknowledged for the rest of term \(record.term)")
        )
        disgrace.fall(on: blame.leader, until: now + 2 * timeout)
        follow(nil, now: now)
        // The others learn of the failure at about the same moment: spread out a little. A leader that failed
        // itself waits as long as anybody and leaves the others the start.
        if blame.leader != own { armElectionTimer(after: patience.drawn(0...heartbeat), now: now) }
    }

    // MARK: - Roles

    var isMember: Bool { head?.has(own) ?? false }

    /// Becomes a follower: of `leader`, or with nil of nobody yet.
    mutating func follow(_ leader: NodeID?, now: Int64) {
        if case .leader = role { effects.append(.cancelTimer(Self.heartbeatTimer)) }
        role = .follower
        self.leader = leader
        if leader != nil {
            leaderHeard = now
            failures = 0
        }
        armElectionTimer(now: now)
    }

    /// Enters a higher term without a vote and, for now, without a leader. Durable at once: whatever is sent next
    /// may say so.
    mutating func advance(to term: UInt64, now: Int64) {
        enter(term, vote: nil)
        follow(nil, now: now)
    }

    mutating func advance(towards term: UInt64, now: Int64) {
        guard let head else { return }
        advance(to: head.term(towards: term, from: record.term), now: now)
    }

    mutating func enter(_ term: UInt64, vote: NodeID?) {
        record.term = term
        record.vote = vote
        winner = nil
        certificate = nil
        failed.forget()
        answered.forgetAll()
        effects.append(.persist(record.encoded))
    }

    // MARK: - Timers and messages out

    /// A fresh draw from t…1½t, and wider after elections that failed though the others did answer.
    mutating func armElectionTimer(now: Int64) {
        let base = timeout << min(failures, 2)
        armElectionTimer(after: patience.drawn(base...(base + base / 2)), now: now)
    }

    mutating func armElectionTimer(after delay: Int64, now: Int64) { effects.append(patience.begin(delay, now: now)) }

    mutating func send(_ message: RaftMessage, to node: NodeID? = nil) {
        effects.append(.send(to: node, message.encoded))
        effects.append(.count(.sent(type: message.type)))
    }

    mutating func refuse(_ reason: String) { effects.append(.count(.refused(reason: reason))) }
}
