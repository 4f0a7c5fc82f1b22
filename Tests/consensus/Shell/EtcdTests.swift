import ConsensusCore
import Contracts
import FoundationEssentials
import Runtime
import Synchronization
import Testing
import Transport

@testable import consensus

/// The client and a participant against a real etcd.
@Suite(
    .serialized, .timeLimit(.minutes(3)),
    .enabled(if: EtcdServer.isInstalled || EtcdServer.isRequired, Comment(rawValue: EtcdServer.reason)))
struct EtcdTests {
    private static let key = "poise/test/leader"
    private static let timeout: Int64 = 2_000

    private static func client(
        _ endpoints: [Endpoint], tls: TLSFiles = TLSFiles(), login: EtcdSettings.Login? = nil,
        metrics: ConsensusMetrics = ConsensusMetrics()
    ) -> EtcdClient {
        EtcdClient(
            client: HTTPClient(), settings: EtcdSettings(endpoints: endpoints, tls: tls, login: login),
            metrics: metrics, timeout: timeout)
    }

    /// Waits for what other processes and tasks bring about.
    private static func eventually(
        _ what: String, within seconds: Int64 = 20, _ condition: () async throws -> Bool
    ) async throws {
        let end = MonotonicClock.nowMilliseconds() + seconds * 1_000
        while true {
            let began = MonotonicClock.nowMilliseconds()
            if try await condition() { return }
            try #require(began < end, "waited in vain until \(what)")
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    private static func ready(_ client: EtcdClient, _ server: EtcdServer) async throws {
        do {
            try await eventually("etcd answers") { (try? await client.reply(to: .read(key: key))) != nil }
        } catch {
            Issue.record("etcd says: \(server.log.suffix(2_000)); the client says: \(client.check)")
            throw error
        }
    }

    private static func grant(_ client: EtcdClient, seconds: Int64 = 2) async throws -> Int64 {
        guard case .lease(let lease, let granted) = try await client.reply(to: .grant(seconds: seconds)) else {
            throw Program.Failed(description: "no lease")
        }
        #expect(granted >= seconds)
        return lease
    }

    private static func failure(_ client: EtcdClient) async throws -> EtcdFailure {
        try #require(await #expect(throws: EtcdFailure.self) { try await client.reply(to: .read(key: key)) })
    }

    @Test func aKeyIsCampaignedForKeptAndExpires() async throws {
        let server = try EtcdServer()
        let client = Self.client([server.endpoint])
        try await Self.ready(client, server)
        #expect(try await client.reply(to: .read(key: Self.key)) == .entry(nil))
        let lease = try await Self.grant(client)
        let value = Array("somebody".utf8)
        let won = try await client.reply(to: .campaign(key: Self.key, value: value, lease: lease))
        guard case .entry(let entry?) = won else { throw Program.Failed(description: "\(won)") }
        #expect(entry.value == value && entry.lease == lease && entry.createRevision > 0)
        for _ in 0..<10 {
            try await Task.sleep(for: .milliseconds(300))
            #expect(try await client.reply(to: .keepAlive(lease: lease)) == .lease(lease, seconds: 2))
        }
        #expect(try await client.reply(to: .read(key: Self.key)) == won)
        // What is left alone ends; and what has ended can't be kept.
        try await Self.eventually("the lease expires") {
            try await client.reply(to: .read(key: Self.key)) == .entry(nil)
        }
        #expect(try await client.reply(to: .keepAlive(lease: lease)) == .lease(lease, seconds: 0))
        #expect(try await client.reply(to: .revoke(lease: lease)) == .done)
    }

    @Test func ofTwoThatContendOneWins() async throws {
        let server = try EtcdServer()
        let clients = [Self.client([server.endpoint]), Self.client([server.endpoint])]
        try await Self.ready(clients[0], server)
        for _ in 0..<20 {
            let leases = [try await Self.grant(clients[0]), try await Self.grant(clients[1])]
            async let first = clients[0].reply(to: .campaign(key: Self.key, value: [1], lease: leases[0]))
            async let second = clients[1].reply(to: .campaign(key: Self.key, value: [2], lease: leases[1]))
            let replies = try await [first, second]
            #expect(replies[0] == replies[1])
            guard case .entry(let entry?) = replies[0] else { throw Program.Failed(description: "\(replies)") }
            // Only what is still there is removed.
            let stale = StoreCall.Request.remove(key: Self.key, createRevision: entry.createRevision - 1)
            #expect(try await clients[0].reply(to: stale) == .done)
            #expect(try await clients[1].reply(to: .read(key: Self.key)) == replies[0])
            let exact = StoreCall.Request.remove(key: Self.key, createRevision: entry.createRevision)
            #expect(try await clients[1].reply(to: exact) == .done)
            #expect(try await clients[0].reply(to: .read(key: Self.key)) == .entry(nil))
            for lease in leases { #expect(try await clients[0].reply(to: .revoke(lease: lease)) == .done) }
        }
    }

    @Test func anEndpointThatIsDownIsPassedOver() async throws {
        let server = try EtcdServer()
        let dead = Endpoint.tcp(host: "127.0.0.1", port: try EtcdServer.freePort())
        let metrics = ConsensusMetrics()
        let client = Self.client([dead, server.endpoint], metrics: metrics)
        try await Self.ready(client, server)
        #expect(await client.answer(StoreCall(number: 1, .read(key: Self.key))) == .entry(nil))
        #expect(client.check == HealthCheck(.pass, "\(server.endpoint) answers"))
        server.kill()
        #expect(await client.answer(StoreCall(number: 2, .read(key: Self.key))) == nil)
        #expect(client.check.status == .warn)
        for endpoint in [dead, server.endpoint] {
            #expect(
                client.check.output?.contains(
                    "can't reach \(endpoint): Connection refused; see that etcd runs there and that "
                        + "POISE_ETCD_ENDPOINTS is right") == true)
        }
        let text = metrics.metrics.render()
        #expect(text.contains("poise_consensus_store_calls_total{call=\"read\",outcome=\"ok\"} 1\n"))
        #expect(text.contains("poise_consensus_store_calls_total{call=\"read\",outcome=\"unreachable\"} 1\n"))
    }

    @Test func anEndpointThatHangsTakesNoTimeFromTheOthers() async throws {
        let server = try EtcdServer()
        try await Self.ready(Self.client([server.endpoint]), server)
        let silent = try SilentServer()
        let client = Self.client([silent.endpoint, server.endpoint])
        let began = MonotonicClock.nowMilliseconds()
        #expect(try await client.reply(to: .read(key: Self.key)) == .entry(nil))
        let first = MonotonicClock.nowMilliseconds()
        #expect((Self.timeout * 2 / 5..<Self.timeout).contains(first - began))
        #expect(try await client.reply(to: .read(key: Self.key)) == .entry(nil))
        #expect(MonotonicClock.nowMilliseconds() - first < Self.timeout * 2 / 5)
        let slow = try await Self.failure(Self.client([silent.endpoint]))
        #expect(
            slow.description == "\(silent.endpoint) did not answer within 800 ms; if it is slow but well, raise "
                + "POISE_ELECTION_TIMEOUT_MS on all devices")
    }

    // MARK: - A participant

    /// Devices whose gossip is down: an election through etcd needs none.
    private final class Site: Sendable {
        let participants: [Participant]
        let ids = (1...3).map { NodeID(unchecked: [UInt8](repeating: UInt8($0), count: 32)) }
        private let directory: String
        private let running = Mutex<[Task<Void, any Error>]>([])

        init(_ endpoint: Endpoint) throws {
            directory = try EtcdServer.makeDirectory()
            var environment = [
                "POISE_ELECTION": "etcd", "POISE_HEARTBEAT_MS": "100", "POISE_ELECTION_TIMEOUT_MS": "600",
            ]
            environment["POISE_ETCD_ENDPOINTS"] = "http://\(endpoint)"
            let settings = try ConsensusSettings(
                try ConsensusOptions.parse([]), try Settings(config: nil, environment: environment))
            participants = try ids.map { [directory] id in
                let state = "\(directory)/\(id.short)"
                try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: true)
                let metrics = ConsensusMetrics()
                let gossip = GossipClient(client: HTTPClient(), runDirectory: state, metrics: metrics, patience: 600)
                let etcd = EtcdClient(
                    client: HTTPClient(), settings: try #require(settings.etcd), metrics: metrics, timeout: 600)
                return try Participant(
                    settings: settings, store: ElectionStore(directory: state, engine: "etcd"), gossip: gossip,
                    questions: Questions(gossip: gossip, etcd: etcd), metrics: metrics)
            }
            for (participant, id) in zip(participants, ids) { start(participant, id) }
        }

        private func start(_ participant: Participant, _ id: NodeID) {
            let feed = GossipFeed(client: HTTPClient(), runDirectory: directory)
            let task = Task { try await participant.run(as: id, following: feed) }
            running.withLock { $0.append(task) }
            participant.take(
                SiteHead(
                    genesis: .zero, site: .zero, height: 1, seed: .zero, epochSeed: .zero,
                    members: ids.map { Voter(id: $0, vrf: .zero) }))
        }

        func stop(_ index: Int) { running.withLock { $0[index] }.cancel() }

        deinit {
            for task in running.withLock({ $0 }) { task.cancel() }
            try? FileManager.default.removeItem(atPath: directory)
        }

        func agreed(without index: Int? = nil) -> Leadership? {
            let all = participants.indices.filter { $0 != index }.map { participants[$0].leadership }
            guard let first = all[0], first.leader != nil, all.allSatisfy({ $0 == first }) else { return nil }
            return first
        }
    }

    @Test func whileEtcdIsDownNobodyLeadsAndSomebodyDoesOnceItIsBack() async throws {
        let server = try EtcdServer()
        let site = try Site(server.endpoint)
        try await Self.eventually("a leader") { site.agreed() != nil }
        server.kill()
        let died = MonotonicClock.nowMilliseconds()
        try await Self.eventually("nobody leads") {
            site.participants.allSatisfy { $0.leadership.map { $0.leader == nil } ?? false }
        }
        // What was read counts for 600 ms; the rest is this machine's.
        #expect(MonotonicClock.nowMilliseconds() - died < 3_000)
        try await Task.sleep(for: .milliseconds(700))
        let health = await site.participants[0].health(gossip: HealthCheck(.pass))
        #expect(health["leader"]?.output?.contains("etcd has given no answer for 600 ms") == true, "\(health)")
        try server.start()
        try await Self.eventually("a leader again", within: 30) { site.agreed() != nil }
        // Who leads and stops alone is followed by another.
        let before = try #require(site.agreed())
        let leader = try #require(site.ids.firstIndex { $0 == before.leader })
        site.stop(leader)
        try await Self.eventually("another leader", within: 30) {
            site.agreed(without: leader).map { $0.term > before.term && $0.leader != before.leader } ?? false
        }
    }

    // MARK: - Certificates and users

    @Test func certificatesAreCheckedBothWays() async throws {
        let files = try EtcdServer.makeDirectory()
        defer { try? FileManager.default.removeItem(atPath: files) }
        try EtcdServer.makeCertificates(in: files)
        let server = try EtcdServer(tls: files)
        let good = TLSFiles(
            authorities: "\(files)/ca.pem", certificate: "\(files)/client.pem", key: "\(files)/client.key")
        try await Self.ready(Self.client([server.endpoint], tls: good), server)

        var other = good
        other.authorities = "\(files)/other.pem"
        let untrusted = try await Self.failure(Self.client([server.endpoint], tls: other))
        #expect(untrusted.description.contains("no trusted connection to \(server.endpoint): "))
        #expect(untrusted.description.contains("certificate"))
        #expect(untrusted.description.contains("POISE_ETCD_CA"))
        other.authorities = nil
        #expect(
            try await Self.failure(Self.client([server.endpoint], tls: other)).description.contains("POISE_ETCD_CA"))

        let nameless = TLSFiles(authorities: good.authorities)
        let refused = try await Self.failure(Self.client([server.endpoint], tls: nameless))
        #expect(refused.description.contains("POISE_ETCD_CERT"), "\(refused)")

        guard case .https(_, let port) = server.endpoint else { throw Program.Failed(description: "no https") }
        // The certificate is the address' and not the name's.
        let misnamed = try await Self.failure(Self.client([.https(host: "localhost", port: port)], tls: good))
        #expect(misnamed.description.contains("names the endpoint's host"), "\(misnamed)")
        let plain = try await Self.failure(Self.client([.tcp(host: "127.0.0.1", port: port)]))
        #expect(plain.description.contains("if etcd wants TLS, write https:// in POISE_ETCD_ENDPOINTS"), "\(plain)")
    }

    private static func post(_ endpoint: Endpoint, _ path: String, _ body: String) async throws {
        let request = ClientRequest("POST", endpoint, path, body: Array(body.utf8))
        try await HTTPClient().send(request).successful()
    }

    /// A user `poise` that may read and write below `poise/`, and one `guest` that may do nothing.
    private static func enableUsers(at endpoint: Endpoint) async throws {
        let range =
            "\"key\":\"\(Base64Bytes.encode("poise/".utf8.map(\.self)))\","
            + "\"range_end\":\"\(Base64Bytes.encode("poise0".utf8.map(\.self)))\""
        for (path, body) in [
            ("user/add", "{\"name\":\"root\",\"password\":\"root\"}"),
            ("user/add", "{\"name\":\"poise\",\"password\":\"secret word\"}"),
            ("user/add", "{\"name\":\"guest\",\"password\":\"secret word\"}"), ("role/add", "{\"name\":\"root\"}"),
            ("role/add", "{\"name\":\"elects\"}"),
            ("role/grant", "{\"name\":\"elects\",\"perm\":{\"permType\":\"READWRITE\",\(range)}}"),
            ("user/grant", "{\"user\":\"root\",\"role\":\"root\"}"),
            ("user/grant", "{\"user\":\"poise\",\"role\":\"elects\"}"), ("enable", "{}"),
        ] { try await post(endpoint, "/v3/auth/\(path)", body) }
    }

    @Test func usersLogInAndLogInAgainWhenTheirTokenHasExpired() async throws {
        let files = try EtcdServer.makeDirectory()
        defer { try? FileManager.default.removeItem(atPath: files) }
        let (key, publicKey) = ("\(files)/token.key", "\(files)/token.pub")
        try Program.run(["openssl", "genrsa", "-out", key, "2048"], log: "\(files)/log")
        try Program.run(["openssl", "rsa", "-in", key, "-pubout", "-out", publicKey], log: "\(files)/log")
        let server = try EtcdServer([
            "--auth-token", "jwt,pub-key=\(publicKey),priv-key=\(key),sign-method=RS256,ttl=1s",
        ])
        let nobody = Self.client([server.endpoint])
        try await Self.ready(nobody, server)
        let password = "\(files)/password"
        try DurableFile(path: password).write(Array("secret word\n".utf8))
        let login = EtcdSettings.Login(user: "poise", passwordFile: password)
        let early = try await Self.failure(Self.client([server.endpoint], login: login))
        #expect(early.description.contains("unset POISE_ETCD_USER"), "\(early)")
        try await Self.enableUsers(at: server.endpoint)

        let user = Self.client([server.endpoint], login: login)
        let lease = try await Self.grant(user, seconds: 60)
        for _ in 0..<3 {
            try await Task.sleep(for: .milliseconds(1_200))
            let reply = try await user.reply(to: .campaign(key: Self.key, value: [1], lease: lease))
            #expect(try await user.reply(to: .read(key: Self.key)) == reply)
            #expect(try await user.reply(to: .keepAlive(lease: lease)) == .lease(lease, seconds: 60))
        }

        #expect(try await Self.failure(nobody).description.contains("set POISE_ETCD_USER"))
        let guest = EtcdSettings.Login(user: "guest", passwordFile: password)
        let forbidden = try await Self.failure(Self.client([server.endpoint], login: guest))
        #expect(forbidden.description.contains("permission denied; let the user POISE_ETCD_USER read and write"))
        try DurableFile(path: password).write(Array("wrong word".utf8))
        let wrong = try await Self.failure(Self.client([server.endpoint], login: login))
        #expect(wrong.description.contains("check POISE_ETCD_USER and POISE_ETCD_PASSWORD_FILE"), "\(wrong)")
        #expect(!wrong.description.contains("wrong word") && !forbidden.description.contains("secret word"))
    }

    @Test func aServerThatForgotItsTokensIsLoggedInAtAgain() async throws {
        let server = try EtcdServer()
        try await Self.ready(Self.client([server.endpoint]), server)
        try await Self.enableUsers(at: server.endpoint)
        let password = "\(server.directory)/password"
        try DurableFile(path: password).write(Array("secret word".utf8))
        let user = Self.client([server.endpoint], login: EtcdSettings.Login(user: "poise", passwordFile: password))
        #expect(try await user.reply(to: .read(key: Self.key)) == .entry(nil))
        server.kill()
        try server.start()
        try await Self.ready(user, server)
    }
}
