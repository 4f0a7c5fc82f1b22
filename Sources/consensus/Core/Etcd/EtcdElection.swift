public import Contracts
import Machine

/// For sites that run an etcd anyway: who holds the key `poise/<genesis>/leader` leads, and the revision that created
/// the entry is the term. Every node reads the key itself; etcd's word takes the place of a certificate.
///
/// Three rules keep two nodes from ever taking themselves for leader at once, whatever happens to answers, as long as
/// all clocks run within a tenth of true. What was read counts for one timeout from when it was *asked* for. An entry
/// counts only ``settling`` after it was first seen, by its holder too: by then whoever held the key before, and lost it
/// in whatever way, can't count on a read any more. And a holder steps down before its lease can have expired.
/// Only the last one trusts etcd's clock.
public struct EtcdElection: Election {
    public static let name = "etcd"
    /// The time to recover holds for timeouts of a second and more: etcd counts leases in whole seconds, two at least.
    public static let guarantee = ElectionGuarantee(
        proof: .lookedUp, oneLeaderATerm: true, oneLeaderAtATime: true, timeoutsToRecover: 10)
    static let beatTimer = ElectionTimer("beat")
    static let wakeTimer = ElectionTimer("wake")

    /// What the key held when it was last read.
    struct Sight: Equatable {
        /// nil: there was no such key.
        var entry: StoreEntry?
        /// When the read was asked for.
        var asked: Int64
        /// When this entry was first seen.
        var since: Int64
    }

    /// The lease to which this node's own entry is bound.
    struct Holding: Equatable {
        var lease: Int64
        /// When this node steps down unless the lease is kept alive: ¾ of it after that was last asked for.
        var until: Int64
    }

    /// A lease that nothing is bound to yet.
    struct Grant: Equatable {
        var lease: Int64
        var seconds: Int64
        var asked: Int64
    }

    let own: NodeID
    let heartbeat: Int64
    let timeout: Int64
    var generator: SplitMix64

    var now: Int64 = 0
    var head: SiteHead?
    var sight: Sight?
    var holding: Holding?
    var grant: Grant?
    /// The one call whose answer is waited for.
    var pending: (call: StoreCall, asked: Int64)?
    /// Differs from life to life, so that an answer to an earlier life is none to this one.
    var number: UInt64
    var readDue = false
    var keepAliveDue = false
    /// Leases that are of no use any more.
    var leavings: [Int64] = []
    var campaignAt: Int64?
    var removeAt: Int64?
    /// This node doesn't campaign before: it has failed as a leader.
    var restUntil: Int64 = 0
    /// The revision of the newest entry seen.
    var term: UInt64 = 0
    /// Those of the leader of ``term``.
    var failed = Failures()
    /// Entries of others that this node removed, by its members. A node that is far behind takes new members for
    /// strangers, and must not depose them for ever.
    var removals = 0
    /// The revision of the entry that was last complained about.
    var complainedOf: UInt64?
    /// Whom this node acknowledges.
    var leader: NodeID?

    var effects: [ElectionEffect] = []

    public init(_ configuration: ElectionConfiguration, stored: [UInt8]?) throws {
        own = configuration.own
        heartbeat = configuration.heartbeat
        timeout = configuration.timeout
        generator = SplitMix64(seed: configuration.seed)
        number = generator.next()
        if let stored, !stored.isEmpty { throw ByteCodingError.trailing(count: stored.count) }
    }

    public var leadership: Leadership { Leadership(engine: Self.name, term: term, leader: leader) }

    /// How long an entry must have been seen before it counts. With all clocks within a tenth of true it is longer than
    /// any other node's timeout.
    var settling: Int64 { timeout + timeout / 4 }

    public var progress: String {
        guard head != nil else { return "waiting for a head" }
        if leader == own { return "holding etcd's key in term \(term)" }
        if leader != nil { return "reading etcd's key, term \(term)" }
        guard let sight, now - sight.asked < timeout else { return "etcd has given no answer for \(timeout) ms" }
        guard let entry = sight.entry else {
            return isMember ? "nobody holds etcd's key; campaigning" : "nobody holds etcd's key; this node is no member"
        }
        if let flaw = flaw(of: entry) { return "etcd's key \(flaw)" }
        if failed.areEnough { return "no longer acknowledging who holds etcd's key in term \(term), which failed" }
        if now - sight.since < settling { return "etcd's key has a new holder, which counts in a moment" }
        return "this node holds etcd's key, but its lease was not renewed in time"
    }

    public mutating func step(_ event: ElectionEvent) -> [ElectionEffect] {
        let before = leadership
        now = max(now, event.now)
        switch event.kind {
        case .head(let head): take(head)
        case .timer(Self.beatTimer): beat()
        case .timer: break
        case .blame(let blame): take(blame)
        case .answer(.store(let call), let answer): take(answer, to: call)
        case .answer: break
        case .message: effects.append(.count(.refused(reason: "no-messages")))
        }
        guard head != nil else { return [] }
        advance()
        judge()
        armWakeTimer()
        if leadership != before { effects.append(.leadershipChanged(leadership)) }
        defer { effects = [] }
        return effects
    }

    /// There is nothing to check in bytes: whoever wants to know looks the leader up.
    public static func flaw(of leadership: Leadership, at head: SiteHead, _ checks: ElectionChecks) -> String? {
        guard leadership.certificate == nil else {
            return "etcd gives no certificates: its leaders can only be looked up there"
        }
        guard let leader = leadership.leader else { return "it names no leader" }
        return head.has(leader) ? nil : "\(leader.short) is no member"
    }

    public static func text(of body: [UInt8]) -> String { "nothing: nodes that elect through etcd send no messages" }

    // MARK: - What the chain says

    private mutating func take(_ newHead: SiteHead) {
        let old = head
        head = newHead
        if old?.members != newHead.members { removals = 0 }
        if old?.genesis != newHead.genesis {
            letGo()
            sight = nil
            pending = nil
            term = 0
            failed.forget()
            readDue = true
        } else if !isMember {
            letGo()
        }
        if old == nil { beat() }
    }

    private mutating func take(_ blame: Blame) {
        guard let entry = sight?.entry, blame.term == entry.createRevision, blame.leader == holder(of: entry),
            failed.add(blame.height)
        else { return }
        effects.append(.count(.disowned))
        effects.append(
            .log(.notice, "\(failed.text(of: blame.leader)) and is not acknowledged for the rest of term \(term)"))
        if blame.leader == own {
            // Its own entry goes with the lease.
            restUntil = now + timeout
            leavings.append(entry.lease)
            letGo()
        } else if isMember {
            removeAt = now + drawn()
        }
    }

    // MARK: - What follows from what was read

    var isMember: Bool { head?.has(own) ?? false }

    /// Not for a genesis that isn't known yet.
    var key: String { "poise/\(head?.genesis ?? .zero)/leader" }

    func holder(of entry: StoreEntry) -> NodeID? { NodeID(hex: String(decoding: entry.value, as: UTF8.self)) }

    /// What makes this no leader's entry, after "etcd's key"; nil if it is one.
    func flaw(of entry: StoreEntry) -> String? {
        guard let holder = holder(of: entry) else { return "holds \(entry.value.count) bytes that are no node's id" }
        guard head?.has(holder) == true else { return "names \(holder.short), which is no member" }
        return entry.lease == 0 ? "names \(holder.short) without a lease, so that it would never end" : nil
    }

    private mutating func judge() {
        let before = leader
        leader = acknowledged()
        if leader == own, before != own { effects.append(.log(.notice, "leading in term \(term)")) }
        if leader != own, before == own { effects.append(.log(.notice, "not leading any more: \(progress)")) }
    }

    private func acknowledged() -> NodeID? {
        guard let sight, let entry = sight.entry, now < sight.asked + timeout, now >= sight.since + settling,
            !failed.areEnough, flaw(of: entry) == nil, let holder = holder(of: entry)
        else { return nil }
        guard holder == own else { return holder }
        guard let holding, holding.lease == entry.lease, now < holding.until else { return nil }
        return own
    }

    /// Stops holding the key and trying to. It is no leader from this moment, before etcd hears of it.
    mutating func letGo() {
        for lease in [holding?.lease, grant?.lease].compactMap({ $0 }) where !leavings.contains(lease) {
            leavings.append(lease)
        }
        holding = nil
        grant = nil
        campaignAt = nil
        removeAt = nil
    }

    /// A delay by which members that want the same spread out.
    mutating func drawn() -> Int64 { Int64(generator.next(in: 0...Int(heartbeat))) }

    private mutating func armWakeTimer() {
        let moments = [
            sight.map { $0.asked + timeout }, sight.map { $0.since + settling }, holding?.until, campaignAt, removeAt,
            pending.map { $0.asked + patience(for: $0.call) },
        ]
        // One that is set again replaces the one before, and one that comes too early does no harm.
        guard let next = moments.compactMap({ $0 }).filter({ $0 > now }).min() else { return }
        effects.append(.setTimer(Self.wakeTimer, afterMilliseconds: next - now))
    }
}
