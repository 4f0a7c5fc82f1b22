import Contracts
import Identity
import PlannerCore

/// What the operator and the devices have really wished for. Whatever a block says in their name must be among it: one lying member
/// can neither invite voters nor have an app run.
struct Entitlement {
    /// What the operator has signed, byte for byte.
    private var orders: Set<[UInt8]> = []
    private var used: Set<UInt64> = []
    /// Invitations by their keys, and for whom they are.
    private var invitations: [PublicKey: (invitation: Invitation, guest: NodeID)] = [:]
    private var taken: Set<PublicKey> = []
    private var leaving: Set<NodeID> = []

    mutating func gave(_ order: Order) { orders.insert(order.signedBytes) }
    mutating func gave(_ invitation: Invitation, to guest: NodeID) { invitations[invitation.key] = (invitation, guest) }
    mutating func mayLeave(_ node: NodeID) { leaving.insert(node) }

    /// - Parameter isLiar: whether a node may have voted twice.
    /// - Returns: what is in the block that nobody has a right to.
    mutating func flaws(in block: Block, after parent: SiteState, isLiar: (NodeID) -> Bool) -> [String] {
        var flaws: [String] = []
        for message in block.body.transactions {
            guard let transaction = try? Transaction(encoded: message.payload.bytes) else {
                flaws.append("a transaction that can't be read")
                continue
            }
            if let flaw = flaw(in: transaction, of: message.sender, parent, isLiar) { flaws.append(flaw) }
        }
        return flaws
    }

    private mutating func flaw(
        in transaction: Transaction, of sender: NodeID, _ parent: SiteState, _ isLiar: (NodeID) -> Bool
    ) -> String? {
        switch transaction {
        case .order(let signed):
            guard orders.contains(signed.order.signedBytes) else { return "an order that the operator has not given" }
            guard SimulatedSite.operatorKey.publicKey.verifies(signed.signature, of: signed.order.signedBytes) else {
                return "an order that the operator has not signed"
            }
            return used.insert(signed.order.sequence).inserted ? nil : "order \(signed.order.sequence) a second time"
        case .join(let join):
            guard let known = invitations[join.invitation.key], known.invitation == join.invitation,
                join.member.id == known.guest, sender == known.guest
            else { return "\(join.member.name), whom nobody has invited" }
            return taken.insert(join.invitation.key).inserted ? nil : "an invitation a second time"
        case .leave: return leaving.contains(sender) ? nil : "that \(sender.short) leaves, which it has not said"
        case .evidence(let evidence):
            return isLiar(evidence.culprit)
                ? nil : "evidence against \(evidence.culprit.short), which has not voted twice"
        case .receipt(let receipt):
            // What this block's plan has begun can't have been heard of yet.
            let app = parent.apps[receipt.app]
            let isConcerned = app.map { $0.node == sender || $0.move?.to == sender } ?? false
            return isConcerned ? nil : "a receipt for \(receipt.app) of \(sender.short), which doesn't have it"
        }
    }

    /// What the state has that nobody has wished for.
    func flaws(of state: SiteState, founders: Set<NodeID>, apps: [String], parameters: SiteParameters) -> [String] {
        let guests = Set(invitations.values.map(\.guest))
        var flaws = state.members.filter { !founders.contains($0.id) && !guests.contains($0.id) }
            .map { "\($0.name) is a member and nobody has invited it" }
        flaws += state.apps.names.filter { !apps.contains($0) }.map { "nobody has submitted \($0)" }
        if state.parameters != parameters || state.scheduled != nil { flaws.append("nobody has changed parameters") }
        return flaws
    }
}

extension SimulatedSite {
    func register(_ invitation: Invitation, of guest: SimulatedDevice) {
        judge.entitlement.gave(invitation, to: guest.id)
    }

    func allowLeave(of device: SimulatedDevice) { judge.entitlement.mayLeave(device.id) }
}
