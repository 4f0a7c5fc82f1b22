public import Contracts
import Identity

/// A genesis with the signatures it has so far: what storage keeps as the genesis. With all of them it is adopted.
public struct FoundingRecord: ByteCodable, Hashable {
    private static let domain = "poise/founding/3"

    public let genesis: Genesis
    /// In ascending order of member.
    public private(set) var signatures: [MemberSignature]

    public init(genesis: Genesis) {
        self.genesis = genesis
        signatures = []
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
        writer.text(Self.domain)
        writer.value(genesis)
        writer.list(signatures)
    }

    public init(from reader: inout ByteReader) throws {
        try reader.domain(Self.domain)
        genesis = try reader.value()
        signatures = []
        for entry in try reader.list("a genesis' signatures", of: MemberSignature.self, limit: Genesis.memberLimit) {
            guard add(entry.signature, of: entry.member) else {
                throw ByteCodingError.invalid(
                    what: "a signature of the genesis", value: "that of \(entry.member.short)")
            }
        }
    }
}
