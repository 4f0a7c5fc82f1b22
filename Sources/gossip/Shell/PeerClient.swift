import Contracts
import GossipCore
import Runtime
import Transport

/// What one node asks of another over TCP.
///
/// This and ``NodeRoutes`` are all that touches the network, and here mutual TLS will be decided. Until then whoever
/// reaches the port can read the site's messages; forge them they can't.
struct PeerClient: Sendable {
    /// How a caller says where it can be called back; see ``NodeRoutes``.
    static let addressHeader = "Poise-Address"
    /// How an answer says which node gives it.
    static let nodeHeader = "Poise-Node"
    private static let timeout = Duration.seconds(3)

    let client: HTTPClient

    enum Outcome<Value: Sendable>: Sendable {
        /// With the round trip in microseconds.
        case done(Value, roundTrip: Int64)
        /// May work another time.
        case failed(String)
        /// Will not.
        case refused(String)
    }

    func send(_ batch: Batch, to peer: NodeID, at address: String) async -> Outcome<Void> {
        await exchange("POST", address, "/messages", with: peer, body: batch.encoded) { _ in }
    }

    func ask(_ question: Question, of peer: NodeID, at address: String) async -> Outcome<[Bool]> {
        await exchange("POST", address, "/dynt", with: peer, body: question.encoded) {
            try Needs(encoded: $0.body).needed
        }
    }

    func identify(_ address: String, own: String) async -> Outcome<NodeInfo> {
        await exchange("GET", address, "/node", headers: own.isEmpty ? [] : [(Self.addressHeader, own)]) {
            try $0.decode(NodeInfo.self)
        }
    }

    func peers(of peer: NodeID, at address: String) async -> Outcome<[PeerHint]> {
        await exchange("GET", address, "/peers", with: peer) { try $0.decode([PeerHint].self) }
    }

    /// - Parameter peer: who must answer. Another node there means that the peer has moved or has a new key; what it
    ///   answers is not the peer's word. As nothing proves the header, this is for mistakes, not against attacks.
    private func exchange<Value: Sendable>(
        _ method: String, _ address: String, _ path: String, with peer: NodeID? = nil,
        headers: [(name: String, value: String)] = [], body: [UInt8] = [], _ read: (ClientResponse) throws -> Value
    ) async -> Outcome<Value> {
        do {
            let endpoint = try Endpoint(parsing: address, defaultPort: GossipSettings.defaultPort)
            let request = ClientRequest(
                method, endpoint, path, headers: headers, body: body, timeout: Self.timeout, responseLimit: 1 << 20)
            let clock = ContinuousClock()
            let began = clock.now
            let response = try await client.send(request)
            let roundTrip = Int64((clock.now - began) / .microseconds(1))
            if let peer, response.headers[Self.nodeHeader.lowercased()] != peer.description {
                return .failed("at \(address) answers another than \(peer.short)")
            }
            if (400..<500).contains(response.status) {
                return .refused(Problem(status: response.status, body: response.body).detail)
            }
            return .done(try read(try response.successful()), roundTrip: roundTrip)
        } catch let error as DecodingError {
            return .refused("its answer is not understood: \(error.place)")
        } catch let error as ByteCodingError {
            return .refused("its answer is not understood: \(error)")
        } catch {
            return .failed("\(error)")
        }
    }
}
