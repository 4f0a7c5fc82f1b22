import Contracts
import MigratorCore

/// The answer to `POST /handoffs`.
struct OfferAnswer: Codable, Sendable {
    /// How many of the image's layers, from the lowest, are here already; nil if the whole image is.
    var missingAfter: Int?
}

/// The body of `POST /handoffs/{app}/{incarnation}/container`.
struct ContainerWish: Codable, Sendable {
    var from: NodeID
    var imageID: String
}

/// The body of `POST /handoffs/{app}/{incarnation}/restore`.
struct RestoreWish: Codable, Sendable {
    var from: NodeID
    var parts: [PartDigest]
}

/// What a target says that it received.
typealias PartReceipt = PartDigest

/// How another migrator's words are to be taken.
enum HandoffProblem {
    /// Codes that mean no for good. All others are worth another try.
    static let refusals: Set<String> = ["refused", "disk-full", "unsafe-path", "invalid-path", "invalid-json"]
    /// Codes that mean that the target lacks something of the handoff.
    static let gaps: Set<String> = ["unknown-handoff", "digest-mismatch"]

    static func outcome(_ error: any Error) -> OperationOutcome {
        guard let problem = error as? Problem else { return .delayed("\(error)") }
        if refusals.contains(problem.code) { return .refused(problem.detail) }
        if gaps.contains(problem.code) { return .incomplete(problem.detail) }
        return .delayed(problem.detail)
    }
}
