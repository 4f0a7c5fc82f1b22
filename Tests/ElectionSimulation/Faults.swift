/// What goes wrong in a simulated election, as chances out of 1000.
public struct Faults: Sendable {
    public var loss = 0
    public var duplication = 0
    /// Milliseconds that a message takes.
    public var delay: ClosedRange<Int> = 1...20
    /// Each of the following, for each node or the site, at each quarter of a second.
    public var crash = 0
    public var partition = 0
    /// A partition that messages pass in one direction.
    public var oneWay = 0
    /// A node gets no processor time for a while.
    public var pause = 0
    public var blame = 0
    /// Somebody joins or leaves with the next block.
    public var membership = 0
    /// A member claims to lead, with a certificate of its own making.
    public var forgery = 0
    /// A question to gossip or to the store comes to nothing.
    public var silence = 0
    /// The store is away for some seconds.
    public var outage = 0
    /// How far a node's clock may run fast or slow, in parts per million.
    public var skew = 0

    public init() {}

    public static let none = Faults()

    public static let all: Faults = {
        var faults = Faults()
        faults.loss = 80
        faults.duplication = 50
        faults.delay = 1...400
        faults.crash = 60
        faults.partition = 60
        faults.oneWay = 30
        faults.pause = 30
        faults.blame = 20
        faults.membership = 60
        faults.forgery = 100
        faults.silence = 100
        faults.outage = 20
        faults.skew = 100_000
        return faults
    }()
}

/// How nodes are broken on purpose, to show that the judge sees it.
public enum Mutant: String, Sendable, CaseIterable {
    /// The disk acknowledges writes and forgets them at a crash.
    case voteNotPersisted = "vote-not-persisted"
    /// What a message made a node promise, it has forgotten when the next one comes.
    case votesTwice = "votes-twice"
    /// Every signature and every draw is taken for good.
    case certificateUnchecked = "certificate-unchecked"
    /// A leader's clock stands still, so its lease is never over.
    case expiredLeaseHonoured = "expired-lease-honoured"
    /// After a while a leader says nothing any more.
    case fallsSilent = "falls-silent"

    /// What brings it to light soonest: a lease has to run out while its holder is cut off and awake.
    var faults: Faults {
        var faults = Faults.all
        if self == .expiredLeaseHonoured {
            faults.partition = 20
            faults.crash = 10
            faults.pause = 0
            faults.delay = 1...20
        }
        return faults
    }

    /// The engines that have what this breaks.
    public var engines: [String] {
        switch self {
        case .voteNotPersisted, .votesTwice, .fallsSilent: ["raft", "paxos"]
        case .certificateUnchecked: ["raft", "paxos", "poet"]
        case .expiredLeaseHonoured: ["paxos", "etcd"]
        }
    }
}
