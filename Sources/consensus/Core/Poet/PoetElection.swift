public import Contracts

/// Proof of elapsed time, with a verifiable random function in the place of trusted hardware.
///
/// For each height every node draws with its own key from the chain's seed (RFC 9381), and the draw says how long it
/// has to wait (``WaitingTime``). Whose time is over claims the height by showing the draw; of several claims the one
/// that waited least counts. A node can have but one draw for a height and can't know it before the block before, so
/// nobody can choose a short wait, and nobody can claim before it is over: each verifier starts its own clock when it
/// learns of the block before, and believes no claim that comes more than ``tolerance`` too soon.
///
/// The term is the height to be built. Two nodes can acknowledge different leaders of it until the better claim has
/// reached both. A leader that is silent, or that the planner blames, is passed over. A member draws from the second
/// block after it joined: before, whoever built those blocks could have suited its key to the seed.
///
/// What a node can still do is to keep a good draw to itself; the next best leads then.
public struct PoetElection: Election {
    public static let name = "poet"
    public static let guarantee = ElectionGuarantee(
        proof: .draw, oneLeaderATerm: false, oneLeaderAtATime: false, timeoutsToRecover: 10)
    static let claimTimer = ElectionTimer("claim")
    static let watchTimer = ElectionTimer("watch")

    /// What a node has shown for the running height.
    struct Claim: Equatable {
        var proof: VRFProof
        /// Milliseconds from when a node learns of the block before.
        var wait: Int64
        /// When it was last heard; nil if its draw is known, but its time not over.
        var heardAt: Int64?
    }

    let own: NodeID
    let heartbeat: Int64
    let timeout: Int64
    let checks: ElectionChecks

    var head: SiteHead?
    /// When this node learned of ``head``.
    var began: Int64 = 0
    /// By node: the draws shown for the height to be built, this node's own among them.
    var claims: [NodeID: Claim] = [:]
    /// Those that failed to build it.
    var blamed: Set<NodeID> = []
    var leader: NodeID?
    var distrust = Distrust()
    /// Whether gossip's last draw was good; said once when that changes.
    var drawsWell = true

    var effects: [ElectionEffect] = []

    /// Nothing of it has to survive a crash: a draw is the same whenever it is made.
    public init(_ configuration: ElectionConfiguration, stored: [UInt8]?) throws {
        own = configuration.own
        heartbeat = configuration.heartbeat
        timeout = configuration.timeout
        checks = configuration.checks
    }

    /// Milliseconds by which a claim may come too soon: for clocks, and for learning of a block sooner or later.
    var tolerance: Int64 { heartbeat / 4 }

    public var leadership: Leadership {
        Leadership(
            engine: Self.name, term: target, leader: leader, certificate: leader.flatMap { claims[$0]?.proof.bytes })
    }

    public var progress: String {
        guard let head else { return "waiting for a head" }
        guard head.has(own) else { return "this node is no member and only listens" }
        guard let claim = claims[own] else {
            return Self.isEligible(own, at: head)
                ? "drawing for height \(target)" : "joined too recently to draw for height \(target)"
        }
        return switch leader {
        case own: "leading at height \(target)"
        case nil: "waiting \(claim.wait) ms with the draw for height \(target)"
        default: "following at height \(target)"
        }
    }

    public mutating func step(_ event: ElectionEvent) -> [ElectionEffect] {
        let before = leadership
        let now = event.now
        switch event.kind {
        case .head(let head): take(head, now: now)
        case .timer(Self.claimTimer), .timer(Self.watchTimer): watch(now: now)
        case .timer: break
        case .blame(let blame): take(blame, now: now)
        case .message(let message): take(message, now: now)
        case .answer(.draw(let alpha), .drawn(let proof)?): drawn(proof, for: alpha, now: now)
        case .answer: break
        }
        if leadership != before { effects.append(.leadershipChanged(leadership)) }
        defer { effects = [] }
        return effects
    }

    /// How long the proof makes its node wait; what it proves of time, every node's own clock must say.
    static func wait(
        _ node: NodeID, _ proof: VRFProof, at head: SiteHead, _ checks: ElectionChecks, heartbeat: Int64
    ) -> Int64? {
        let alpha = Draw.alpha(genesis: head.genesis, height: head.height + 1, seed: head.seed)
        guard let voter = head.voter(node), let draw = checks.draws(voter.vrf, proof, alpha) else { return nil }
        let drawing = head.members.count { isEligible($0.id, at: head) }
        // The shortest of the waits is a heartbeat in the mean, however many there are.
        return WaitingTime.milliseconds(of: draw, mean: heartbeat * Int64(drawing))
    }

    static func isEligible(_ node: NodeID, at head: SiteHead) -> Bool {
        guard let voter = head.voter(node) else { return false }
        return voter.since == 0 || head.height + 1 >= voter.since + 2
    }

    public static func flaw(of leadership: Leadership, at head: SiteHead, _ checks: ElectionChecks) -> String? {
        guard leadership.term == head.height + 1 else {
            return "it is for height \(leadership.term), and the next is \(head.height + 1)"
        }
        guard let leader = leadership.leader, isEligible(leader, at: head) else {
            return "nobody that draws for this height is named"
        }
        guard let proof = VRFProof(leadership.certificate?.bytes ?? []),
            wait(leader, proof, at: head, checks, heartbeat: 1) != nil
        else { return "the draw is not \(leader.short)'s for this height" }
        return nil
    }

    public static func text(of body: [UInt8]) -> String {
        guard case .claim(let height, let proof)? = try? PoetMessage(encoded: body) else {
            return "\(body.count) bytes that say nothing"
        }
        return "my time for height \(height) is over: here is draw \(proof.short)"
    }
}
