import Contracts
import Machine

/// Valid values of every encoded type, drawn from a seed.
struct Arbitrary {
    var random: SplitMix64

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    mutating func below(_ bound: Int) -> Int { random.next(in: 0...bound - 1) }
    mutating func flag() -> Bool { random.next(below: 2) == 0 }
    mutating func maybe<T>(_ make: (inout Arbitrary) -> T) -> T? { flag() ? make(&self) : nil }
    mutating func list<T>(_ most: Int, _ make: (inout Arbitrary) -> T) -> [T] {
        (0..<below(most + 1)).map { _ in make(&self) }
    }
    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) } }

    /// Extremes as often as what lies between.
    mutating func number() -> UInt64 {
        switch below(4) {
        case 0: 0
        case 1: .max
        case 2: UInt64(below(1_000))
        default: random.next()
        }
    }

    mutating func text(_ most: Int) -> String {
        let scalars: [Unicode.Scalar] = [
            "a", "Z", "0", " ", "\"", "\\", "\n", "\u{0}", "é", "\u{301}", "€", "\u{1F980}",
        ]
        var text = String.UnicodeScalarView()
        for _ in 0..<below(most / 4 + 1) { text.append(scalars[below(scalars.count)]) }
        return String(text)
    }

    mutating func appName() -> String {
        let first = Array("abc019"), more = Array("abc019-_.")
        return String([first[below(first.count)]] + (0..<below(8)).map { _ in more[below(more.count)] })
    }

    mutating func digest() -> Digest { Digest(unchecked: bytes(32)) }
    mutating func nodeID() -> NodeID { NodeID(unchecked: bytes(32)) }
    mutating func publicKey() -> PublicKey { PublicKey(unchecked: bytes(32)) }
    mutating func vrfKey() -> VRFKey { VRFKey(unchecked: bytes(32)) }
    mutating func signature() -> Signature { Signature(unchecked: bytes(64)) }

    mutating func pairs() -> [String: String] {
        var pairs: [String: String] = [:]
        for _ in 0..<below(5) { pairs[text(24)] = text(40) }
        return pairs
    }

    mutating func volume() -> VolumeMount {
        VolumeMount(
            kind: [.volume, .bind, .tmpfs][below(3)], source: text(40), target: text(40), readOnly: flag())
    }

    mutating func port() -> PortMapping {
        PortMapping(
            published: UInt16(1 + below(65_535)), target: UInt16(1 + below(65_535)), transport: flag() ? "tcp" : "udp")
    }

    mutating func specification() -> AppSpecification {
        AppSpecification(
            name: appName(), image: text(60), entrypoint: maybe { $0.list(3) { $0.text(20) } },
            command: maybe { $0.list(3) { $0.text(20) } }, environment: pairs(), labels: pairs(),
            volumes: list(3) { $0.volume() }, ports: list(3) { $0.port() },
            restart: RestartPolicy.allCases[below(RestartPolicy.allCases.count)],
            cpuMillicores: maybe { 1 + $0.below(64_000) }, memoryBytes: maybe { 1 + $0.below(.max) },
            hostname: maybe { $0.text(60) }, user: maybe { $0.text(60) }, workingDirectory: maybe { $0.text(60) },
            move: MovePolicy.allCases[below(MovePolicy.allCases.count)],
            isolated: IsolationPolicy.allCases[below(IsolationPolicy.allCases.count)],
            recovery: RecoveryPolicy.allCases[below(RecoveryPolicy.allCases.count)],
            constraints: list(3) { $0.constraint() },
            devices: list(3) { $0.device() })
    }

    mutating func constraint() -> PlacementConstraint {
        let isEqual = flag()
        switch below(3) {
        case 0: return PlacementConstraint(.hostname, isEqual: isEqual, appName())
        case 1: return PlacementConstraint(.architecture, isEqual: isEqual, flag() ? "aarch64" : "x86_64")
        default: return PlacementConstraint(.label(appName()), isEqual: isEqual, flag() ? "" : appName())
        }
    }

    mutating func devicePath() -> String { "/dev/" + list(2) { "\($0.appName())/" }.joined() + appName() }

    mutating func device() -> DeviceMapping {
        DeviceMapping(
            source: devicePath(), target: maybe { "/\($0.appName())" },
            permissions: ["r", "w", "m", "rw", "mr", "rwm", "mwr"][below(7)])
    }

    mutating func score() -> Score {
        func figure(_ self: inout Arbitrary) -> Int? { self.maybe { $0.flag() ? $0.below(1_000_001) : Int(Int32.max) } }
        return Score(cpu: figure(&self), ram: figure(&self), disk: figure(&self), network: figure(&self))
    }

    mutating func appScore() -> AppScore { AppScore(app: appName(), incarnation: number(), score: score()) }

    mutating func capacity() -> Capacity {
        Capacity(
            cpuMillicores: 1 + below(1 << 50), ramBytes: 1 << below(51), diskBytesPerSecond: 1 + below(1 << 30),
            networkBytesPerSecond: 1)
    }

    mutating func facts() -> Facts {
        Facts(
            architecture: text(32), kernel: text(128), engineVersion: text(64), storageDriver: text(32),
            checkpoints: flag(), pageSize: below(1 << 32),
            labels: Dictionary(list(4) { ($0.appName(), $0.text(255)) }, uniquingKeysWith: { $1 }),
            devices: Set(list(4) { $0.devicePath() }).sorted())
    }

    mutating func matrix() -> LoadMatrix {
        let rows = Dictionary(list(6) { $0.appScore() }.map { ($0.app, $0) }, uniquingKeysWith: { $1 })
        return LoadMatrix(
            timestamp: Int64(bitPattern: number()), device: score(), apps: rows.values.sorted { $0.app < $1.app },
            services: list(5) { $0.appScore() }, capacity: capacity(), facts: facts())
    }

    mutating func report() -> Report {
        Report(
            name: text(63), gossipAddress: text(255), migratorAddress: text(255), vrf: vrfKey(), load: matrix())
    }

    mutating func message() -> SignedMessage {
        SignedMessage(
            kind: MessageKind.allCases[below(MessageKind.allCases.count)], sender: nodeID(), sequence: number(),
            payload: bytes(below(300)), signature: signature())
    }

    mutating func vote() -> Vote {
        Vote(
            genesis: digest(), height: number(), round: UInt32(truncatingIfNeeded: number()),
            step: flag() ? .prevote : .precommit, block: maybe { $0.digest() })
    }

    mutating func proposal() -> Proposal {
        Proposal(
            genesis: digest(), height: number(), round: UInt32(truncatingIfNeeded: number()),
            validRound: Int32(truncatingIfNeeded: number()), block: digest())
    }

    mutating func parameters() -> SiteParameters {
        let interval = Int64(100 + below(59_901))
        return SiteParameters(
            strategy: text(32), quorum: flag() ? .byzantine : .crash, blockInterval: interval,
            idleInterval: interval + Int64(below(60_001 - Int(interval))), absentAfter: 3_000 + Int64(below(3_597_001)),
            moveDeadline: 10_000 + Int64(below(3_590_001)), declaredDemand: 1 + Int64(below(64_000)),
            margin: Int64(below(1_000_001)), coolDown: Int64(below(3_600_001)))
    }

    mutating func genesis() -> Genesis {
        var members: [NodeID: Member] = [:]
        for index in 0..<below(6) {
            let id = nodeID()
            members[id] = Member(id: id, name: "\(text(40))\(index)", vrf: vrfKey())
        }
        return Genesis(
            site: text(63), operatorKey: publicKey(), parameters: parameters(), members: Array(members.values),
            predecessor: maybe {
                Predecessor(genesis: $0.digest(), height: $0.number(), head: $0.digest(), stateRoot: $0.digest())
            })
    }

    mutating func receipt() -> Receipt {
        Receipt(
            app: appName(), incarnation: number(),
            outcome: Receipt.Outcome.allCases[below(Receipt.Outcome.allCases.count)], reason: text(200),
            shipment: maybe {
                Shipment(bytes: 1 + Int64($0.below(1 << 50)), milliseconds: 1 + Int64($0.below(3_600_000)))
            })
    }

    mutating func transaction() -> Transaction {
        switch below(7) {
        case 0: .order(order(.submit(list(3) { $0.submitted() })))
        case 1: .order(order(.remove(app: appName())))
        case 2: .order(order(.dismiss(nodeID())))
        case 3: .order(order(.configure(parameters(), from: number())))
        case 4: .join(join())
        case 5: .leave(since: number())
        default: .receipt(receipt())
        }
    }

    mutating func order(_ act: Order.Act) -> SignedOrder {
        SignedOrder(order: Order(genesis: digest(), sequence: number(), act: act), signature: signature())
    }

    mutating func invitation() -> Invitation {
        Invitation(
            genesis: digest(), site: text(63), height: number(), head: digest(), members: digest(), name: text(63),
            expires: Int64(below(1 << 60)), key: publicKey())
    }

    mutating func join() -> Join {
        Join(
            invitation: invitation(), signature: signature(),
            member: Member(id: nodeID(), name: text(63), vrf: vrfKey()), proof: signature())
    }

    mutating func evidence() -> Evidence {
        let voter = nodeID()
        let vote = Vote(genesis: digest(), height: number(), round: 1, step: .prevote, block: digest())
        var other = vote
        other.block = maybe { $0.digest() }
        let pair = [vote, other].map { SignedVote(voter: voter, vote: $0, signature: signature()) }
        guard let evidence = Evidence(pair[0], pair[1]) else { return self.evidence() }
        return evidence
    }

    mutating func submitted() -> SubmittedApp {
        SubmittedApp(specification: specification(), on: maybe { $0.nodeID() })
    }
}

extension Arbitrary {
    mutating func placement() -> Placement {
        Placement(
            height: number(), here: nodeID(),
            nodes: list(3) {
                PlacedNode(id: $0.nodeID(), name: $0.text(20), migratorAddress: $0.maybe { $0.text(20) })
            },
            apps: list(3) {
                PlacedApp(
                    specification: $0.specification(), node: $0.nodeID(), incarnation: $0.number(), running: $0.flag(),
                    move: $0.maybe {
                        MoveOrder(
                            to: $0.nodeID(), incarnation: $0.number(), height: $0.number(),
                            deadline: Int64(bitPattern: $0.number()))
                    })
            })
    }
}
