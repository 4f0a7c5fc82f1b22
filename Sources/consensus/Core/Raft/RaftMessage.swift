import Contracts

/// What engines of `raft` say to each other. A message of one term is never taken for one of another.
enum RaftMessage: ByteCodable, Hashable {
    /// Would you vote for me in `term`, one above mine? I stand at `height` of the chain.
    case preVoteRequest(term: UInt64, height: UInt64)
    /// `term` is the one asked about, `current` the answering node's own.
    case preVoteReply(term: UInt64, granted: Bool, current: UInt64)
    /// Vote for me in `term`.
    case voteRequest(term: UInt64, height: UInt64)
    /// `term` is the answering node's own, after the request.
    case voteReply(term: UInt64, granted: Bool)
    /// I lead in `term`.
    case heartbeat(term: UInt64)
    /// `term` is the answering node's own, after the heartbeat; if it is the leader's, this acknowledges it.
    case heartbeatReply(term: UInt64)

    /// For the metrics.
    var type: String {
        switch self {
        case .preVoteRequest: "pre-vote-request"
        case .preVoteReply: "pre-vote-reply"
        case .voteRequest: "vote-request"
        case .voteReply: "vote-reply"
        case .heartbeat: "heartbeat"
        case .heartbeatReply: "heartbeat-reply"
        }
    }

    /// The highest term that the message names.
    var highestTerm: UInt64 {
        switch self {
        case .preVoteRequest(let term, _), .voteRequest(let term, _), .voteReply(let term, _): term
        case .preVoteReply(let term, _, let current): max(term, current)
        case .heartbeat(let term), .heartbeatReply(let term): term
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
        case .voteRequest(let term, let height):
            writer.integer(UInt8(3))
            writer.integer(term)
            writer.integer(height)
        case .voteReply(let term, let granted):
            writer.integer(UInt8(4))
            writer.integer(term)
            writer.bool(granted)
        case .heartbeat(let term):
            writer.integer(UInt8(5))
            writer.integer(term)
        case .heartbeatReply(let term):
            writer.integer(UInt8(6))
            writer.integer(term)
        }
    }

    init(from reader: inout ByteReader) throws {
        switch try reader.integer(UInt8.self) {
        case 1: self = .preVoteRequest(term: try reader.integer(), height: try reader.integer())
        case 2:
            self = .preVoteReply(term: try reader.integer(), granted: try reader.bool(), current: try reader.integer())
        case 3: self = .voteRequest(term: try reader.integer(), height: try reader.integer())
        case 4: self = .voteReply(term: try reader.integer(), granted: try reader.bool())
        case 5: self = .heartbeat(term: try reader.integer())
        case 6: self = .heartbeatReply(term: try reader.integer())
        case let other: throw ByteCodingError.invalid(what: "the type of a raft message", value: "\(other)")
        }
    }
}
