import ConsensusCore
import Contracts
import Logging
import Runtime
import Synchronization
import Transport

/// The site's etcd, through the JSON gateway of its version 3 interface (etcd 3.4 and newer).
///
/// Every call ends within its deadline, whatever its endpoints do, but for one that logs in: that takes an etcd on a
/// small computer a second of work. The endpoint that answered last is asked first.
final class EtcdClient: Sendable {
    private struct State {
        /// The index of the endpoint to ask first.
        var first = 0
        var token: String?
        var isLoggingIn = false
        /// Why the last call failed; nil if it didn't.
        var failure: String?
        /// The endpoint that answered last.
        var answered: Endpoint?
    }

    /// Bytes of an answer at most: one small entry, and room.
    private static let responseLimit = 64 << 10
    private static let loginLimit = Duration.seconds(5)

    private let client: HTTPClient
    private let settings: EtcdSettings
    private let metrics: ConsensusMetrics
    /// For a call with all its attempts.
    private let deadline: Duration
    private let state = Mutex(State())
    private let log = Logger(label: "consensus")

    /// - Parameter timeout: milliseconds; a call that takes longer is of no use to the election.
    init(client: HTTPClient, settings: EtcdSettings, metrics: ConsensusMetrics, timeout: Int64) {
        self.client = client
        self.settings = settings
        self.metrics = metrics
        deadline = .milliseconds(timeout)
        for endpoint in settings.endpoints where settings.login != nil {
            if case .tcp(let host, _) = endpoint, !["localhost", "::1"].contains(host), !host.hasPrefix("127.") {
                log.warning("the password for etcd goes to \(endpoint) unencrypted: write https:// to protect it")
            }
        }
    }

    var check: HealthCheck {
        let (failure, answered) = state.withLock { ($0.failure, $0.answered) }
        if let failure { return HealthCheck(.warn, failure) }
        return HealthCheck(.pass, answered.map { "\($0) answers" } ?? "not asked yet")
    }

    /// What the call came to; nil if no answer was to be had.
    func answer(_ call: StoreCall) async -> StoreReply? {
        do {
            let reply = try await reply(to: call.request)
            metrics.storeCall(call.request.name, outcome: "ok")
            note(nil)
            return reply
        } catch let failure as EtcdFailure {
            metrics.storeCall(call.request.name, outcome: failure.outcome.rawValue)
            note(failure.description)
        } catch {
            metrics.storeCall(call.request.name, outcome: EtcdFailure.Outcome.unreachable.rawValue)
            note("\(error)")
        }
        return nil
    }

    /// Logs the first failure of a row and its end.
    private func note(_ failure: String?) {
        let before = state.withLock { state in
            defer { state.failure = failure }
            return state.failure
        }
        if let failure, before == nil { log.warning("etcd: \(failure)") }
        if failure == nil, before != nil { log.info("etcd answers again") }
    }

    // MARK: - Endpoints

    /// - Throws: ``EtcdFailure``; `CancellationError`.
    func reply(to request: StoreCall.Request) async throws -> StoreReply {
        let end = ContinuousClock.now + deadline
        let first = state.withLock { $0.first }
        var failures: [EtcdFailure] = []
        for offset in settings.endpoints.indices {
            let index = (first + offset) % settings.endpoints.count
            let rest = end - .now
            // One that hangs must not take the time of those that don't.
            let limit = min(rest, deadline * 2 / 5)
            guard limit > .zero else { break }
            do {
                let reply = try await loggedIn(request, at: settings.endpoints[index], within: limit)
                state.withLock { state in
                    state.first = index
                    state.answered = settings.endpoints[index]
                }
                return reply
            } catch let failure as EtcdFailure {
                failures.append(failure)
                // What etcd refuses at one endpoint it refuses at all.
                if failure.outcome == .refused { throw failure }
                state.withLock { $0.first = (index + 1) % settings.endpoints.count }
            }
        }
        throw failures.first.map { EtcdFailure($0.outcome, failures.map(\.description).joined(separator: "; ")) }
            ?? EtcdFailure(.timeout, "there was no time to ask")
    }

    // MARK: - Users

    private func loggedIn(
        _ request: StoreCall.Request, at endpoint: Endpoint, within limit: Duration
    ) async throws -> StoreReply {
        let exchange = Exchange(client: client, endpoint: endpoint, tls: settings.tls, limit: limit)
        guard let login = settings.login else { return try await exchange.reply(to: request, token: nil) }
        if let token = state.withLock({ $0.token }) {
            do { return try await exchange.reply(to: request, token: token) } catch let failure as EtcdFailure {
                guard failure.outcome == .unauthenticated else { throw failure }
                state.withLock { state in
                    if state.token == token { state.token = nil }
                }
            }
        }
        return try await exchange.reply(to: request, token: try await token(for: login, at: exchange))
    }

    /// Logs in, one call at a time: impatient ones would only add to the work.
    private func token(for login: EtcdSettings.Login, at exchange: Exchange) async throws -> String {
        let isFirst = state.withLock { state in
            defer { state.isLoggingIn = true }
            return !state.isLoggingIn
        }
        guard isFirst else { throw EtcdFailure(.timeout, "still logging in as \(login.user)") }
        defer { state.withLock { $0.isLoggingIn = false } }
        var exchange = exchange
        exchange.limit = max(exchange.limit, Self.loginLimit)
        let token = try await exchange.token(for: login)
        state.withLock { $0.token = token }
        return token
    }

    /// Calls to one endpoint.
    private struct Exchange {
        let client: HTTPClient
        let endpoint: Endpoint
        let tls: TLSFiles
        var limit: Duration

        func token(for login: EtcdSettings.Login) async throws -> String {
            let password: String
            do { password = try login.password() } catch { throw EtcdFailure(.refused, "\(error)") }
            let answer: WireToken = try await post(
                "/v3/auth/authenticate", WireLogin(name: login.user, password: password), token: nil)
            return answer.token
        }

        func reply(to request: StoreCall.Request, token: String?) async throws -> StoreReply {
            switch request {
            case .grant(let seconds):
                let lease: WireLease = try await post("/v3/lease/grant", WireLease(seconds: seconds), token: token)
                return .lease(lease.ID?.value ?? 0, seconds: lease.TTL?.value ?? 0)
            case .keepAlive(let id):
                // A stream that ends with its request: the answer has as many lines as that has leases.
                let answer: WireStreamed = try await post("/v3/lease/keepalive", WireLease(id: id), token: token)
                return .lease(answer.result.ID?.value ?? 0, seconds: answer.result.TTL?.value ?? 0)
            case .campaign(let key, let value, let lease):
                let transaction = WireTransaction.campaign(key, value, lease: lease)
                let answer: WireTransactionAnswer = try await post("/v3/kv/txn", transaction, token: token)
                guard let range = answer.range else { throw EtcdFailure(malformed: endpoint, "a transaction") }
                return .entry(range.entry)
            case .read(let key):
                let range = WireRange(key: Base64Bytes(Array(key.utf8)))
                let answer: WireRangeAnswer = try await post("/v3/kv/range", range, token: token)
                return .entry(answer.entry)
            case .revoke(let id):
                do {
                    let _: WireLease = try await post("/v3/lease/revoke", WireLease(id: id), token: token)
                } catch let failure as EtcdFailure where failure.code == WireProblem.notFound {}
                return .done
            case .remove(let key, let createRevision):
                let transaction = WireTransaction.remove(key, createRevision: createRevision)
                let _: WireTransactionAnswer = try await post("/v3/kv/txn", transaction, token: token)
                return .done
            }
        }

        private func post<Answer: Decodable>(
            _ path: String, _ body: some Encodable, token: String?
        ) async throws -> Answer {
            var request = ClientRequest(
                "POST", endpoint, path, headers: token.map { [(name: "Authorization", value: $0)] } ?? [],
                timeout: limit, responseLimit: EtcdClient.responseLimit)
            request.tls = tls
            let response: ClientResponse
            do { response = try await client.send(request, json: body) } catch let error as HTTPClientError {
                throw EtcdFailure(error, limit: limit)
            }
            guard response.status == 200 else { throw EtcdFailure(response, from: endpoint) }
            do { return try response.decode() } catch { throw EtcdFailure(malformed: endpoint, path) }
        }
    }
}

extension StoreCall.Request {
    /// For the metrics.
    fileprivate var name: String {
        switch self {
        case .grant: "grant"
        case .keepAlive: "keepalive"
        case .campaign: "campaign"
        case .read: "read"
        case .revoke: "revoke"
        case .remove: "remove"
        }
    }
}
