import Contracts

/// The number of an attempt to decide a term. No two nodes have one in common, and none uses one twice with two values.
struct Ballot: ByteCodable, Hashable, Comparable {
    /// No honest proposer gets there. Who is told of a higher one gives the term up and goes on to the next.
    static let limit: UInt64 = 1 << 32

    /// Below 2⁶³.
    var number: UInt64
    var proposer: NodeID

    static func < (a: Self, b: Self) -> Bool { (a.number, a.proposer) < (b.number, b.proposer) }

    func encode(to writer: inout ByteWriter) {
        writer.integer(number)
        writer.value(proposer)
    }

    init(number: UInt64, proposer: NodeID) {
        self.number = number
        self.proposer = proposer
    }

    init(from reader: inout ByteReader) throws {
        number = try reader.integer()
        proposer = try reader.value()
        guard number < 1 << 63 else {
            throw ByteCodingError.invalid(what: "a ballot's number", value: "\(number)")
        }
    }
}

/// What an acceptor has accepted in a term: the proposal of the highest ballot that it took part in.
struct Acceptance: ByteCodable, Hashable {
    var ballot: Ballot
    var leader: NodeID

    init(ballot: Ballot, leader: NodeID) {
        self.ballot = ballot
        self.leader = leader
    }

    func encode(to writer: inout ByteWriter) {
        writer.value(ballot)
        writer.value(leader)
    }

    init(from reader: inout ByteReader) throws {
        ballot = try reader.value()
        leader = try reader.value()
    }
}

/// What engines of `paxos` say to each other. The first four are the messages of "Paxos Made Simple", section 2.2.
enum PaxosMessage: ByteCodable, Hashable {
    /// Phase 1a, of the ballot's proposer. It stands at `height` of the chain.
    case prepare(term: UInt64, ballot: Ballot, height: UInt64)
    /// Phase 1b: takes part in no lower ballot of this term, and has accepted this so far.
    case promise(term: UInt64, ballot: Ballot, accepted: Acceptance?)
    /// Phase 2a if its sender is the ballot's proposer, who thereby also accepts; else phase 2b: the very same words, so
    /// that all signatures of a certificate are of one statement.
    case accept(term: UInt64, Acceptance)
    /// Neither promised nor accepted; the refusing node's own term, and its promise there.
    case refusal(term: UInt64, promised: Ballot?)
    /// I lead in `term`, and want the lease prolonged. Numbers ascend within a leader's life.
    case renewal(term: UInt64, number: UInt64)
    /// `term` is the answering node's own. If `proven`, it prolongs the lease; else it asks for proof.
    case renewalReply(term: UInt64, number: UInt64, proven: Bool)
    /// The term is decided, as this ``QuorumCertificate`` shows. From the leader itself it is also a renewal.
    case proof([UInt8], number: UInt64)

    /// For the metrics.
    var type: String {
        switch self {
        case .prepare: "prepare"
        case .promise: "promise"
        case .accept: "accept"
        case .refusal: "refusal"
        case .renewal: "renewal"
        case .renewalReply: "renewal-reply"
        case .proof: "proof"
        }
    }

    func encode(to writer: inout ByteWriter) {
        switch self {
        case .prepare(let term, let ballot, let height):
            writer.integer(UInt8(1))
            writer.integer(term)
            writer.value(ballot)
            writer.integer(height)
        case .promise(let term, let ballot, let accepted):
            writer.integer(UInt8(2))
            writer.integer(term)
            writer.value(ballot)
            writer.optional(accepted)
        case .accept(let term, let acceptance):
            writer.integer(UInt8(3))
            writer.integer(term)
            writer.value(acceptance)
        case .refusal(let term, let promised):
            writer.integer(UInt8(4))
            writer.integer(term)
            writer.optional(promised)
        case .renewal(let term, let number):
            writer.integer(UInt8(5))
            writer.integer(term)
            writer.integer(number)
        case .renewalReply(let term, let number, let proven):
            writer.integer(UInt8(6))
            writer.integer(term)
            writer.integer(number)
            writer.bool(proven)
        case .proof(let certificate, let number):
            writer.integer(UInt8(7))
            writer.byteString(certificate)
            writer.integer(number)
        }
    }

    init(from reader: inout ByteReader) throws {
        switch try reader.integer(UInt8.self) {
        case 1: self = .prepare(term: try reader.integer(), ballot: try reader.value(), height: try reader.integer())
        case 2: self = .promise(term: try reader.integer(), ballot: try reader.value(), accepted: try reader.optional())
        case 3: self = .accept(term: try reader.integer(), try reader.value())
        case 4: self = .refusal(term: try reader.integer(), promised: try reader.optional())
        case 5: self = .renewal(term: try reader.integer(), number: try reader.integer())
        case 6:
            self = .renewalReply(
                term: try reader.integer(), number: try reader.integer(), proven: try reader.bool())
        case 7:
            self = .proof(
                try reader.byteString("a certificate", limit: Leadership.certificateLimit), number: try reader.integer()
            )
        case let other: throw ByteCodingError.invalid(what: "the type of a paxos message", value: "\(other)")
        }
    }
}

extension PaxosElection {
    public static func text(of body: [UInt8]) -> String {
        guard let message = try? PaxosMessage(encoded: body) else { return "\(body.count) bytes that say nothing" }
        return switch message {
        case .prepare(let term, let ballot, let height):
            "prepare ballot \(ballot.number) of term \(term)! my chain is at \(height)"
        case .promise(let term, let ballot, nil):
            "I promise ballot \(ballot.number) of term \(term) and have accepted nothing"
        case .promise(let term, let ballot, let accepted?):
            "I promise ballot \(ballot.number) of term \(term) and have accepted \(accepted.leader.short)"
        case .accept(let term, let acceptance):
            "I accept \(acceptance.leader.short) in ballot \(acceptance.ballot.number) of term \(term)"
        case .refusal(let term, let promised):
            "no; in term \(term) I have promised " + (promised.map { "ballot \($0.number)" } ?? "nothing")
        case .renewal(let term, _): "I lead in term \(term)"
        case .renewalReply(let term, _, true): "you lead in term \(term)"
        case .renewalReply(let term, _, false): "prove it; my term is \(term)"
        case .proof(let bytes, _):
            "the term is decided; \((try? QuorumCertificate(encoded: bytes))?.voices.count ?? 0) accepted"
        }
    }
}
