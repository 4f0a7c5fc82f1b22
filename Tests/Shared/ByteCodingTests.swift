import Contracts
import Glibc
import Machine
import Testing

/// One encoded type, with what must hold for it.
struct EncodedType: Sendable, CustomTestStringConvertible {
    let testDescription: String
    fileprivate let exercise: @Sendable (UInt64) -> [String]

    init<T: ByteCodable & Equatable>(_ make: @escaping @Sendable (inout Arbitrary) -> T) {
        testDescription = "\(T.self)"
        exercise = { seed in Self.faults(of: make, seed) }
    }

    static let all: [EncodedType] = [
        EncodedType { $0.digest() }, EncodedType { $0.nodeID() }, EncodedType { $0.signature() },
        EncodedType { $0.volume() }, EncodedType { $0.port() }, EncodedType { $0.specification() },
        EncodedType { $0.constraint() }, EncodedType { $0.device() },
        EncodedType { $0.score() }, EncodedType { $0.appScore() }, EncodedType { $0.capacity() },
        EncodedType { $0.facts() }, EncodedType { $0.matrix() }, EncodedType { $0.report() },
        EncodedType { $0.message() }, EncodedType { $0.vote() }, EncodedType { $0.proposal() },
        EncodedType { $0.parameters() }, EncodedType { $0.genesis() }, EncodedType { $0.receipt() },
        EncodedType { $0.transaction() }, EncodedType { $0.submitted() },
        EncodedType { Member(id: $0.nodeID(), name: $0.text(63), vrf: $0.vrfKey()) },
        EncodedType { Draw(genesis: $0.digest(), height: $0.number(), seed: $0.digest()) },
        EncodedType { $0.order(.dismiss($0.nodeID())) }, EncodedType { $0.invitation() },
        EncodedType { $0.join() }, EncodedType { $0.evidence() },
        EncodedType {
            InvitationToken(invitation: $0.invitation(), signature: $0.signature(), seed: $0.bytes(32))
        },
        EncodedType { SignedGenesis(genesis: $0.genesis(), signature: $0.signature()) },
    ]

    /// What is wrong with the encoding of one value: nothing, if all is well.
    private static func faults<T: ByteCodable & Equatable>(
        of make: (inout Arbitrary) -> T, _ seed: UInt64
    ) -> [String] {
        var faults: [String] = []
        var arbitrary = Arbitrary(seed: seed)
        let value = make(&arbitrary)
        let bytes = value.encoded
        func read(_ bytes: [UInt8]) -> Result<T, any Error> { Result { try T(encoded: bytes) } }

        guard case .success(let again) = read(bytes) else { return ["\(value) isn't read back: \(read(bytes))"] }
        if again != value { faults.append("\(value) is read back as \(again)") }
        if again.encoded != bytes { faults.append("\(value) read back is encoded otherwise") }

        for count in 0..<bytes.count {
            guard case .failure(let error) = read(Array(bytes[..<count])) else {
                faults.append("\(count) of \(bytes.count) bytes are taken for a whole value")
                continue
            }
            if error as? ByteCodingError != .truncated(at: count) { faults.append("cut at \(count): \(error)") }
        }
        for more in [1, 100] {
            guard case .failure(let error) = read(bytes + arbitrary.bytes(more)) else {
                faults.append("\(more) bytes too many are not noticed")
                continue
            }
            if error as? ByteCodingError != .trailing(count: more) { faults.append("\(more) too many: \(error)") }
        }
        for turn in 0..<80 {
            let mutated = turn < 60 ? arbitrary.mutate(bytes) : arbitrary.bytes(arbitrary.below(200))
            switch read(mutated) {
            // One value has one encoding: what can be read is just what is written.
            case .success(let value):
                if value.encoded != mutated { faults.append("\(mutated) is a second encoding of \(value)") }
            case .failure(let error):
                if (error as? ByteCodingError)?.description.isEmpty ?? true { faults.append("\(error)") }
            }
        }
        return faults
    }
}

extension Arbitrary {
    /// `bytes` with one to four things wrong with them.
    fileprivate mutating func mutate(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for _ in 0...below(4) where !bytes.isEmpty {
            let place = below(bytes.count)
            switch below(6) {
            case 0: bytes[place] ^= 1 << UInt8(below(8))
            case 1: bytes[place] = UInt8(truncatingIfNeeded: random.next())
            case 2: bytes.remove(at: place)
            case 3: bytes.insert(UInt8(below(4)), at: place)
            case 4:
                // A count as large as can be, wherever a count may stand.
                for index in place..<min(place + 4, bytes.count) { bytes[index] = 0xFF }
            default:
                let other = below(bytes.count)
                bytes.replaceSubrange(min(place, other)..<max(place, other), with: bytes.prefix(below(8)))
            }
        }
        return bytes
    }
}

@Suite(.timeLimit(.minutes(1))) struct ByteCodingTests {
    /// 50 seeds of each type, 60 mutations and 20 strings of noise each: about 90,000 damaged encodings.
    @Test(arguments: EncodedType.all) func anEncodingIsTheOnlyOneOfItsValue(_ type: EncodedType) {
        for seed in 0..<50 as Range<UInt64> {
            let faults = type.exercise(seed)
            #expect(faults.isEmpty, "seed \(seed): \(faults.prefix(3).joined(separator: "\n"))")
            if !faults.isEmpty { return }
        }
    }

    private func error<T>(_ body: () throws -> T) -> ByteCodingError? {
        do {
            _ = try body()
            return nil
        } catch { return error as? ByteCodingError }
    }

    private func bytes(_ write: (inout ByteWriter) -> Void) -> [UInt8] {
        var writer = ByteWriter()
        write(&writer)
        return writer.bytes
    }

    @Test func integersAreBigEndianOfFixedWidth() throws {
        let written = bytes {
            $0.integer(UInt8(1))
            $0.integer(UInt16(2))
            $0.integer(Int32(-3))
            $0.integer(UInt64.max - 1)
            $0.integer(Int64.min)
            $0.bool(true)
            $0.text("é")
        }
        #expect(
            Hex.encode(written) == "01" + "0002" + "fffffffd" + "fffffffffffffffe" + "8000000000000000" + "01"
                + "00000002c3a9")
        var reader = ByteReader(written)
        #expect(try reader.integer(UInt8.self) == 1)
        #expect(try reader.integer(UInt16.self) == 2)
        #expect(try reader.integer(Int32.self) == -3)
        #expect(try reader.integer(UInt64.self) == .max - 1)
        #expect(try reader.integer(Int64.self) == .min)
        #expect(try reader.bool())
        #expect(try reader.text("a text", limit: 2) == "é")
        try reader.finish()
    }

    @Test func countsBeyondTheirLimitAreRefusedBeforeAnythingIsRead() {
        for count in [4, 5, 1 << 16, UInt32(Int32.max), .max] as [UInt32] {
            let input = bytes { $0.integer(count) } + [1, 2, 3, 4]
            func limited<T>(_ read: (inout ByteReader) throws -> T) -> ByteCodingError? {
                var reader = ByteReader(input)
                return error { try read(&reader) }
            }
            let expected = ByteCodingError.tooLong(what: "it", count: Int(count), limit: 3)
            #expect(limited { try $0.byteString("it", limit: 3) } == expected)
            #expect(limited { try $0.text("it", limit: 3) } == expected)
            #expect(limited { try $0.list("it", of: Digest.self, limit: 3) } == expected)
            #expect(limited { try $0.texts("it", limit: 3, each: 9) } == expected)
            #expect(limited { try $0.pairs("it", limit: 3, each: 9) } == expected)
        }
    }

    /// A count within its limit is no promise either: memory follows the bytes that are there, not the count.
    @Test func anAttackersCountAllocatesNothing() {
        let before = Self.peakBytes()
        let huge = bytes { $0.integer(UInt32.max) } + [UInt8](repeating: 0, count: 100)
        for _ in 0..<100 {
            var reader = ByteReader(huge)
            #expect(error { try reader.list("it", of: SiteParameters.self, limit: .max) } != nil)
            reader = ByteReader(huge)
            #expect(error { try reader.byteString("it", limit: .max) } == .truncated(at: 104))
            reader = ByteReader(huge)
            #expect(error { try reader.pairs("it", limit: .max, each: .max) } != nil)
        }
        #expect(Self.peakBytes() - before < 64 << 20)
    }

    private static func peakBytes() -> Int {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return Int(usage.ru_maxrss) * 1_024
    }

    @Test(
        arguments: [
            [0xFF], [0xC3], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0x61, 0x80], [0xE2, 0x82],
        ] as [[UInt8]])
    func textThatIsNoUTF8IsRefused(_ text: [UInt8]) {
        var reader = ByteReader(bytes { $0.byteString(text) })
        #expect(error { try reader.text("a name", limit: 9) } == .invalid(what: "a name", value: "not UTF-8"))
    }

    @Test func pairsStandInTheOrderOfTheirBytes() throws {
        func read(_ pairs: [(String, String)]) throws -> [String: String] {
            var reader = ByteReader(
                bytes {
                    $0.integer(UInt32(pairs.count))
                    for (key, value) in pairs {
                        $0.text(key)
                        $0.text(value)
                    }
                })
            return try reader.pairs("labels", limit: 9, each: 9)
        }
        #expect(try read([("a", "1"), ("b", "2")]) == ["a": "1", "b": "2"])
        // By Swift's order "e\u{301}" comes after "z"; by its bytes before. Two builds must not differ over it.
        #expect(try read([("e\u{301}", ""), ("z", ""), ("é!", "")]).count == 3)
        #expect(error { try read([("b", ""), ("a", "")]) } == .invalid(what: "labels", value: "out of order at \"a\""))
        #expect(error { try read([("a", ""), ("a", "")]) } == .invalid(what: "labels", value: "out of order at \"a\""))
        #expect(error { try read([("e\u{301}", ""), ("é", "")]) } != nil, "one text, written in two ways")
    }

    @Test func whatIsOutOfRangeIsNamed() {
        var arbitrary = Arbitrary(seed: 1)
        let (genesis, matrix) = (arbitrary.genesis(), arbitrary.matrix())
        func refused<T: ByteCodable>(_ value: T) -> String {
            error { try T(encoded: value.encoded) }?.description ?? "nothing"
        }

        #expect(refused(SiteParameters(blockInterval: 99)).hasPrefix("the block interval is 99, outside 100...60000"))
        #expect(refused(Score(cpu: -1)) == "the CPU score is -1, which is not allowed")
        #expect(refused(PortMapping(published: 0, target: 1)) == "a port is 0:1/tcp, which is not allowed")
        #expect(
            refused(PortMapping(published: 1, target: 1, transport: "ip")) == "a port is 1:1/ip, which is not allowed")
        #expect(
            refused(Capacity(cpuMillicores: 0, ramBytes: 1, diskBytesPerSecond: 1, networkBytesPerSecond: 1))
                == "the CPU capacity is 0, which is not allowed")
        #expect(refused(AppSpecification(name: "-a", image: "i")) == "an app's name is \"-a\", which is not allowed")
        #expect(refused(AppSpecification(name: "a", image: "i", cpuMillicores: 0)).hasPrefix("a CPU limit is 0"))
        #expect(
            refused(Order(genesis: .zero, sequence: 0, act: .remove(app: "A")))
                == "an app's name is \"A\", which is not allowed")
        #expect(
            refused(PlacementConstraint(.label("A"), "")).hasPrefix("a constraint's subject is \"node.labels.A\""))
        #expect(refused(PlacementConstraint(.hostname, "")).hasPrefix("a constraint's value is \"\""))
        #expect(refused(PlacementConstraint(.label("a"), " a")).hasPrefix("a constraint's value is \" a\""))
        #expect(refused(DeviceMapping(source: "/etc/a")).hasPrefix("a device is \"/etc/a:/etc/a:rwm\""))
        #expect(refused(DeviceMapping(source: "/dev/a", permissions: "rr")).hasPrefix("a device is "))
        var facts = matrix.facts
        (facts.labels, facts.devices) = (["A": ""], [])
        #expect(refused(facts) == "a label's key is \"A\", which is not allowed")
        (facts.labels, facts.devices) = ([:], ["/dev/b", "/dev/a"])
        #expect(refused(facts) == "the device's devices is out of order at /dev/a, which is not allowed")
        let large = Dictionary(uniqueKeysWithValues: (0..<20).map { ("\($0)", String(repeating: "x", count: 4_000)) })
        #expect(
            refused(AppSpecification(name: "a", image: "i", environment: large)).hasPrefix("the app a has 80"))

        var twice = matrix
        twice.apps = [
            AppScore(app: "a", incarnation: 1, score: Score()), AppScore(app: "a", incarnation: 2, score: Score()),
        ]
        #expect(refused(twice) == "the state matrix is out of order at a, which is not allowed")
        var same = genesis
        same.members = [NodeID(unchecked: arbitrary.bytes(32)), NodeID(unchecked: arbitrary.bytes(32))].sorted().map {
            Member(id: $0, name: "pi", vrf: .zero)
        }
        #expect(refused(same) == "the members is two of one name, which is not allowed")
        same.members.reverse()
        #expect(refused(same).hasPrefix("the members is out of order at "))
        let long = SignedMessage(
            kind: .blocks, sender: arbitrary.nodeID(), sequence: 1,
            payload: [UInt8](repeating: 0, count: SignedMessage.payloadLimit + 1), signature: .zero)
        #expect(refused(long) == "a payload has 1048577 entries or bytes; at most 1048576 are allowed")
    }

    @Test func aTagTellsOneKindOfSignedBytesFromAnother() {
        var arbitrary = Arbitrary(seed: 2)
        let (vote, proposal) = (arbitrary.vote(), arbitrary.proposal())
        #expect(
            error { try Vote(encoded: proposal.encoded) }?.description
                == "the domain tag is \"poise/proposal/1\", not \"poise/vote/1\", which is not allowed")
        #expect(throws: ByteCodingError.self) { try Proposal(encoded: vote.encoded) }
        #expect(throws: ByteCodingError.self) { try Vote(encoded: arbitrary.genesis().signedBytes) }
    }
}
