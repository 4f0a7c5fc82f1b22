import Contracts
import GossipCore
import Identity
import Machine
import Testing

/// The bytes that go between nodes.
@Suite struct WireTests {
    private let site = GossipMachine.siteDigest("attic")

    private func batch(_ count: Int) -> Batch {
        let key = Mesh.key(0)
        let deliveries = (0..<count).map { number in
            let payload = [UInt8](repeating: 7, count: number)
            let bytes = SignedMessage.signedBytes(site: site, kind: .vote, sequence: UInt64(number), payload: payload)
            let message = SignedMessage(
                kind: .vote, sender: key.nodeID, sequence: UInt64(number), payload: payload, signature: key.sign(bytes))
            return Delivery(relay: number.isMultiple(of: 2), message: message)
        }
        return Batch(site: site, from: key.nodeID, deliveries: deliveries)
    }

    /// Another program that speaks to gossip must come to the same bytes.
    @Test func theEncodingsAreTheseBytes() {
        let one = batch(1)
        let message = one.deliveries[0].message
        #expect(
            Hex.encode(one.encoded)
                == "0000000d" + Hex.encode(Array("poise/batch/1".utf8)) + site.description
                + Mesh.key(0).nodeID.description
                + "00000001" + "01" + "0000006d" + "07" + Mesh.key(0).nodeID.description + "0000000000000000"
                + "00000000"
                + message.signature.description)
        let question = Question(site: site, from: Mesh.key(0).nodeID, signatures: [message.signature])
        #expect(
            Hex.encode(question.encoded)
                == "0000000c" + Hex.encode(Array("poise/dynt/1".utf8)) + site.description
                + Mesh.key(0).nodeID.description
                + "00000001" + message.signature.description)
        #expect(Needs([true, false, true]).encoded == [0, 0, 0, 3, 1, 0, 1])
    }

    @Test func whatIsEncodedIsReadBack() throws {
        let many = batch(40)
        #expect(try Batch(encoded: many.encoded) == many)
        let question = Question(
            site: site, from: Mesh.key(0).nodeID, signatures: many.deliveries.map(\.message.signature))
        #expect(try Question(encoded: question.encoded) == question)
        #expect(try Needs(encoded: Needs([false, true]).encoded) == Needs([false, true]))
    }

    @Test func cutBytesAreRefused() {
        let bytes = batch(3).encoded
        for count in bytes.indices { #expect(throws: (any Error).self) { try Batch(encoded: Array(bytes[..<count])) } }
        #expect(throws: (any Error).self) { try Batch(encoded: bytes + [0]) }
        var many = batch(1)
        many.deliveries = Array(repeating: many.deliveries[0], count: GossipLimits.batchMessages + 1)
        #expect(throws: (any Error).self) { try Batch(encoded: many.encoded) }
    }

    /// Whatever bytes come: they are refused or read, and the others of the batch stay what they were.
    @Test func anUnreadableMessageLeavesTheOthersUnharmed() throws {
        for seed in seeds(3_000) {
            var random = SplitMix64(seed: seed)
            let whole = batch(3)
            var bytes = whole.encoded
            for _ in 0...random.next(in: 0...3) {
                bytes[random.next(in: 0...bytes.count - 1)] = UInt8(random.next(in: 0...255))
            }
            guard let read = try? Batch(encoded: bytes) else { continue }
            #expect(read.deliveries.count + read.unreadable.count <= 3, "seed \(seed)")
        }
        var bytes = whole(first: 77)
        #expect(try Batch(encoded: bytes).unreadable == [.unknownKind])
        #expect(try Batch(encoded: bytes).deliveries.count == 2)
        bytes = whole(first: 7, payloadCount: 0x7FFF_FFFF)
        #expect(try Batch(encoded: bytes).unreadable == [.oversized])
        bytes = whole(first: 7, payloadCount: 3)
        #expect(try Batch(encoded: bytes).unreadable == [.malformed])
    }

    /// A batch of three whose first message has this kind and this count of payload bytes.
    private func whole(first kind: UInt8, payloadCount: UInt32 = 0) -> [UInt8] {
        var bytes = batch(3).encoded
        let start = 4 + 13 + 32 + 32 + 4 + 1 + 4
        bytes[start] = kind
        for byte in 0..<4 {
            bytes[start + 1 + 32 + 8 + byte] = UInt8(truncatingIfNeeded: payloadCount >> (24 - 8 * UInt32(byte)))
        }
        return bytes
    }
}
