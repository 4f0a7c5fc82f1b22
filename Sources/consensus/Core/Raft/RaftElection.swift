public import Contracts
import Machine

/// The election half of Raft (Ongaro, "Consensus: Bridging Theory and Practice", 2014, section 3.4), with pre-vote
/// (9.6), check-quorum (6.2) and leader stickiness (4.2.3). There is no log: the chain is planner's.
///
/// Two things are Poise's own. A node votes for no candidate whose chain is more than ``heightSlack`` blocks behind
/// its own, as Raft's 3.6.1 does with the log; here it is no matter of safety, but keeps a node whose planner is
/// dead from leading. And a node that has seen a leader fail at two heights stops acknowledging it for the term.
///
/// A quorum is a majority of the head's members. If members differ between heads, two nodes could count different
/// majorities and a term have two leaders; the chain bears that.
public struct RaftElection: Election {
    public static let name = "raft"
    /// Blocks by which a candidate may be behind: heads reach nodes at different moments.
    static let heightSlack: UInt64 = 2
    /// Different heights at which a leader must have failed within its term.
    static let blamesToDisown = 2
    /// No site gets this far; terms above are made up.
    static let termLimit: UInt64 = 1 << 62
    /// How far a message may be ahead, so that one lie cannot use up the terms.
    static let termLeapLimit: UInt64 = 1 << 32
    static let electionTimer = ElectionTimer("election")
    static let heartbeatTimer = ElectionTimer("heartbeat")

    enum Role: Equatable {
        case follower
        /// Asks who would vote for it. The record is still untouched.
        case preCandidate(grants: Set<NodeID>)
        case candidate(votes: Set<NodeID>)
        /// `heard`: who acknowledged it since the last check of its quorum, `beats` heartbeats ago.
        case leader(heard: Set<NodeID>, beats: Int64)
    }

    let own: NodeID
    let heartbeat: Int64
    let timeout: Int64
    var generator: SplitMix64

    var record = RaftRecord()
    var head: SiteHead?
    var role = Role.follower
    /// Who won the record's term, as far as known, whether or not it is acknowledged now.
    var winner: NodeID?
    /// Whom this node acknowledges; nil or ``winner``.
    var leader: NodeID?
    /// When ``leader`` last gave a sign of life.
    var leaderHeard: Int64 = 0
    /// Heights at which ``winner`` failed.
    var blamed: Set<UInt64> = []
    /// When this node last acknowledged a heartbeat of its own term.
    var acknowledged: Int64?
    /// When it last told a leader of the past that it is one.
    var corrected: Int64?

    /// When the election timer is due.
    var deadline: Int64 = 0
    /// Whether the timer was late and got a second chance.
    var excused = false
    /// Elections in a row that got answers and yet no leader: the network may be slower than the timeout.
    var failures = 0
    var answered = false

    var effects: [ElectionEffect] = []

    public init(_ configuration: ElectionConfiguration, stored: [UInt8]?) throws {
        own = configuration.own
        heartbeat = configuration.heartbeat
        timeout = configuration.timeout
        generator = SplitMix64(seed: configuration.seed)
        if let stored { record = try RaftRecord(encoded: stored) }
    }

    public var leadership: Leadership { Leadership(engine: Self.name, term: record.term, leader: leader) }

    public var progress: String {
        guard let head else { return "waiting for a head" }
        guard isMember else { return "this node is no member and only listens" }
        return switch role {
        case .follower where leader != nil: "following in term \(record.term)"
        case .follower where isDisowned: "no longer acknowledging the leader of term \(record.term), which failed"
        case .follower: "waiting for a leader, term \(record.term)"
        case .preCandidate(let grants):
            "asking who would vote for it in term \(record.term + 1): \(grants.count) of the \(head.quorum) needed"
        case .candidate(let votes):
            "asking for votes in term \(record.term): \(votes.count) of the \(head.quorum) needed"
        case .leader: "leading in term \(record.term)"
        }
    }

    public mutating func step(_ event: ElectionEvent) -> [ElectionEffect] {
        let before = leadership
        switch event.kind {
        case .head(let head): take(head, now: event.now)
        case .timer(Self.electionTimer): electionTimerFired(now: event.now)
        case .timer(Self.heartbeatTimer): heartbeatTimerFired(now: event.now)
        case .timer: break
        case .blame(let blame): take(blame, now: event.now)
        case .message(let sender, let bytes): take(bytes, from: sender, now: event.now)
        }
        if leadership != before { effects.append(.leadershipChanged(leadership)) }
        defer { effects = [] }
        return effects
    }

    // MARK: - What the chain says

    private mutating func take(_ newHead: SiteHead, now: Int64) {
        let old = head
        head = newHead
        if old?.genesis != newHead.genesis {
            // Whoever led, led another site.
            winner = nil
            follow(nil, now: now)
        } else if case .leader = role, !isMember {
            follow(nil, now: now)
        } else if let leader, !newHead.has(leader) {
            follow(nil, now: now)
        }
    }

    private mutating func take(_ blame: Blame, now: Int64) {
        guard blame.term == record.term, blame.leader == winner, !isDisowned else { return }
        blamed.insert(blame.height)
        guard isDisowned else { return }
        effects.append(.count(.disowned))
        effects.append(
            .log(
                .notice,
                "\(blame.leader.short) failed to lead at heights \(blamed.sorted().map(String.init).joined(separator: ", "))"
                    + " and is not acknowledged for the rest of term \(record.term)"))
        follow(nil, now: now)
        // The others learn of the failure at about the same moment: spread out a little. A leader that failed
        // itself waits as long as anybody and leaves the others the start.
        if blame.leader != own { armElectionTimer(after: drawn(0...heartbeat), now: now) }
    }

    // MARK: - Roles

    var isMember: Bool { head?.has(own) ?? false }

    var isDisowned: Bool { blamed.count >= Self.blamesToDisown }

    /// Becomes a follower: of `leader`, or with nil of nobody yet.
    mutating func follow(_ leader: NodeID?, now: Int64) {
        if case .leader = role { effects.append(.cancelTimer(Self.heartbeatTimer)) }
        role = .follower
        self.leader = leader
        if leader != nil {
            winner = leader
            leaderHeard = now
            failures = 0
        }
        armElectionTimer(now: now)
    }

    /// Enters a higher term without a vote and, for now, without a leader. Durable at once: whatever is sent next
    /// may say so.
    mutating func advance(to term: UInt64, now: Int64) {
        record.term = term
        record.vote = nil
        winner = nil
        blamed = []
        effects.append(.persist(record.encoded))
        follow(nil, now: now)
    }

    // MARK: - Timers and messages out

    /// A fresh draw from t…2t, and wider after elections that failed though the others did answer.
    mutating func armElectionTimer(now: Int64) {
        let base = timeout << min(failures, 2)
        armElectionTimer(after: drawn(base...2 * base), now: now)
    }

    mutating func armElectionTimer(after delay: Int64, now: Int64) {
        deadline = now + delay
        excused = false
        effects.append(.setTimer(Self.electionTimer, afterMilliseconds: delay))
    }

    private mutating func drawn(_ range: ClosedRange<Int64>) -> Int64 {
        Int64(generator.next(in: Int(range.lowerBound)...Int(range.upperBound)))
    }

    mutating func send(_ message: RaftMessage, to node: NodeID? = nil) {
        effects.append(.send(to: node, message.encoded))
        effects.append(.count(.sent(type: message.type)))
    }

    mutating func refuse(_ reason: String) { effects.append(.count(.refused(reason: reason))) }
}
