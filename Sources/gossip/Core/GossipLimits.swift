/// What gossip keeps at most. Whatever comes from the network or a local client is bounded by one of these.
public enum GossipLimits {
    public static let peers = 256
    /// Addresses that are known, answering or not.
    public static let addresses = 512
    /// Nodes whose sequences and newest report are kept.
    public static let senders = 1_000
    /// Signatures remembered, in each of two generations.
    public static let seenSignatures = 16_384
    /// Messages in the local feed besides the newest report of each node.
    public static let feedMessages = 4_096
    public static let feedBytes = 32 << 20
    /// What waits for one peer.
    public static let queuedMessages = 1_024
    public static let queuedBytes = 4 << 20
    /// What goes to a peer in one request.
    public static let batchMessages = 256
    public static let batchBytes = 1 << 20
    public static let questionSignatures = 1_024
    /// The body of a request between nodes: one batch and the largest message on top.
    public static let requestBytes = 4 << 20
    /// Numbers reserved durably at once.
    public static let sequenceRun: UInt64 = 1_000
    /// How far a message may lag behind its sender's newest one of its kind.
    public static let sequenceWindow: UInt64 = 1_024
    /// Batches of this node's own votes, proposals and words of elections under way to a peer besides the one of what may wait:
    /// two steps of agreement take no longer than one request and its answer.
    public static let hurriedBatches = 3
    /// Encoded messages below this many bytes are sent without asking (docs/decisions/0022-when-to-ask.md).
    public static let askFromBytes = 512
    /// Samples averaged into one report.
    public static let samples = 64
    /// Milliseconds without a sample after which a node says nothing, so that others see it as absent.
    public static let sampleAge: Int64 = 3_000
    /// Milliseconds for which a node that left can't be brought back by a report still under way.
    public static let leaveQuiet: Int64 = 3_000
    /// Milliseconds of silence after which a sender may have to make room for a new one.
    public static let senderIdle: Int64 = 60_000
}
