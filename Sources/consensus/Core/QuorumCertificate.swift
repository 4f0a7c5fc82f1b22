public import Contracts

/// One statement, signed by a quorum: what shows who won a term by votes.
///
/// The signatures are those that gossip gave the members' own messages, so the certificate is nothing but messages that
/// were sent anyway, without what they have in common.
public struct QuorumCertificate: ByteCodable, Hashable {
    private static let domain = "poise/election-certificate/1"

    public struct Voice: ByteCodable, Hashable {
        public var member: NodeID
        public var sequence: UInt64
        public var signature: Signature

        public init(member: NodeID, sequence: UInt64, signature: Signature) {
            self.member = member
            self.sequence = sequence
            self.signature = signature
        }

        public func encode(to writer: inout ByteWriter) {
            writer.value(member)
            writer.integer(sequence)
            writer.value(signature)
        }

        public init(from reader: inout ByteReader) throws {
            member = try reader.value()
            sequence = try reader.integer()
            signature = try reader.value()
        }
    }

    /// What each of them sent: an engine's message.
    public var statement: [UInt8]
    /// In ascending order of member.
    public var voices: [Voice]

    public init(statement: [UInt8], voices: [NodeID: Voice]) {
        self.statement = statement
        self.voices = voices.values.sorted { $0.member < $1.member }
    }

    public func encode(to writer: inout ByteWriter) {
        writer.text(Self.domain)
        writer.byteString(statement)
        writer.list(voices)
    }

    public init(from reader: inout ByteReader) throws {
        try reader.domain(Self.domain)
        statement = try reader.byteString("a statement", limit: 256)
        voices = try reader.list("the voices", limit: Genesis.memberLimit)
    }

    /// Why the leadership's certificate is not one of it; nil if it is.
    ///
    /// - Parameter winner: the term and the node that a statement is about; nil if it is no vote.
    static func flaw(
        of leadership: Leadership, engine: String, at head: SiteHead, _ checks: ElectionChecks,
        winner: ([UInt8]) throws -> (term: UInt64, leader: NodeID)?
    ) -> String? {
        do {
            let certificate = try QuorumCertificate(encoded: leadership.certificate?.bytes ?? [])
            guard let won = try winner(certificate.statement), won.term == leadership.term,
                won.leader == leadership.leader
            else { return "its signatures are of another term or for another node" }
            return certificate.flaw(engine: engine, at: head, checks)
        } catch {
            return "\(error)"
        }
    }

    /// Why this doesn't show that a quorum of the head's members made the statement in an election by `engine`; nil if it
    /// does.
    public func flaw(engine: String, at head: SiteHead, _ checks: ElectionChecks) -> String? {
        for (a, b) in zip(voices, voices.dropFirst()) where a.member >= b.member {
            return "its signers are out of order at \(b.member.short)"
        }
        if let stranger = voices.first(where: { !head.has($0.member) }) {
            return "\(stranger.member.short), who signed it, is no member"
        }
        guard voices.count >= head.quorum else {
            return "it has \(voices.count) signatures; \(head.quorum) are a quorum"
        }
        let payload = ElectionEnvelope(genesis: head.genesis, engine: engine, body: statement).encoded
        for voice in voices {
            let signed = SignedMessage.signedBytes(
                site: head.site, kind: .election, sequence: voice.sequence, payload: payload)
            guard checks.signs(voice.member, voice.signature, signed) else {
                return "the signature of \(voice.member.short) is not of this statement"
            }
        }
        return nil
    }
}

extension ElectionMessage {
    /// This message as one of a certificate's signatures.
    var voice: QuorumCertificate.Voice {
        QuorumCertificate.Voice(member: sender, sequence: sequence, signature: signature)
    }
}
