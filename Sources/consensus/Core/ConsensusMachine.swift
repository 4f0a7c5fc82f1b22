public import Contracts
public import Machine

/// What is the same for every engine: before a head there is no election, and only members of this site are heard.
public struct ConsensusMachine: StateMachine {
    public let own: NodeID
    public private(set) var head: SiteHead?
    public private(set) var election: any Election
    /// When a member last sent something of use, in milliseconds of the monotonic clock.
    private var heard: [NodeID: Int64] = [:]

    public init(own: NodeID, election: any Election) {
        self.own = own
        self.election = election
    }

    public var leadership: Leadership { election.leadership }

    /// How many of the other members were heard in the last `milliseconds`.
    public func heardMembers(within milliseconds: Int64, now: Int64) -> Int {
        heard.values.count { now - $0 <= milliseconds }
    }

    public mutating func step(_ event: ConsensusEvent) -> [ConsensusEffect] {
        switch event.kind {
        case .head(let head): take(head, now: event.now)
        case .message(let message): take(message, now: event.now)
        case .timer(let timer): head == nil ? [] : forward(.timer(timer), now: event.now)
        case .blame(let blame): head == nil ? [] : forward(.blame(blame), now: event.now)
        }
    }

    private mutating func take(_ newHead: SiteHead, now: Int64) -> [ConsensusEffect] {
        if let flaw = newHead.flaw {
            return [.count(.refused(reason: "invalid-head")), .log(.warning, "a head of no use: \(flaw)")]
        }
        if newHead.genesis != head?.genesis || newHead.members != head?.members {
            heard = heard.filter { newHead.has($0.key) }
        }
        head = newHead
        return forward(.head(newHead), now: now)
    }

    private mutating func take(_ message: SignedMessage, now: Int64) -> [ConsensusEffect] {
        if message.sender == own { return [] }
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
        guard envelope.engine == type(of: election).name else { return [.count(.refused(reason: "other-engine"))] }
        heard[message.sender] = now
        return forward(.message(from: message.sender, envelope.body), now: now)
    }

    private mutating func forward(_ kind: ElectionEvent.Kind, now: Int64) -> [ConsensusEffect] {
        let engine = type(of: election).name
        guard let genesis = head?.genesis else { return [] }
        return election.step(ElectionEvent(now: now, kind)).map { effect in
            switch effect {
            case .persist(let bytes): .persist(bytes)
            case .send(let to, let body):
                .publish(
                    Publication(
                        kind: .election,
                        payload: ElectionEnvelope(genesis: genesis, engine: engine, body: body).encoded, to: to))
            case .setTimer(let timer, let delay): .setTimer(timer, afterMilliseconds: delay)
            case .cancelTimer(let timer): .cancelTimer(timer)
            case .leadershipChanged(let leadership): .leadership(leadership)
            case .count(let count): .count(count)
            case .log(let level, let text): .log(level, text)
            }
        }
    }
}
