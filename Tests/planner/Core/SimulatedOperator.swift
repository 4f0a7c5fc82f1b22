import Contracts
import Identity

@testable import PlannerCore

/// What the operator of a simulated site does.
extension SimulatedSite {
    /// A device that was not there before, with an invitation of the operator as of now.
    /// - Returns: its index.
    mutating func invite(_ name: String, _ change: (inout Invitation) -> Void = { _ in }) -> Int? {
        guard let state = nodes[0].machine?.state, let ticket = SigningKey(seed: [UInt8](repeating: 9, count: 32)),
            let key = SigningKey(seed: [UInt8](repeating: UInt8(100 + nodes.count), count: 32))
        else { return nil }
        var invitation = Invitation(
            genesis: state.genesis, site: "lab", height: state.height, head: state.head,
            members: .members(state.members), name: name, expires: state.time + 600_000, key: ticket.publicKey)
        change(&invitation)
        let index = nodes.count
        invitations[index] = InvitationToken(
            invitation: invitation, signature: SigningKey.testOperator.sign(invitation.signedBytes), seed: ticket.seed)
        nodes.append(Node(key: key, name: name))
        boot(index)
        queue.add(.report(index), at: now + 300)
        return index
    }

    @discardableResult
    mutating func submit(_ submissions: [Submission], at index: Int) -> RequestID {
        let members = nodes[index].machine?.members ?? []
        do throws(Problem) {
            return order(.submit(try Submission.apps(submissions, nodes: members.map { ($0.name, $0.id) })), at: index)
        } catch {
            requests += 1
            nodes[index].answers[RequestID(requests)] = .some(error)
            return RequestID(requests)
        }
    }

    @discardableResult
    mutating func remove(_ app: String, at index: Int) -> RequestID {
        order(.remove(app: app), at: index)
    }

    @discardableResult
    mutating func order(_ act: Order.Act, at index: Int) -> RequestID {
        requests += 1
        let genesis = nodes[index].machine?.state?.genesis ?? .zero
        step(index, .order(RequestID(requests), .test(act, genesis: genesis, sequence: requests)))
        return RequestID(requests)
    }
}
