import Contracts
import Identity
import PlannerCore

/// The last block: `GET /chain/head`.
struct HeadView: Codable, Hashable, Sendable {
    var site: String
    var genesis: Digest
    var height: UInt64
    /// The block's ID; zeros before the first.
    var id: Digest
    /// Block time, milliseconds since 1970; 0 before the first.
    var time: Int64
    var term: UInt64
    var stateRoot: Digest
    var operatorKey: PublicKey
    /// What the next block is planned by.
    var parameters: SiteParameters
    /// What later ones will be, if the operator ordered a change.
    var scheduled: ScheduledView?
    var members: [Member]

    init(_ state: SiteState, site: String) {
        self.site = site
        genesis = state.genesis
        height = state.height
        id = state.head
        time = state.time
        term = state.term
        stateRoot = state.root
        operatorKey = state.operatorKey
        parameters = state.parameters
        scheduled = state.scheduled.map { ScheduledView(height: $0.height, parameters: $0.parameters) }
        members = state.members
    }
}

/// Parameters that hold from a block on.
struct ScheduledView: Codable, Hashable, Sendable {
    var height: UInt64
    var parameters: SiteParameters
}

/// Where the operator had a chain go on with those who were left.
struct RecoveryView: Codable, Hashable, Sendable {
    /// The last block of the chain that had lost its quorum, and that chain's name.
    var height: UInt64
    var head: Digest
    var predecessor: Digest
    /// The name since, and who went on.
    var genesis: Digest
    var members: [Member]

    init(_ recovery: Recovery) {
        height = recovery.predecessor.height
        head = recovery.predecessor.head
        predecessor = recovery.predecessor.genesis
        genesis = recovery.genesis.hash
        members = recovery.genesis.members
    }
}

/// What the operator would have to sign: `GET /chain/recovery`.
struct RecoveryDraft: Codable, Hashable, Sendable {
    /// The chain's new name.
    var hash: Digest
    var genesis: Genesis
    /// ``genesis`` in its own encoding.
    var encoded: Base64Bytes

    init(_ genesis: Genesis) {
        hash = genesis.hash
        self.genesis = genesis
        encoded = Base64Bytes(genesis.encoded)
    }
}

/// The body of `POST /recoveries`.
struct RecoveryRequest: Codable, Sendable {
    /// The encoding of a ``Recovery``.
    var recovery: Base64Bytes
    /// Also without members that answer, or while there is a quorum; nil for no.
    var force: Bool?
}

/// A committed block in its own encoding, for programs that check it themselves: `GET /chain/blocks?raw=true`.
struct RawBlock: Codable, Hashable, Sendable {
    var height: UInt64
    var id: Digest
    var block: Base64Bytes
    var certificate: Base64Bytes

    init(_ committed: CommittedBlock) {
        height = committed.height
        id = committed.id
        block = Base64Bytes(committed.block)
        certificate = Base64Bytes(committed.certificate)
    }
}

/// The founding document: `GET /chain/genesis`.
struct GenesisView: Codable, Hashable, Sendable {
    var hash: Digest
    var genesis: Genesis
    /// In their order.
    var recoveries: [RecoveryView]
    /// The document with its members' signatures and the recoveries, in the encoding that `planner chain verify` checks.
    var signed: Base64Bytes
}
