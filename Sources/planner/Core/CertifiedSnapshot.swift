public import Contracts
import Identity

/// A block without its body: its header, its builder's signature, and the votes that made it final.
public struct CertifiedHeader: ByteCodable, Hashable {
    public var header: BlockHeader
    /// The builder's, of the header's encoding.
    public var signature: Signature
    /// An encoded ``Certificate``.
    public var certificate: [UInt8]

    public init(header: BlockHeader, signature: Signature, certificate: [UInt8]) {
        self.header = header
        self.signature = signature
        self.certificate = certificate
    }

    /// What is left of a block when its body goes.
    /// - Throws: ``Refusal`` `undecodable-block`.
    public init(_ committed: CommittedBlock) throws(Refusal) {
        var reader = ByteReader(committed.block)
        do {
            header = try reader.value()
            signature = try reader.value()
        } catch {
            throw Refusal(.undecodableBlock, "\(error)")
        }
        certificate = committed.certificate
    }

    /// The block's ID, which covers no more than header and signature.
    public var id: Digest { header.blockID(signature) }

    public func encode(to writer: inout ByteWriter) {
        writer.value(header)
        writer.value(signature)
        writer.byteString(certificate)
    }

    public init(from reader: inout ByteReader) throws {
        header = try reader.value()
        signature = try reader.value()
        certificate = try reader.byteString("a certificate", limit: CommittedBlocks.certificateLimit)
    }

    /// Checks that `deciders`, who decide the block of this height, made it final.
    ///
    /// - Parameter deciders: a state of this genesis with the members before this block; nothing else of it counts.
    /// - Throws: ``Refusal``.
    func check(decidedBy deciders: SiteState) throws(Refusal) {
        guard header.genesis == deciders.genesis else { throw Refusal(.anotherGenesis, header.genesis.short) }
        guard deciders.members.contains(where: { $0.id == header.builder }) else {
            throw Refusal(.builderNotMember, header.builder.short)
        }
        guard header.builder.verifies(signature, of: header.encoded) else {
            throw Refusal(.badBuilderSignature, "of \(header.builder.short)")
        }
        try Chain.check(certificate, of: id, height: header.height, deciders)
    }
}

extension BlockHeader {
    /// The ID of the block that has this header and its builder's signature.
    func blockID(_ signature: Signature) -> Digest { Digest(of: encoded + signature.bytes, domain: "poise/block/1") }
}

/// A block that changed who decides, as far as it proves that. Links are kept for ever: they lead from the genesis to
/// the members of any later time.
public struct MembershipLink: ByteCodable, Hashable {
    /// The block after which ``members`` decide.
    public var block: CertifiedHeader
    /// In ascending order of key.
    public var members: [Member]

    public init(block: CertifiedHeader, members: [Member]) {
        self.block = block
        self.members = members
    }

    public func encode(to writer: inout ByteWriter) {
        writer.value(block)
        writer.list(members)
    }

    public init(from reader: inout ByteReader) throws {
        block = try reader.value()
        members = try reader.list("a link's members", limit: Genesis.memberLimit)
    }
}

/// The state after some block with all that proves it, to whoever knows the genesis alone.
///
/// The proof is: the genesis, signed by all its members; the operator's recoveries, if there are any; one link for each block
/// before that changed the members, made final by those of whom all that tells so far; the last block's header, made final by
/// the members then; and a state whose root that header states. What it does not prove is that every block before it was valid: for that it
/// relies on the quorums that voted for them.
public struct CertifiedSnapshot: ByteCodable, Hashable {
    private static let domain = "poise/certified-snapshot/1"
    /// Bytes of an encoded snapshot at most: 32 MiB.
    public static let sizeLimit = 32 << 20
    /// Links at most; their bytes count as well.
    public static let linkLimit = 65_536

    public var founding: FoundingRecord
    /// Of blocks below ``last``, in ascending order of height.
    public var links: [MembershipLink]
    /// The block after which the state stands.
    public var last: CertifiedHeader
    /// ``SiteState/snapshot``.
    public var state: [UInt8]

    public init(founding: FoundingRecord, links: [MembershipLink], last: CertifiedHeader, state: [UInt8]) {
        self.founding = founding
        self.links = links
        self.last = last
        self.state = state
    }

    public var height: UInt64 { last.header.height }

    public func encode(to writer: inout ByteWriter) {
        writer.text(Self.domain)
        writer.value(founding)
        writer.list(links)
        writer.value(last)
        writer.byteString(state)
    }

    public init(from reader: inout ByteReader) throws {
        try reader.domain(Self.domain)
        founding = try reader.value()
        links = try reader.list("a snapshot's links", limit: Self.linkLimit)
        last = try reader.value()
        state = try reader.byteString("a snapshot's state", limit: Self.sizeLimit)
    }

    /// The name by which its bytes are asked for, piece by piece.
    public static func digest(of bytes: [UInt8]) -> Digest { Digest(of: bytes, domain: "poise/snapshot-bytes/1") }

    /// Reads a snapshot from bytes of another node. Nothing but its form, and the signatures of the genesis, is
    /// checked: ``verify(genesis:)`` does the rest.
    /// - Throws: ``ChainFault`` with `snapshot-too-large` or `undecodable-snapshot`.
    public static func decode(_ bytes: [UInt8]) throws(ChainFault) -> CertifiedSnapshot {
        guard bytes.count <= sizeLimit else {
            let refusal = Refusal(.snapshotTooLarge, "\(bytes.count) bytes, at most \(sizeLimit) are allowed")
            throw ChainFault(height: 0, refusal: refusal, refusal.detail)
        }
        do {
            return try CertifiedSnapshot(encoded: bytes)
        } catch {
            let refusal = Refusal(.undecodableSnapshot, "\(error)")
            throw ChainFault(height: 0, refusal: refusal, refusal.detail)
        }
    }

    /// What a snapshot proves.
    public struct Proven: Sendable {
        public var state: SiteState
        /// All up to and with its last block.
        public var links: [MembershipLink]
    }

    /// Checks everything.
    ///
    /// - Parameter genesis: a name of the chain that is trusted: the hash of its genesis or of a recovery.
    /// - Throws: ``ChainFault`` with the height of what is wrong.
    public func verify(genesis: Digest) throws(ChainFault) -> Proven {
        var height: UInt64 = 0
        do throws(Refusal) {
            guard founding.names.contains(genesis) else {
                throw Refusal(.anotherGenesis, "\(founding.genesis.hash.short), not \(genesis.short)")
            }
            guard founding.isComplete else {
                let count = founding.signatures.count
                throw Refusal(
                    .incompleteGenesis, "\(count) of \(founding.genesis.members.count) members have signed it")
            }
            var deciders = SiteState(genesis: founding.genesis)
            var recoveries = founding.recoveries[...]
            for link in links {
                let before = height
                height = link.block.header.height
                guard height > before, height < last.header.height else {
                    throw Refusal(.linkOutOfOrder, "a link of block \(height) after one of \(before)")
                }
                try Self.recover(&deciders, by: &recoveries, before: height)
                try link.block.check(decidedBy: deciders)
                guard link.block.header.nextMembers == .members(link.members) else {
                    throw Refusal(.wrongMembersHash, link.block.header.nextMembers.short)
                }
                deciders.members = link.members
            }
            height = last.header.height
            guard height > 0 else { throw Refusal(.wrongHeight, "a snapshot of no block") }
            try Self.recover(&deciders, by: &recoveries, before: height)
            try last.check(decidedBy: deciders)
            let state = try provenState()
            let isLink = state.members != deciders.members
            return Proven(
                state: state, links: links + (isLink ? [MembershipLink(block: last, members: state.members)] : []))
        } catch {
            throw ChainFault(height: height, refusal: error, error.detail)
        }
    }

    /// Who decides the block of `height`, if the operator has recovered the chain before it.
    private static func recover(
        _ deciders: inout SiteState, by recoveries: inout ArraySlice<Recovery>, before height: UInt64
    ) throws(Refusal) {
        while let next = recoveries.first, next.predecessor.height < height {
            try deciders.decide(by: next)
            recoveries.removeFirst()
        }
    }

    /// The state, which must be the one that the last header states in all that the header and the root cover.
    private func provenState() throws(Refusal) -> SiteState {
        let found: SiteState
        do {
            found = try SiteState(snapshot: state, genesis: founding.genesis(of: height))
        } catch {
            throw Refusal(.undecodableSnapshot, "its state: \(error)")
        }
        let header = last.header
        guard found.height == header.height, found.time == header.time, found.term == header.term else {
            throw Refusal(
                .snapshotOfAnotherBlock,
                "its state stands at height \(found.height), time \(found.time), term \(found.term)")
        }
        guard found.head == last.id, found.headSignature == last.signature else {
            throw Refusal(.snapshotOfAnotherBlock, "its state follows block \(found.head.short), not \(last.id.short)")
        }
        guard header.nextMembers == .members(found.members) else {
            throw Refusal(.wrongMembersHash, header.nextMembers.short)
        }
        let root = found.root
        guard header.stateRoot == root else {
            throw Refusal(.wrongStateRoot, "\(header.stateRoot.short), computed \(root.short)")
        }
        // One state has one encoding, so that a snapshot can be named by the digest of its bytes.
        guard found.snapshot == state else { throw Refusal(.undecodableSnapshot, "its state is not in order") }
        return found
    }
}
