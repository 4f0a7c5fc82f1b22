import Contracts
import Identity

@testable import PlannerCore

/// What a test asks of a chain.
enum Ask {
    case submit([SubmittedApp])
    case remove(app: String)
    case receipt(Receipt)
    case other(Transaction)
}

extension SigningKey {
    /// The operator's in tests.
    static let testOperator = SigningKey(seed: [UInt8](repeating: 200, count: 32))!
}

extension SignedOrder {
    /// An order of the test's operator.
    static func test(_ act: Order.Act, genesis: Digest, sequence: UInt64) -> SignedOrder {
        let order = Order(genesis: genesis, sequence: sequence, act: act)
        return SignedOrder(order: order, signature: SigningKey.testOperator.sign(order.signedBytes))
    }
}

/// A chain grown block by block without agreement: what the fold and the rules of validity are tested on.
struct TestChain {
    let keys: [SigningKey]
    let genesis: Genesis
    var state: SiteState
    /// The block that was taken last.
    var last: Block?
    var sequence: UInt64 = 0
    /// Base load of each node in ppm, by its index.
    var base: [Int: Int] = [:]
    /// What nodes say of themselves where it isn't the usual, by their index.
    var facts: [Int: Facts] = [:]

    init(nodes: Int, parameters: SiteParameters = SiteParameters(absentAfter: 15_000)) {
        keys = (0..<nodes).map { SigningKey(seed: [UInt8](repeating: UInt8($0 + 1), count: 32))! }
            .sorted { $0.nodeID < $1.nodeID }
        genesis = Genesis(
            site: "lab", operatorKey: SigningKey.testOperator.publicKey, parameters: parameters,
            members: keys.enumerated().map { Member(id: $1.nodeID, name: "pi\($0 + 1)", vrf: $1.vrf.publicKey) })
        state = SiteState(genesis: genesis)
    }

    func id(_ index: Int) -> NodeID { keys[index].nodeID }

    mutating func seal(_ kind: MessageKind, _ payload: [UInt8], by index: Int, site: String = "lab") -> SignedMessage {
        sequence += 1
        let signed = SignedMessage.signedBytes(
            site: .site(named: site), kind: kind, sequence: sequence, payload: payload)
        return SignedMessage(
            kind: kind, sender: id(index), sequence: sequence, payload: payload, signature: keys[index].sign(signed))
    }

    mutating func transaction(_ ask: Ask, by index: Int) -> SignedMessage {
        seal(.transaction, transaction(ask).encoded, by: index)
    }

    mutating func transaction(_ ask: Ask) -> Transaction {
        switch ask {
        case .submit(let apps): order(.submit(apps))
        case .remove(let app): order(.remove(app: app))
        case .receipt(let receipt): .receipt(receipt)
        case .other(let transaction): transaction
        }
    }

    mutating func order(_ act: Order.Act) -> Transaction {
        sequence += 1
        return .order(.test(act, genesis: genesis.hash, sequence: sequence))
    }

    /// - Parameter apps: millicores by name, of apps that the chain has here.
    mutating func report(
        by index: Int, apps: [String: Int] = [:], cores: Int = 2, ramBytes: Int = 1 << 30, pageSize: Int? = nil,
        ram: Int? = nil
    ) -> SignedMessage {
        let capacity = Capacity(
            cpuMillicores: cores * 1_000, ramBytes: ramBytes, diskBytesPerSecond: 1 << 32,
            networkBytesPerSecond: 1 << 32)
        let scores = apps.sorted { $0.key < $1.key }.map { name, millicores in
            AppScore(
                app: name, incarnation: state.apps[name]?.incarnation ?? 0,
                score: Score(cpu: millicores * 1_000_000 / (cores * 1_000)))
        }
        let device = scores.reduce(base[index] ?? 0) { $0 + ($1.score.cpu ?? 0) }
        var facts = facts[index] ?? .test
        if let pageSize { facts.pageSize = pageSize }
        let load = LoadMatrix(
            timestamp: 0, device: Score(cpu: device, ram: ram), apps: scores, services: [], capacity: capacity,
            facts: facts)
        let report = Report(
            name: "pi\(index + 1)", gossipAddress: "10.0.0.\(index):7700", migratorAddress: "10.0.0.\(index):7701",
            vrf: keys[index].vrf.publicKey, load: load)
        return seal(.report, report.encoded, by: index)
    }

    func block(
        transactions: [SignedMessage] = [], reports: [SignedMessage] = [], builder: Int = 0, after: Int64 = 1_000
    ) -> Block {
        let time = state.height == 0 ? 1_700_000_000_000 : state.time + after
        let maker = BlockBuilder(
            parent: state, builder: id(builder),
            leadership: Leadership(engine: "raft", term: max(1, state.term), leader: id(builder)), time: time,
            draw: keys[builder].vrf.prove(state.nextDraw.encoded))
        let decoded = transactions.compactMap { message in
            (try? Transaction(encoded: message.payload.bytes)).map { (message, $0) }
        }
        let (header, body) = maker.build(reports: reports, transactions: decoded)
        return sign(header, body, by: builder)
    }

    func sign(_ header: BlockHeader, _ body: BlockBody, by builder: Int) -> Block {
        Block(header: header, signature: keys[builder].sign(header.encoded), body: body)
    }

    /// Builds and takes a block.
    @discardableResult
    mutating func grow(
        _ transactions: [Ask] = [], by index: Int = 0, reports: [SignedMessage] = [], after: Int64 = 1_000
    ) throws(Refusal) -> Block {
        var messages: [SignedMessage] = []
        for entry in transactions { messages.append(transaction(entry, by: index)) }
        let block = block(transactions: messages, reports: reports, after: after)
        state = try Validity.check(block, after: state)
        last = block
        return block
    }

    /// A report of every node, apps as the chain has them.
    mutating func reports(demand: [String: Int] = [:], silent: Set<Int> = []) -> [SignedMessage] {
        var messages: [SignedMessage] = []
        for index in keys.indices where !silent.contains(index) {
            let here = state.apps.values.filter { $0.node == id(index) && $0.phase == .running }
            let apps = here.map { ($0.specification.name, demand[$0.specification.name] ?? 100) }
            messages.append(report(by: index, apps: Dictionary(uniqueKeysWithValues: apps)))
        }
        return messages
    }

    func certify(_ block: Block, round: UInt32 = 0, by signers: [Int]? = nil) -> CommittedBlock {
        let vote = Vote(
            genesis: genesis.hash, height: block.header.height, round: round, step: .precommit, block: block.id)
        let signatures = (signers ?? Array(keys.indices)).map {
            MemberSignature(member: id($0), signature: keys[$0].sign(vote.encoded))
        }
        let certificate = Certificate(
            height: block.header.height, round: round, step: .precommit, block: block.id,
            signatures: signatures.sorted { $0.member < $1.member })
        return CommittedBlock(
            height: block.header.height, id: block.id, block: block.encoded, certificate: certificate.encoded)
    }

    var record: FoundingRecord {
        var record = FoundingRecord(genesis: genesis)
        for key in keys { _ = record.add(key.sign(genesis.signedBytes), of: key.nodeID) }
        return record
    }

    /// The state with its proof.
    func snapshot(by signers: [Int]? = nil) throws -> CertifiedSnapshot {
        guard let last else { throw Refusal(.wrongHeight, "there is no block yet") }
        return CertifiedSnapshot(
            founding: record, links: [], last: try CertifiedHeader(certify(last, by: signers)), state: state.snapshot)
    }

    /// Submits an app and lets it run on `node`.
    mutating func run(_ name: String, on node: Int) throws(Refusal) {
        try grow([.submit([SubmittedApp(specification: .test(name), on: id(node))])])
        try grow()
        let incarnation = state.apps[name]?.incarnation ?? 0
        try grow([.receipt(Receipt(app: name, incarnation: incarnation, outcome: .running))], by: node)
    }
}
