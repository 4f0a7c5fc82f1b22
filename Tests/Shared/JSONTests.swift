import Contracts
import Testing
import Transport

/// What the services tell each other as JSON: each value comes back as it went, and looks as other programs expect it.
@Suite struct JSONTests {
    private func returns<T: Codable & Equatable>(_ value: T) throws -> Bool {
        let bytes = try JSON.encode(value)
        #expect(!bytes.contains(0x0A), "a feed's line is one line")
        return try JSON.decode(T.self, from: bytes) == value
    }

    @Test(arguments: 0..<40 as Range<UInt64>) func everyFeedsValuesComeBack(seed: UInt64) throws {
        var some = Arbitrary(seed: seed)
        #expect(try returns(some.matrix()), "seed \(seed)")
        #expect(try returns(some.report()), "seed \(seed)")
        #expect(try returns(FeedMessage(cursor: some.text(40), message: some.message())), "seed \(seed)")
        #expect(
            try returns(Publication(kind: .vote, payload: some.bytes(some.below(99)), to: some.maybe { $0.nodeID() })),
            "seed \(seed)")
        #expect(try returns(SigningRequest(purpose: .genesis, bytes: some.bytes(some.below(99)))), "seed \(seed)")
        #expect(try returns(SigningResponse(signer: some.nodeID(), signature: some.signature())), "seed \(seed)")
        #expect(
            try returns(
                Leadership(
                    engine: some.text(20), term: some.number(), leader: some.maybe { $0.nodeID() },
                    certificate: some.maybe { $0.bytes(9) })),
            "seed \(seed)")
        #expect(
            try returns(
                SiteHead(
                    genesis: some.digest(), site: some.digest(), height: some.number(), membersSince: some.number(),
                    seed: some.digest(),
                    epochSeed: some.digest(),
                    members: some.list(4) {
                        Voter(id: $0.nodeID(), vrf: VRFKey(unchecked: $0.bytes(32)), since: $0.number())
                    })),
            "seed \(seed)")
        #expect(try returns(Blame(leader: some.nodeID(), term: some.number(), height: some.number())), "seed \(seed)")
        #expect(try returns(some.receipt()), "seed \(seed)")
        #expect(try returns(some.genesis()), "seed \(seed)")
        #expect(try returns(some.placement()), "seed \(seed)")
        let checks = ["a": HealthCheck(.warn, some.text(30)), "b": HealthCheck(.pass)]
        #expect(try returns(Health(service: "planner", version: "1", checks: checks)), "seed \(seed)")
        #expect(try returns(Problem(400 + some.below(200), "some-code", some.text(99))), "seed \(seed)")
    }

    @Test func valuesLookAsTheContractsSay() throws {
        let key = NodeID(unchecked: [UInt8](repeating: 0xAB, count: 32))
        let hex = String(repeating: "ab", count: 32)
        func text(_ value: some Encodable) throws -> String { String(decoding: try JSON.encode(value), as: UTF8.self) }
        #expect(
            try text(Leadership(engine: "raft", term: .max, leader: nil))
                == #"{"engine":"raft","term":18446744073709551615}"#)
        #expect(
            try text(Leadership(engine: "raft", term: 1, leader: key))
                == #"{"engine":"raft","leader":"\#(hex)","term":1}"#)
        #expect(
            try text(Publication(kind: .election, payload: [1, 2], to: key))
                == #"{"kind":"election","payload":"AQI=","to":"\#(hex)"}"#)
        #expect(
            try text(SigningRequest(purpose: .proposal, bytes: [255, 239, 255]))
                == #"{"bytes":"/+//","purpose":"proposal"}"#)
        #expect(
            try text(Problem(404, "unknown-app", "there is no app x"))
                == #"{"detail":"there is no app x","status":404,"title":"Unknown app","type":"urn:poise:problem:unknown-app"}"#
        )
        #expect(
            try text(
                Health(
                    service: "gossip", version: "1",
                    checks: ["peers": HealthCheck(.warn, "none"), "x": HealthCheck(.fail)]))
                == #"{"checks":{"peers":{"output":"none","status":"warn"},"x":{"status":"fail"}},"serviceId":"gossip","status":"fail","version":"1"}"#
        )
        #expect(try text([key: 1]) == #"{"\#(hex)":1}"#)
        #expect(try text(Score(cpu: 1, network: 0)) == #"{"cpu":1,"network":0}"#)
    }

    @Test func theWorstCheckIsTheStatus() {
        func status(_ checks: HealthStatus...) -> HealthStatus {
            Health(
                service: "x", version: "1",
                checks: Dictionary(uniqueKeysWithValues: checks.enumerated().map { ("\($0)", HealthCheck($1)) })
            ).status
        }
        #expect(status() == .pass)
        #expect(status(.pass, .pass) == .pass)
        #expect(status(.pass, .warn) == .warn)
        #expect(status(.warn, .fail, .pass) == .fail)
    }

    @Test(arguments: [
        #"{"kind":"votes","payload":""}"#, #"{"kind":7,"payload":""}"#, #"{"kind":"vote","payload":"A"}"#,
        #"{"kind":"vote","payload":"","to":"ab"}"#, #"{"kind":"vote"}"#, "[]", "null", "", "{",
        #"{"kind":"vote","payload":""}x"#,
    ])
    func whatIsNoPublicationIsRefused(_ text: String) {
        #expect(throws: DecodingError.self) { try JSON.decode(Publication.self, from: Array(text.utf8)) }
    }

    /// A body may nest as deeply as its bytes allow: the reader must refuse, and not run out of stack.
    @Test(arguments: ["[", "{\"a\":", "[{\"a\":"]) func deepNestingIsRefused(_ opening: String) {
        struct Nested: Codable {
            var a: [Nested]?
        }
        let text = String(repeating: opening, count: 100_000)
        #expect(throws: DecodingError.self) { try JSON.decode(Nested.self, from: Array(text.utf8)) }
        #expect(throws: DecodingError.self) { try JSON.decode([String].self, from: Array(text.utf8)) }
    }

    @Test func prettyTextIsTheSameValue() throws {
        let value = ["b": 1, "a": 2]
        let text = try JSON.pretty(value)
        #expect(text.contains("\n"))
        #expect(try JSON.decode([String: Int].self, from: Array(text.utf8)) == value)
    }
}

@Suite struct EndpointTests {
    @Test(arguments: [
        ("pi1", "pi1:7700"), ("pi1:80", "pi1:80"), ("10.0.0.1", "10.0.0.1:7700"), ("10.0.0.1:65535", "10.0.0.1:65535"),
        ("[fe80::1]:80", "[fe80::1]:80"), ("[::1]", "[::1]:7700"), ("::1", "[::1]:7700"),
        ("a-b_c.local", "a-b_c.local:7700"),
        ("fe80::1%eth0", "[fe80::1%eth0]:7700"),
    ])
    func addressesAreRead(_ text: String, _ expected: String) throws {
        #expect(try Endpoint(parsing: text, defaultPort: 7_700).description == expected)
    }

    @Test(arguments: [
        "", ":80", "a:", "a:0", "a:65536", "a:-1", "a:b", "a:80:90x", "a b", "a/b", "http://a", "a%2fb", "[a]:80",
        "fe80::1%", "%eth0", "a@b", "é", "[]",
        "[::1]:", "a\n",
        String(repeating: "a", count: 254),
    ])
    func whatIsNoAddressIsRefused(_ text: String) {
        let error = #expect(throws: EndpointError.self) { try Endpoint(parsing: text, defaultPort: 7_700) }
        #expect(
            error?.description.hasSuffix("is no address: write host or host:port, with a port from 1 to 65535") == true)
    }
}
