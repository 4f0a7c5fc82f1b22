public import Contracts
import Identity

/// A genesis with the signatures it has so far: what storage keeps as the genesis. With all of them it is adopted.
///
/// If the operator has recovered the chain since, the recoveries are part of it: nobody can have the one without the others.
public struct FoundingRecord: ByteCodable, Hashable {
    private static let domain = "poise/founding/4"

    public let genesis: Genesis
    /// In ascending order of member.
    public private(set) var signatures: [MemberSignature]
    /// Each names the one before it, the first the genesis. In ascending order of height; several may be of one height.
    public internal(set) var recoveries: [Recovery]

    public init(genesis: Genesis) {
        self.genesis = genesis
        signatures = []
        recoveries = []
    }

    /// Whether the bytes claim to be one.
    static func begins(_ bytes: [UInt8]) -> Bool {
        var reader = ByteReader(bytes)
        return (try? reader.domain(domain)) != nil
    }

    /// What another node says of this chain's recoveries. No signature but the operator's is checked: the rest must be as it is here.
    ///
    /// - Returns: nil if the bytes are of another chain.
    /// - Throws: ``ByteCodingError`` with the first recovery that is none.
    func retold(by bytes: [UInt8]) throws -> FoundingRecord? {
        var told = self
        told.recoveries = []
        var writer = ByteWriter()
        told.encodeFounding(to: &writer)
        guard bytes.starts(with: writer.bytes) else { return nil }
        var reader = ByteReader(Array(bytes.dropFirst(writer.bytes.count)))
        try told.addRecoveries(from: &reader)
        try reader.finish()
        return told
    }

    public var isComplete: Bool { signatures.count == genesis.members.count }

    public func signature(of member: NodeID) -> Signature? { signatures.first { $0.member == member }?.signature }

    /// Adds a member's signature.
    /// - Returns: whether it is a member's, genuine and new.
    public mutating func add(_ signature: Signature, of member: NodeID) -> Bool {
        guard genesis.members.contains(where: { $0.id == member }), self.signature(of: member) == nil,
            member.verifies(signature, of: genesis.signedBytes)
        else { return false }
        signatures.append(MemberSignature(member: member, signature: signature))
        signatures.sort { $0.member < $1.member }
        return true
    }

    public func encode(to writer: inout ByteWriter) {
        encodeFounding(to: &writer)
        writer.list(recoveries)
    }

    private func encodeFounding(to writer: inout ByteWriter) {
        writer.text(Self.domain)
        writer.value(genesis)
        writer.list(signatures)
    }

    public init(from reader: inout ByteReader) throws {
        try reader.domain(Self.domain)
        genesis = try reader.value()
        signatures = []
        recoveries = []
        for entry in try reader.list("a genesis' signatures", of: MemberSignature.self, limit: Genesis.memberLimit) {
            guard add(entry.signature, of: entry.member) else {
                throw ByteCodingError.invalid(
                    what: "a signature of the genesis", value: "that of \(entry.member.short)")
            }
        }
        try addRecoveries(from: &reader)
    }

    private mutating func addRecoveries(from reader: inout ByteReader) throws {
        for recovery in try reader.list("the recoveries", of: Recovery.self, limit: RecoveryPath.limit) {
            do throws(Refusal) {
                try add(recovery)
            } catch {
                throw ByteCodingError.invalid(what: "a recovery", value: "\(error)")
            }
        }
    }
}
