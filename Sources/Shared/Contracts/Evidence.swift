/// A vote with its voter and signature: the payload of `vote`. Anybody may send it on.
public struct SignedVote: ByteCodable, Hashable {
    public var voter: NodeID
    public var vote: Vote
    public var signature: Signature

    public init(voter: NodeID, vote: Vote, signature: Signature) {
        self.voter = voter
        self.vote = vote
        self.signature = signature
    }

    public func encode(to writer: inout ByteWriter) {
        writer.value(voter)
        writer.value(vote)
        writer.value(signature)
    }

    public init(from reader: inout ByteReader) throws {
        voter = try reader.value()
        vote = try reader.value()
        signature = try reader.value()
    }
}

/// Two votes of one node for one height, round and step. Both signatures together are the proof: no honest node
/// makes the second one.
public struct Evidence: ByteCodable, Hashable {
    /// In ascending order of their encodings, so that one crime has one evidence.
    public let first: SignedVote
    public let second: SignedVote

    /// - Returns: nil unless the two conflict. Their signatures aren't looked at.
    public init?(_ a: SignedVote, _ b: SignedVote) {
        let inOrder = a.encoded.lexicographicallyPrecedes(b.encoded)
        (first, second) = inOrder ? (a, b) : (b, a)
        guard isConflict else { return nil }
    }

    public var culprit: NodeID { first.voter }
    public var height: UInt64 { first.vote.height }

    private var isConflict: Bool {
        let (a, b) = (first.vote, second.vote)
        return first.voter == second.voter && a.genesis == b.genesis && a.height == b.height && a.round == b.round
            && a.step == b.step && a.block != b.block
    }

    public func encode(to writer: inout ByteWriter) {
        writer.value(first)
        writer.value(second)
    }

    public init(from reader: inout ByteReader) throws {
        first = try reader.value()
        second = try reader.value()
        guard isConflict, first.encoded.lexicographicallyPrecedes(second.encoded) else {
            throw ByteCodingError.invalid(what: "evidence", value: "two votes that do not conflict, or out of order")
        }
    }
}
