public import Contracts
import Identity

/// One member's signature.
public struct MemberSignature: ByteCodable, Hashable {
    public var member: NodeID
    public var signature: Signature

    public init(member: NodeID, signature: Signature) {
        self.member = member
        self.signature = signature
    }

    public func encode(to writer: inout ByteWriter) {
        writer.value(member)
        writer.value(signature)
    }

    public init(from reader: inout ByteReader) throws {
        member = try reader.value()
        signature = try reader.value()
    }
}

/// The votes of one round and step for one block, as a quorum signed them. That of precommits makes a block final.
public struct Certificate: ByteCodable, Hashable {
    public var height: UInt64
    public var round: UInt32
    public var step: VoteStep
    public var block: Digest
    /// In ascending order of member.
    public var signatures: [MemberSignature]

    public init(height: UInt64, round: UInt32, step: VoteStep, block: Digest, signatures: [MemberSignature]) {
        self.height = height
        self.round = round
        self.step = step
        self.block = block
        self.signatures = signatures
    }

    public func encode(to writer: inout ByteWriter) {
        writer.text("poise/certificate/1")
        writer.integer(height)
        writer.integer(round)
        writer.integer(step.rawValue)
        writer.value(block)
        writer.list(signatures)
    }

    public init(from reader: inout ByteReader) throws {
        try reader.domain("poise/certificate/1")
        height = try reader.integer()
        round = try reader.integer()
        let raw = try reader.integer(UInt8.self)
        guard let step = VoteStep(rawValue: raw) else {
            throw ByteCodingError.invalid(what: "a certificate's step", value: "\(raw)")
        }
        self.step = step
        block = try reader.value()
        signatures = try reader.list("a certificate's signatures", limit: Genesis.memberLimit)
    }

    /// The vote that each of its members signed.
    public func vote(of genesis: Digest) -> Vote {
        Vote(genesis: genesis, height: height, round: round, step: step, block: block)
    }

    /// Checks that it proves the agreement of a quorum.
    /// - Throws: ``Refusal`` `certificate-out-of-order`, `certificate-of-a-stranger`,
    ///   `bad-certificate-signature` or `certificate-below-quorum`.
    public func check(genesis: Digest, members: [NodeID], quorum: Quorum) throws(Refusal) {
        for (a, b) in zip(signatures, signatures.dropFirst()) where a.member >= b.member {
            throw Refusal(.certificateOutOfOrder, "at \(b.member.short)")
        }
        guard signatures.count >= quorum.votes else {
            throw Refusal(.certificateBelowQuorum, "\(signatures.count) votes of \(quorum.votes) needed")
        }
        let known = Set(members)
        let signed = vote(of: genesis).encoded
        for entry in signatures {
            guard known.contains(entry.member) else {
                throw Refusal(.certificateOfAStranger, "\(entry.member.short) is no member at height \(height)")
            }
            guard entry.member.verifies(entry.signature, of: signed) else {
                throw Refusal(.badCertificateSignature, "that of \(entry.member.short)")
            }
        }
    }
}
