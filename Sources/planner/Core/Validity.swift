import Contracts
import Identity

/// valid(v): whether a block may follow a state. It depends on the block and that state alone, so that every node
/// answers alike at any time. The plan and the state's root are computed again, never believed.
public enum Validity {
    /// Bytes in one transaction's payload, and in one report's, at most.
    public static let payloadLimit = 256 << 10

    /// The state after `block`.
    ///
    /// - Parameter trusting: leaves out signatures and the proof of the draw, for blocks from this node's own storage.
    /// - Throws: ``Refusal`` with the first rule that is broken.
    public static func check(_ block: Block, after parent: SiteState, trusting: Bool = false) throws(Refusal)
        -> SiteState
    {
        try check(block, after: parent, trusting: trusting, deviation: [])
    }

    static func check(_ block: Block, after parent: SiteState, trusting: Bool = false, deviation: Deviation)
        throws(Refusal) -> SiteState
    {
        let drawn = try checkHeader(block, parent, trusting: trusting)
        guard let plan = parent.nextPlan else {
            throw Refusal(.wrongPlan, "the strategy \(parent.parameters.strategy) is unknown to this version")
        }
        guard plan == block.body.plan || deviation.contains(.planNotRecomputed) else {
            throw Refusal(.wrongPlan, "strategy \(parent.parameters.strategy) plans otherwise")
        }
        var fold = Fold(parent, height: block.header.height, time: block.header.time)
        fold.apply(block.body.plan)
        try checkTransactions(
            block.body.transactions, &fold, trusting: trusting, believing: deviation.contains(.ordersBelieved))
        try checkReports(block.body.reports, &fold, trusting: trusting)
        var state = fold.finish()
        state.term = block.header.term
        state.take(drawn)
        guard block.header.nextMembers == .members(state.members) else {
            throw Refusal(.wrongMembersHash, block.header.nextMembers.short)
        }
        let root = state.root
        guard block.header.stateRoot == root else {
            throw Refusal(.wrongStateRoot, "\(block.header.stateRoot.short), computed \(root.short)")
        }
        state.head = block.id
        state.headSignature = block.signature
        return state
    }

    /// - Returns: what the builder has drawn.
    private static func checkHeader(_ block: Block, _ parent: SiteState, trusting: Bool) throws(Refusal) -> VRFOutput {
        let header = block.header
        guard header.genesis == parent.genesis else { throw Refusal(.anotherGenesis, header.genesis.short) }
        guard header.height == parent.height + 1 else {
            throw Refusal(.wrongHeight, "\(header.height) after \(parent.height)")
        }
        guard header.parent == parent.head else { throw Refusal(.wrongParent, header.parent.short) }
        guard header.parentSignature == parent.headSignature else {
            throw Refusal(.wrongParentSignature, header.parentSignature.short)
        }
        guard let builder = parent.member(header.builder) else {
            throw Refusal(.builderNotMember, header.builder.short)
        }
        guard trusting || header.builder.verifies(block.signature, of: header.encoded) else {
            throw Refusal(.badBuilderSignature, "of \(header.builder.short)")
        }
        guard header.term >= parent.term else {
            throw Refusal(.termBelowParent, "\(header.term) after \(parent.term)")
        }
        guard header.time > parent.time else {
            throw Refusal(.timeNotAfterParent, "\(header.time) after \(parent.time)")
        }
        if header.time > BlockTime.latest(after: parent) {
            throw Refusal(.timeTooFarAhead, "\(header.time) after \(parent.time)")
        }
        guard header.body == block.body.hash else { throw Refusal(.wrongBodyHash, header.body.short) }
        let alpha = parent.nextDraw.encoded
        let drawn = trusting ? header.draw.output : builder.vrf.output(of: header.draw, for: alpha)
        guard let drawn else { throw Refusal(.badDraw, "not that of \(builder.name) for height \(header.height)") }
        return drawn
    }

    private static func checkTransactions(
        _ messages: [SignedMessage], _ fold: inout Fold, trusting: Bool, believing: Bool
    ) throws(Refusal) {
        guard messages.count <= BlockBody.transactionLimit else {
            throw Refusal(.tooManyMessages, "\(messages.count) transactions")
        }
        var last: TransactionOrder?
        for message in messages {
            let transaction: Transaction = try read(message, .transaction, fold.state, trusting: trusting)
            if !trusting, !believing { try fold.state.authenticate(transaction, sender: message.sender) }
            let order = TransactionOrder(transaction, sender: message.sender, sequence: message.sequence)
            if let last, last >= order { throw Refusal(.outOfOrder, "transaction of \(message.sender.short)") }
            last = order
            try fold.apply(transaction, sender: message.sender, sequence: message.sequence)
        }
    }

    private static func checkReports(_ messages: [SignedMessage], _ fold: inout Fold, trusting: Bool) throws(Refusal) {
        guard messages.count <= BlockBody.reportLimit else {
            throw Refusal(.tooManyMessages, "\(messages.count) reports")
        }
        var last: NodeID?
        for message in messages {
            guard fold.state.nodes[message.sender] != nil else {
                throw Refusal(.senderNotMember, message.sender.short)
            }
            let report: Report = try read(message, .report, fold.state, trusting: trusting)
            if let last, last >= message.sender { throw Refusal(.outOfOrder, "report of \(message.sender.short)") }
            last = message.sender
            try fold.apply(report, sender: message.sender, sequence: message.sequence)
        }
    }

    /// Reads what a node signed for this site.
    /// - Throws: ``Refusal`` `wrong-message-kind`, `message-too-large`, `bad-message-signature` or `undecodable-message`.
    static func read<T: ByteCodable>(
        _ message: SignedMessage, _ kind: MessageKind, _ state: SiteState, trusting: Bool = false
    ) throws(Refusal) -> T {
        guard message.kind == kind else { throw Refusal(.wrongMessageKind, message.kind.name) }
        guard message.payload.bytes.count <= payloadLimit else {
            throw Refusal(.messageTooLarge, "\(message.payload.bytes.count) bytes, at most \(payloadLimit) are allowed")
        }
        guard trusting || message.sender.verifies(message.signature, of: message.signedBytes(site: state.site)) else {
            throw Refusal(.badMessageSignature, "\(kind.name) \(message.sequence) of \(message.sender.short)")
        }
        do {
            return try T(encoded: message.payload.bytes)
        } catch {
            throw Refusal(.undecodableMessage, "\(error)")
        }
    }
}

/// Bounds of block time. It must flow, or nothing would ever be overdue, and must not leap, or everybody would be.
enum BlockTime {
    /// The latest time of the block after `parent`: after an interruption time catches up over several blocks, so that
    /// nobody becomes absent in the first of them for want of a chance to report.
    static func latest(after parent: SiteState) -> Int64 {
        parent.height > 0 ? parent.time + step(parent.parameters) : 1 << 53
    }

    /// Milliseconds that it may go on by with one block.
    static func step(_ parameters: SiteParameters) -> Int64 {
        max(parameters.absentAfter / 3, parameters.idleInterval + 1_000)
    }

    /// A builder's choice: its wall clock, held to what its monotonic clock says has passed since the parent, and a tenth more.
    /// Block time that ran faster would end a move before the target's own clock has made it freeze its copy, for which
    /// migrator keeps back a fifth of the time.
    static func choose(after parent: SiteState, wall: Int64, elapsed: Int64) -> Int64 {
        guard parent.height > 0 else { return min(max(1, wall), 1 << 52) }
        let flowed = parent.time + max(1, elapsed)
        return min(latest(after: parent), min(max(wall, flowed), flowed + max(0, elapsed) / 10))
    }
}
