package import Contracts

/// Makes the block that follows a state from what a node knows: getValue() of Algorithm 1.
package struct BlockBuilder {
    let parent: SiteState
    let builder: NodeID
    let leadership: Leadership?
    /// Block time, within its bounds.
    let time: Int64
    /// The builder's for ``SiteState/nextDraw``.
    let draw: VRFProof
    /// nil: the strategy's. Simulated liars bring another one.
    let plan: Plan?

    package init(
        parent: SiteState, builder: NodeID, leadership: Leadership?, time: Int64, draw: VRFProof, plan: Plan? = nil
    ) {
        self.parent = parent
        self.builder = builder
        self.leadership = leadership
        self.time = time
        self.draw = draw
        self.plan = plan
    }

    /// Bytes that reports and transactions may take together; the rest is for header and plan.
    static let messageBudget = Block.sizeLimit - 100_000

    /// A header without signature, and the body it names.
    ///
    /// - Parameters:
    ///   - reports: newest of each node, verified.
    ///   - transactions: verified, in order of arrival. Those without effect are left out.
    package func build(reports: [SignedMessage], transactions: [(message: SignedMessage, transaction: Transaction)])
        -> (header: BlockHeader, body: BlockBody)
    {
        let plan = self.plan ?? parent.nextPlan ?? Plan()
        var fold = Fold(parent, height: parent.height + 1, time: time)
        fold.apply(plan)
        var budget = Self.messageBudget
        let chosenReports = choose(reports, &budget)
        let chosen = apply(transactions, &fold, &budget)
        var included: [SignedMessage] = []
        for message in chosenReports.sorted(by: { $0.sender < $1.sender }) {
            guard let report = try? Report(encoded: message.payload.bytes),
                (try? fold.apply(report, sender: message.sender, sequence: message.sequence)) != nil
            else { continue }
            included.append(message)
        }
        let body = BlockBody(plan: plan, transactions: chosen, reports: included)
        var state = fold.finish()
        state.term = max(parent.term, leadership?.term ?? 0)
        if let output = draw.output { state.take(output) }
        let header = BlockHeader(
            genesis: parent.genesis, height: state.height, builder: builder, engine: leadership?.engine ?? "",
            term: state.term, time: time, parent: parent.head, parentSignature: parent.headSignature, body: body.hash,
            nextMembers: .members(state.members), draw: draw, stateRoot: state.root)
        return (header, body)
    }

    /// Those of the nodes that were heard least recently first, so that none is left out for ever.
    private func choose(_ reports: [SignedMessage], _ budget: inout Int) -> [SignedMessage] {
        let fresh = reports.compactMap { message -> (seenAt: Int64, message: SignedMessage)? in
            guard let node = parent.nodes[message.sender],
                node.reportSequence.map({ $0 < message.sequence }) ?? true
            else { return nil }
            return (node.seenAt, message)
        }
        let ordered = fresh.sorted { ($0.seenAt, $0.message.sender) < ($1.seenAt, $1.message.sender) }
        return ordered.map(\.message).filter { take($0, &budget) }
    }

    private typealias Candidate = (order: TransactionOrder, message: SignedMessage, transaction: Transaction)

    /// As many as have an effect and find room, the oldest first: those without would else keep others out for ever. Which
    /// have one depends on their order, so they are tried in the block's own, from the beginning whenever others join them.
    private func apply(
        _ transactions: [(message: SignedMessage, transaction: Transaction)], _ fold: inout Fold, _ budget: inout Int
    ) -> [SignedMessage] {
        let before = fold
        var waiting = transactions[...]
        var chosen: [Candidate] = []
        while true {
            var outsize: [(message: SignedMessage, transaction: Transaction)] = []
            while chosen.count < BlockBody.transactionLimit, let (message, transaction) = waiting.popFirst() {
                guard take(message, &budget) else {
                    outsize.append((message, transaction))
                    continue
                }
                let order = TransactionOrder(transaction, sender: message.sender, sequence: message.sequence)
                chosen.append((order, message, transaction))
            }
            chosen.sort { $0.order < $1.order }
            fold = before
            let tried = chosen.count
            chosen = chosen.filter { _, message, transaction in
                let hasEffect =
                    (try? fold.apply(transaction, sender: message.sender, sequence: message.sequence)) != nil
                if !hasEffect { budget += Self.size(of: message) }
                return hasEffect
            }
            waiting = (outsize + waiting)[...]
            if chosen.count == tried || waiting.isEmpty { return chosen.map(\.message) }
        }
    }

    /// Bytes that a message takes of ``messageBudget``.
    static func size(of message: SignedMessage) -> Int { message.payload.bytes.count + 128 }

    private func take(_ message: SignedMessage, _ budget: inout Int) -> Bool {
        let size = Self.size(of: message)
        guard size <= budget else { return false }
        budget -= size
        return true
    }
}
