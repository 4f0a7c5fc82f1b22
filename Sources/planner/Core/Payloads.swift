// What planners tell each other: the payloads of messages of kind `status`, `proposal`, `vote` and `blocks`. That of
// `genesis` is a SignedGenesis, that of `transaction` a Transaction.

public import Contracts
import Identity

/// Where a node's chain stands: the payload of `status`, sent every second.
public struct ChainStatus: ByteCodable, Hashable {
    /// Transactions in one status at most.
    public static let pendingLimit = 64

    public var genesis: Digest
    /// The last committed height and block.
    public var height: UInt64
    public var head: Digest
    /// The round of the height after it.
    public var round: UInt32
    /// The one node that is asked to send the blocks after `height`; nil for none.
    public var asks: NodeID?
    /// Its own transactions that no block holds yet, as it signed them first: a flood may have missed somebody.
    public var pending: [SignedMessage]

    public init(
        genesis: Digest, height: UInt64, head: Digest, round: UInt32, asks: NodeID? = nil, pending: [SignedMessage] = []
    ) {
        self.genesis = genesis
        self.height = height
        self.head = head
        self.round = round
        self.asks = asks
        self.pending = pending
    }

    public func encode(to writer: inout ByteWriter) {
        writer.text("poise/status/1")
        writer.value(genesis)
        writer.integer(height)
        writer.value(head)
        writer.integer(round)
        writer.optional(asks)
        writer.list(pending)
    }

    public init(from reader: inout ByteReader) throws {
        try reader.domain("poise/status/1")
        genesis = try reader.value()
        height = try reader.integer()
        head = try reader.value()
        round = try reader.integer()
        asks = try reader.optional()
        pending = try reader.list("a status' transactions", limit: Self.pendingLimit)
    }
}

/// A proposal with its block: the payload of `proposal`, whose sender is the proposer.
public struct ProposalMessage: ByteCodable, Hashable {
    public var proposal: Proposal
    /// The proposer's, of the proposal's encoding.
    public var signature: Signature
    public var block: [UInt8]
    /// The prevotes of `proposal.validRound` for the block, in ascending order of member: who missed them can't answer
    /// a block that is proposed again. Empty for a fresh block.
    public var prevotes: [MemberSignature]

    public init(proposal: Proposal, signature: Signature, block: [UInt8], prevotes: [MemberSignature]) {
        self.proposal = proposal
        self.signature = signature
        self.block = block
        self.prevotes = prevotes
    }

    public func encode(to writer: inout ByteWriter) {
        writer.value(proposal)
        writer.value(signature)
        writer.byteString(block)
        writer.list(prevotes)
    }

    public init(from reader: inout ByteReader) throws {
        proposal = try reader.value()
        signature = try reader.value()
        block = try reader.byteString("a proposal's block", limit: Block.sizeLimit)
        prevotes = try reader.list("a proposal's prevotes", limit: Genesis.memberLimit)
    }
}

extension SignedVote {
    public var isGenuine: Bool { voter.verifies(signature, of: vote.encoded) }
}

/// Committed blocks in ascending order of height: the payload of `blocks`, sent to the one node that asked.
public struct CommittedBlocks: ByteCodable, Hashable {
    /// Blocks in one message at most.
    public static let countLimit = 16
    /// Bytes of blocks and certificates in one message at most; a block with its certificate always fits.
    public static let byteLimit = 1_020_000
    static let certificateLimit = 110_000

    public struct Entry: ByteCodable, Hashable {
        public var block: [UInt8]
        public var certificate: [UInt8]

        public init(block: [UInt8], certificate: [UInt8]) {
            self.block = block
            self.certificate = certificate
        }

        public func encode(to writer: inout ByteWriter) {
            writer.byteString(block)
            writer.byteString(certificate)
        }

        public init(from reader: inout ByteReader) throws {
            block = try reader.byteString("a block", limit: Block.sizeLimit)
            certificate = try reader.byteString("a certificate", limit: certificateLimit)
        }
    }

    public var entries: [Entry]

    public init(entries: [Entry]) { self.entries = entries }

    /// What to send to `node` of these consecutive blocks: as many as fit one message, nil if there are none.
    public static func publication(of blocks: [CommittedBlock], to node: NodeID) -> Publication? {
        var entries: [Entry] = []
        var size = 0
        for block in blocks.prefix(countLimit) {
            size += block.block.count + block.certificate.count + 8
            guard size <= byteLimit else { break }
            entries.append(Entry(block: block.block, certificate: block.certificate))
        }
        guard !entries.isEmpty else { return nil }
        return Publication(kind: .blocks, payload: CommittedBlocks(entries: entries).encoded, to: node)
    }

    public func encode(to writer: inout ByteWriter) { writer.list(entries) }

    public init(from reader: inout ByteReader) throws {
        entries = try reader.list("the committed blocks", limit: Self.countLimit)
    }
}
