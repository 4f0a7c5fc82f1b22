import Contracts
import GossipCore
import Identity
import Machine
import Testing
import Transport

@testable import gossip

/// The whole service: processes that find each other over loopback.
@Suite(.serialized) struct GossipServiceTests {
    private let site = GossipMachine.siteDigest("poise")
    private let chain = Digest(of: [1], domain: "test")

    /// Two devices of which the second knows where the first is, and they have met.
    private func pair() async throws -> (Device, Device) {
        let ports = Ports.take(2)
        let first = Device("pi1", port: ports[0])
        let second = Device("pi2", port: ports[1], peers: [ports[0]])
        try await first.start()
        try await second.start()
        try await meet(first, second)
        return (first, second)
    }

    private func meet(_ first: Device, _ second: Device) async throws {
        let ids = (try await first.node().id, try await second.node().id)
        try await eventually("the two are connected") {
            let there = try await first.isConnected(to: ids.1)
            return try await second.isConnected(to: ids.0) && there
        }
    }

    private func signed(_ kind: MessageKind, by key: SigningKey, payload: [UInt8] = []) -> SignedMessage {
        let bytes = SignedMessage.signedBytes(site: site, kind: kind, sequence: 1, payload: payload)
        return SignedMessage(
            kind: kind, sender: key.nodeID, sequence: 1, payload: payload, signature: key.sign(bytes))
    }

    private func key(_ number: UInt8) throws -> SigningKey {
        try #require(SigningKey(seed: [UInt8](repeating: number, count: SigningKey.seedCount)))
    }

    private func code(_ response: ClientResponse) -> String {
        let problem = Problem(status: response.status, body: response.body)
        return "\(response.status) \(problem.code)"
    }

    @Test func whatOneSaysTheOtherHears() async throws {
        let (first, second) = try await pair()
        let reader = Reader(first)
        let small = try await second.publish("small")
        // large enough to be asked about first
        let large = try await second.publish(String(repeating: "large", count: 1_000))
        try await eventually("both messages arrive") { reader.messages.count == 2 }
        #expect(Set(reader.messages) == [small, large])
        let asked = try await second.metric(#"poise_gossip_dynt_total{answer="needed"}"#)
        #expect(asked == 1)
    }

    @Test func aDeviceThatWasKilledGoesOnWhereItWas() async throws {
        let (first, second) = try await pair()
        let there = Reader(first)
        let here = Reader(second)
        let before = try await second.publish("before")
        try await eventually("it arrives") { there.messages == [before] && here.messages == [before] }
        let cursor = try #require(here.cursor)
        let id = try await second.node().id
        second.kill()
        _ = try await first.publish("unheard")
        try await eventually("the loss is noticed") { try await !first.isConnected(to: id) }
        try await second.start()
        #expect(try await second.node().id == id)
        try await meet(first, second)

        // a cursor of the run before counts as none
        let again = Reader(second, cursor: cursor)
        let news = try await first.publish("news")
        try await eventually("the feed resumes") { again.messages.contains(news) }
        let after = try await second.publish("after")
        #expect(after.sender == id)
        #expect(after.sequence > before.sequence)
        try await eventually("it is heard again") { there.messages.contains(after) }
    }

    @Test func aDeviceWithANewKeyIsANewPeer() async throws {
        let (first, second) = try await pair()
        let old = try await second.node().id
        second.kill()
        second.forget()
        try await second.start()
        let new = try await second.node().id
        #expect(new != old)
        // What answers at the address now is not the peer, however well it answers.
        _ = try await first.publish("for the old one")
        try await eventually("the old one is gone") { try await !first.isConnected(to: old) }
        try await meet(first, second)
        let reader = Reader(second)
        let message = try await first.publish("hello")
        try await eventually("the new one is spoken to") { reader.messages.contains(message) }
    }

    @Test func anAnswerOfAnotherNodeIsNoAnswer() async throws {
        let device = Device("pi1", port: Ports.take(1)[0])
        try await device.start()
        let client = PeerClient(client: HTTPClient())
        let id = try await device.node().id
        guard case .done = await client.peers(of: id, at: device.address) else {
            Issue.record("the peer itself is not believed")
            return
        }
        let other = try key(1).nodeID
        guard case .failed(let reason) = await client.peers(of: other, at: device.address) else {
            Issue.record("another node is believed")
            return
        }
        #expect(reason.contains(other.short))
        let batch = Batch(site: site, from: other, deliveries: [])
        guard case .failed = await client.send(batch, to: other, at: device.address) else {
            Issue.record("a batch counts as sent to whom it did not reach")
            return
        }
    }

    @Test func whatCannotBeReadIsRefusedAndCounted() async throws {
        let device = Device("pi1", port: Ports.take(1)[0])
        try await device.start()
        let delivery = Delivery(relay: true, message: signed(.transaction, by: try key(1), payload: [1, 2, 3]))
        let good = Batch(site: site, from: try key(1).nodeID, deliveries: [delivery]).encoded
        var bad = (0..<good.count).map { Array(good.prefix($0)) }
        bad.append(good + [0])
        bad.append([UInt8](repeating: 0xFF, count: 100_000))
        for seed in seeds(50) {
            var random = SplitMix64(seed: seed)
            bad.append((0..<Int(random.next() % 2_000)).map { _ in UInt8(truncatingIfNeeded: random.next()) })
        }
        for (index, bytes) in bad.enumerated() {
            let response = try await device.ask("POST", "/messages", body: bytes)
            #expect(code(response) == "400 malformed", "body \(index) of \(bytes.count) bytes")
            #expect(response.headers["content-type"] == "application/problem+json")
        }
        let counted = try await device.metric(#"poise_http_problems_total{problem="malformed"}"#)
        #expect(counted == bad.count)
        // Nothing of it did harm: the batch as it should be is taken.
        let taken = try await device.ask("POST", "/messages", body: good)
        #expect(try taken.decode([String: Int].self) == ["accepted": 1, "dropped": 0])
        let id = try await device.node().id
        #expect(taken.headers["poise-node"] == id.description)
    }

    @Test func onlyTheOwnerChangesItsEntry() async throws {
        let device = Device("pi1", port: Ports.take(1)[0])
        try await device.start()
        let id = try await device.node().id
        for (method, kind) in [("PUT", MessageKind.report), ("POST", .report), ("DELETE", .leave)] {
            let message = signed(kind, by: try key(2))
            let response = try await device.ask(method, "/shared/\(id)", body: try JSON.encode(message))
            #expect(code(response) == "403 not-the-owner", "\(method)")
        }
        let response = try await device.ask("PUT", "/shared/pi1", body: [])
        #expect(code(response) == "400 invalid-node")
        #expect(code(try await device.ask("GET", "/shared/pi9")) == "404 unknown-node")
        let counted = try await device.metric(#"poise_http_problems_total{problem="not-the-owner"}"#)
        #expect(counted == 3)
    }

    /// Also across a power cut, for which nothing has to be kept.
    @Test func drawsAreAlwaysTheSame() async throws {
        let device = Device("pi1", port: Ports.take(1)[0])
        try await device.start()
        let alpha = Draw.alpha(genesis: .zero, height: 1, seed: .zero)
        let draw = try await device.draw(alpha).successful().decode(DrawResponse.self)
        #expect(draw.key.output(of: draw.proof, for: alpha) != nil)
        #expect(try await device.node().vrf == draw.key)
        device.kill()
        try await device.start()
        #expect(try await device.draw(alpha).successful().decode(DrawResponse.self) == draw)
        #expect(try await device.draw(alpha + [0]).status == 400)
        #expect(try await device.draw([UInt8](repeating: 0, count: 4_096)).status == 413)
    }

    /// Also across a power cut: what was signed is on the disk before the signature leaves.
    @Test func aConflictingVoteIsNotSigned() async throws {
        let device = Device("pi1", port: Ports.take(1)[0])
        try await device.start()
        let block = Digest(of: [2], domain: "test")
        let vote = Vote(genesis: chain, height: 5, round: 0, step: .prevote, block: block)
        let signature = try await device.sign(vote).successful().decode(SigningResponse.self)
        #expect(signature.signer.verifies(signature.signature, of: vote.encoded))
        device.kill()
        try await device.start()
        #expect(try await device.sign(vote).decode(SigningResponse.self) == signature)
        var conflicting = vote
        conflicting.block = nil
        #expect(code(try await device.sign(conflicting)) == "409 conflicting-vote")
        var earlier = vote
        earlier.height = 4
        #expect(code(try await device.sign(earlier)) == "409 conflicting-vote")
        var later = vote
        later.round = 1
        #expect(try await device.sign(later).status == 200)
    }
}
