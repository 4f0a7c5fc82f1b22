public import Contracts

extension Submission {
    /// What an order to submit says of these apps.
    ///
    /// - Parameter nodes: the members, by whose names nodes are wished for.
    /// - Throws: `Problem` that names the app at fault.
    public static func apps(_ submissions: [Submission], nodes: [(name: String, id: NodeID)]) throws(Problem)
        -> [SubmittedApp]
    {
        guard (1...Transaction.submissionLimit).contains(submissions.count) else {
            throw Problem(
                400, "bad-submission",
                "\(submissions.count) apps in one submission; 1 to \(Transaction.submissionLimit) are allowed")
        }
        var apps: [SubmittedApp] = []
        var names: Set<String> = []
        for submission in submissions {
            let name = submission.specification.name
            do {
                _ = try AppSpecification(encoded: submission.specification.encoded)
            } catch {
                throw Problem(400, "bad-app", "the app \"\(name.prefix(80))\": \(error)")
            }
            guard names.insert(name).inserted else {
                throw Problem(400, "bad-submission", "the app \"\(name)\" is there twice")
            }
            let node = try node(submission.on, nodes)
            apps.append(SubmittedApp(specification: submission.specification, on: node))
        }
        return apps
    }

    private static func node(_ name: String?, _ nodes: [(name: String, id: NodeID)]) throws(Problem) -> NodeID? {
        guard let name else { return nil }
        guard let node = nodes.first(where: { $0.name == name }) else {
            let names = nodes.map(\.name).sorted().joined(separator: ", ")
            throw Problem(404, "unknown-node", "no node is named \"\(name.prefix(80))\": there are \(names)")
        }
        return node.id
    }
}
