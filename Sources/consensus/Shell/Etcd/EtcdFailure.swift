import Contracts
import Transport

/// Why etcd gave no answer of use, and what to do about it.
struct EtcdFailure: Error, CustomStringConvertible {
    enum Outcome: String, Sendable {
        /// Another endpoint may be better.
        case unreachable, timeout, malformed
        /// The token is none any more: log in again.
        case unauthenticated
        /// All endpoints would say the same.
        case refused
    }

    var outcome: Outcome
    var description: String
    /// gRPC's, if etcd said one.
    var code: Int?

    init(_ outcome: Outcome, _ description: String, code: Int? = nil) {
        self.outcome = outcome
        self.description = description
        self.code = code
    }

    init(malformed endpoint: Endpoint, _ what: String) {
        self.init(
            .malformed, "\(endpoint) answered \(what) with what is no answer of etcd's; is it an etcd 3.4 or newer?")
    }

    init(_ error: HTTPClientError, limit: Duration) {
        switch error {
        case .timedOut(let endpoint):
            self.init(
                .timeout,
                "\(endpoint) did not answer within \(limit.wholeMilliseconds) ms; if it is slow but well, raise "
                    + "POISE_ELECTION_TIMEOUT_MS on all devices")
        case .unreachable:
            self.init(.unreachable, "\(error); see that etcd runs there and that POISE_ETCD_ENDPOINTS is right")
        case .untrusted:
            self.init(
                .unreachable,
                "\(error); see that POISE_ETCD_CA is the authority of etcd's certificate, that this names the endpoint's "
                    + "host, and that etcd accepts POISE_ETCD_CERT")
        case .broken(.https, _):
            // With TLS 1.3 a client learns only after its part of the handshake that its certificate was refused.
            self.init(.unreachable, "\(error); see that etcd accepts POISE_ETCD_CERT, or set it if etcd wants one")
        case .broken:
            self.init(.unreachable, "\(error); if etcd wants TLS, write https:// in POISE_ETCD_ENDPOINTS")
        case .invalidRequest, .responseTooLarge: self.init(.malformed, "\(error)")
        }
    }

    /// From an answer that isn't 200.
    init(_ response: ClientResponse, from endpoint: Endpoint) {
        guard let problem = try? response.decode(WireProblem.self) else {
            let text = String(decoding: response.body.prefix(200), as: UTF8.self)
            let hint =
                response.status == 404
                ? "is its gateway on (--enable-grpc-gateway), and is it an etcd 3.4 or newer?"
                : "is POISE_ETCD_ENDPOINTS right, http or https too?"
            self.init(.malformed, "\(endpoint) answered with status \(response.status), \"\(text)\"; \(hint)")
            return
        }
        let said = "\(endpoint): \(problem.message)"
        let code = problem.code
        switch code {
        case WireProblem.unauthenticated: self.init(.unauthenticated, said, code: code)
        case WireProblem.unavailable: self.init(.unreachable, said, code: code)
        case WireProblem.permissionDenied:
            self.init(
                .refused,
                "\(said); let the user POISE_ETCD_USER read and write under poise/ (etcdctl role grant-permission ROLE "
                    + "readwrite poise/ --prefix)", code: code)
        case _ where problem.message.contains("auth store is old"): self.init(.unauthenticated, said, code: code)
        case _ where problem.message.contains("user name is empty"):
            self.init(.refused, "\(said); set POISE_ETCD_USER and POISE_ETCD_PASSWORD_FILE", code: code)
        case _ where problem.message.contains("invalid user ID or password"):
            self.init(.refused, "\(said); check POISE_ETCD_USER and POISE_ETCD_PASSWORD_FILE", code: code)
        case _ where problem.message.contains("authentication is not enabled"):
            self.init(
                .refused, "\(said); unset POISE_ETCD_USER and POISE_ETCD_PASSWORD_FILE, or run etcdctl auth enable",
                code: code)
        case _ where response.status >= 500: self.init(.unreachable, said, code: code)
        default: self.init(.refused, said, code: code)
        }
    }
}

extension Duration {
    fileprivate var wholeMilliseconds: Int64 {
        components.seconds * 1_000 + components.attoseconds / 1_000_000_000_000_000
    }
}
