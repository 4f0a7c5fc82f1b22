public import Contracts
public import Machine

/// What is the same for every engine: before a head there is no election, only members of this site are heard, and
/// nodes that elect in another way are named.
public struct ConsensusMachine: StateMachine {
    /// Milliseconds between two introductions of a node to all. One that elects otherwise is answered sooner.
    public static let introductionInterval: Int64 = 60_000

    public let own: NodeID
    public private(set) var head: SiteHead?
    public private(set) var election: any Election
    /// Members that elect by another engine, and by which.
    public private(set) var otherEngines: [NodeID: String] = [:]
    /// When a member last sent something of use, in milliseconds of the monotonic clock.
    private var heard: [NodeID: Int64] = [:]
    /// When a member that elects otherwise was last told so.
    private var toldAt: [NodeID: Int64] = [:]

    public init(own: NodeID, election: any Election) {
        self.own = own
        self.election = election
    }

    public var leadership: Leadership { election.leadership }

    private var engine: String { type(of: election).name }

    /// How many of the other members were heard in the last `milliseconds`.
    public func heardMembers(within milliseconds: Int64, now: Int64) -> Int {
        heard.values.count { now - $0 <= milliseconds }
    }

    public mutating func step(_ event: ConsensusEvent) -> [ConsensusEffect] {
        switch event.kind {
        case .head(let head): take(head, now: event.now)
        case .message(let message): take(message, now: event.now)
        case .timer(.introduction): head == nil ? [] : introduction()
        case .timer(.election(let timer)): forward(.timer(timer), now: event.now)
        case .blame(let blame): forward(.blame(blame), now: event.now)
        case .answer(let question, let answer): forward(.answer(question, answer), now: event.now)
        }
    }

    private mutating func take(_ newHead: SiteHead, now: Int64) -> [ConsensusEffect] {
        if let flaw = newHead.flaw {
            return [.count(.refused(reason: "invalid-head")), .log(.warning, "a head of no use: \(flaw)")]
        }
        let isFirst = head == nil
        if newHead.genesis != head?.genesis || newHead.members != head?.members {
            heard = heard.filter { newHead.has($0.key) }
            otherEngines = otherEngines.filter { newHead.has($0.key) }
            toldAt = toldAt.filter { newHead.has($0.key) }
        }
        head = newHead
        return (isFirst ? introduction() : []) + forward(.head(newHead), now: now)
    }

    private mutating func take(_ message: SignedMessage, now: Int64) -> [ConsensusEffect] {
        guard message.kind == .election else { return [.count(.refused(reason: "kind"))] }
        guard let head else { return [.count(.refused(reason: "no-head"))] }
        guard head.has(message.sender) else { return [.count(.refused(reason: "not-a-member"))] }
        let envelope: ElectionEnvelope
        do {
            envelope = try ElectionEnvelope(encoded: message.payload.bytes)
        } catch {
            return [
                .count(.refused(reason: "malformed")), .log(.debug, "a message of \(message.sender.short): \(error)"),
            ]
        }
        guard envelope.genesis == head.genesis else { return [.count(.refused(reason: "other-genesis"))] }
        let isOwn = message.sender == own
        if isOwn, envelope.engine != engine { return [] }
        let differs = isOwn ? [] : compare(envelope.engine, of: message.sender, now: now)
        guard envelope.engine == engine else { return differs }
        if !isOwn { heard[message.sender] = now }
        if envelope.body.isEmpty { return differs }
        let body = ElectionMessage(
            sender: message.sender, sequence: message.sequence, signature: message.signature, body: envelope.body)
        return differs + forward(.message(body), now: now)
    }

    // MARK: - Nodes that elect in another way

    /// Who never sends a message of its election, because it has none, is heard of by this alone.
    private func introduction() -> [ConsensusEffect] {
        [
            introduce(to: nil),
            .setTimer(.introduction, afterMilliseconds: Self.introductionInterval),
        ]
    }

    private func introduce(to node: NodeID?) -> ConsensusEffect {
        let payload = ElectionEnvelope(genesis: head?.genesis ?? .zero, engine: engine, body: []).encoded
        return .publish(Publication(kind: .election, payload: payload, to: node))
    }

    private mutating func compare(_ theirs: String, of node: NodeID, now: Int64) -> [ConsensusEffect] {
        let before = otherEngines[node]
        guard theirs != engine else {
            otherEngines[node] = nil
            guard before != nil else { return [] }
            return [.log(.notice, "\(node.short) elects by \(engine) now, as this node does")]
        }
        otherEngines[node] = theirs
        var effects: [ConsensusEffect] = [.count(.refused(reason: "other-engine"))]
        let isDue = toldAt[node].map { now - $0 >= Self.introductionInterval / 6 } ?? true
        if before == nil || isDue && before != theirs {
            effects.append(
                .log(
                    .warning,
                    "\(node.short) elects by \(theirs) and this node by \(engine): set POISE_ELECTION alike on all "
                        + "devices; until then the two don't count each other"))
        }
        if isDue {
            toldAt[node] = now
            effects.append(introduce(to: node))
        }
        return effects
    }

    // MARK: - The engine

    private mutating func forward(_ kind: ElectionEvent.Kind, now: Int64) -> [ConsensusEffect] {
        guard let genesis = head?.genesis else { return [] }
        let led = election.leadership.leader == own
        let effects: [ConsensusEffect] = election.step(ElectionEvent(now: now, kind)).map { effect in
            switch effect {
            case .persist(let bytes): .persist(bytes)
            case .send(let to, let body):
                .publish(
                    Publication(
                        kind: .election,
                        payload: ElectionEnvelope(genesis: genesis, engine: engine, body: body).encoded, to: to))
            case .setTimer(let timer, let delay): .setTimer(.election(timer), afterMilliseconds: delay)
            case .cancelTimer(let timer): .cancelTimer(.election(timer))
            case .ask(let question): .ask(question)
            case .leadershipChanged(let leadership): .leadership(leadership)
            case .count(let count): .count(count)
            case .log(let level, let text): .log(level, text)
            }
        }
        guard led, election.leadership.leader != own else { return effects }
        // Who leads no more says so before anything else: to write what follows from it may take seconds.
        func isEnd(_ effect: ConsensusEffect) -> Bool { if case .leadership = effect { true } else { false } }
        return effects.filter(isEnd) + effects.filter { !isEnd($0) }
    }
}
