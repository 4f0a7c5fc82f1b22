import Contracts

/// What engines of `raft` say to each other. A message of one term is never taken for one of another.
enum RaftMessage: ByteCodable, Hashable {
    /// Would you vote for me in `term`, one above mine? I stand at `height` of the chain.
    case preVoteRequest(term: UInt64, height: UInt64)
    /// `term` is the one asked about, `current` the answering node's own.
    case preVoteReply(term: UInt64, granted: Bool, current: UInt64)
    /// The sender's vote of `term`. A candidate's for itself is at the same time its request for those of the others, who
    /// answer with the very same words: so all signatures of a certificate are of one statement.
    case vote(term: UInt64, candidate: NodeID, height: UInt64)
    /// No vote; `term` is the refusing node's own.
    case refusal(term: UInt64)
    /// I lead in `term`.
    case heartbeat(term: UInt64)
    /// `term` is the answering node's own. If `proven`, it acknowledges the leader of that term; else it asks for proof.
    case heartbeatReply(term: UInt64, proven: Bool)
    /// I lead, and these are the votes: a ``QuorumCertificate``.
    case proof([UInt8])

    /// For the metrics.
    var type: String {
        switch self {
        case .preVoteRequest: "pre-vote-request"
        case .preVoteReply: "pre-vote-reply"
        case .vote: "vote"
        case .refusal: "refusal"
        case .heartbeat: "heartbeat"
        case .heartbeatReply: "heartbeat-reply"
        case .proof: "proof"
        }
    }

    func encode(to writer: inout ByteWriter) {
        switch self {
        case .preVoteRequest(let term, let height):
            writer.integer(UInt8(1))
            writer.integer(term)
            writer.integer(height)
        case .preVoteReply(let term, let granted, let current):
            writer.integer(UInt8(2))
            writer.integer(term)
            writer.bool(granted)
            writer.integer(current)
        case .vote(let term, let candidate, let height):
            writer.integer(UInt8(3))
            writer.integer(term)
            writer.value(candidate)
            writer.integer(height)
        case .refusal(let term):
            writer.integer(UInt8(4))
            writer.integer(term)
        case .heartbeat(let term):
            writer.integer(UInt8(5))
            writer.integer(term)
        case .heartbeatReply(let term, let proven):
            writer.integer(UInt8(6))
            writer.integer(term)
            writer.bool(proven)
        case .proof(let certificate):
            writer.integer(UInt8(7))
            writer.byteString(certificate)
        }
    }

    init(from reader: inout ByteReader) throws {
        switch try reader.integer(UInt8.self) {
        case 1: self = .preVoteRequest(term: try reader.integer(), height: try reader.integer())
        case 2:
            self = .preVoteReply(term: try reader.integer(), granted: try reader.bool(), current: try reader.integer())
        case 3:
            self = .vote(term: try reader.integer(), candidate: try reader.value(), height: try reader.integer())
        case 4: self = .refusal(term: try reader.integer())
        case 5: self = .heartbeat(term: try reader.integer())
        case 6: self = .heartbeatReply(term: try reader.integer(), proven: try reader.bool())
        case 7: self = .proof(try reader.byteString("a certificate", limit: Leadership.certificateLimit))
        case let other: throw ByteCodingError.invalid(what: "the type of a raft message", value: "\(other)")
        }
    }
}

extension RaftElection {
    public static func text(of body: [UInt8]) -> String {
        guard let message = try? RaftMessage(encoded: body) else { return "\(body.count) bytes that say nothing" }
        return switch message {
        case .preVoteRequest(let term, let height): "would you vote for me in term \(term)? my chain is at \(height)"
        case .preVoteReply(let term, true, _): "I would, in term \(term)"
        case .preVoteReply(let term, false, let current): "I would not, in term \(term); mine is \(current)"
        case .vote(let term, let candidate, _): "my vote of term \(term) is for \(candidate.short)"
        case .refusal(let term): "not my vote; my term is \(term)"
        case .heartbeat(let term): "I lead in term \(term)"
        case .heartbeatReply(let term, true): "you lead in term \(term)"
        case .heartbeatReply(let term, false): "prove it; my term is \(term)"
        case .proof(let bytes): "I lead; \((try? QuorumCertificate(encoded: bytes))?.voices.count ?? 0) voted for me"
        }
    }
}
