import Contracts
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
    var parameters: SiteParameters
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
        members = state.members
    }
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
    /// The document with its members' signatures, in the encoding that `planner chain verify` checks.
    var signed: Base64Bytes
}
