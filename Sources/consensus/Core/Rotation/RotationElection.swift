public import Contracts
import Machine

/// Members take turns, as geese do, and nobody says a word: round r of height h is led by member (h + r) modulo n, in an
/// order that is shuffled anew in each epoch by what the chain has drawn (``Machine/Rotation``).
///
/// The term is the height to be built. Planner computes the same turns for all rounds after the first, so a leader that
/// fails is followed by the next one in order, and a blame says nothing new. A dead node costs a round each time
/// its turn comes.
public struct RotationElection: Election {
    public static let name = "rotation"
    public static let guarantee = ElectionGuarantee(
        proof: .computed, oneLeaderATerm: true, oneLeaderAtATime: false, timeoutsToRecover: 4)

    private let own: NodeID
    private var head: SiteHead?
    public private(set) var leadership = Leadership(engine: name, term: 0, leader: nil)
    /// Of the running epoch and members.
    private var order: [NodeID] = []

    public init(_ configuration: ElectionConfiguration, stored: [UInt8]?) throws { own = configuration.own }

    public var progress: String {
        leadership.leader == own
            ? "it is this node's turn at height \(leadership.term)" : "another's turn at height \(leadership.term)"
    }

    public mutating func step(_ event: ElectionEvent) -> [ElectionEffect] {
        guard case .head(let newHead) = event.kind, newHead != head else { return [] }
        if newHead.members != head?.members || newHead.epochSeed != head?.epochSeed {
            order = Rotation.order(newHead.members.map(\.id), seed: newHead.epochSeed)
        }
        head = newHead
        let height = newHead.height + 1
        let next = Leadership(
            engine: Self.name, term: height, leader: order[Int(height % UInt64(order.count))])
        guard next != leadership else { return [] }
        leadership = next
        return [.leadershipChanged(next)]
    }

    public static func flaw(of leadership: Leadership, at head: SiteHead, _ checks: ElectionChecks) -> String? {
        let order = Rotation.order(head.members.map(\.id), seed: head.epochSeed)
        let leader = order[Int((head.height + 1) % UInt64(order.count))]
        guard leadership.term == head.height + 1, leadership.leader == leader else {
            return "at height \(head.height + 1) it is the turn of \(leader.short)"
        }
        return nil
    }

    public static func text(of body: [UInt8]) -> String { "\(body.count) bytes, though turns need no words" }
}
