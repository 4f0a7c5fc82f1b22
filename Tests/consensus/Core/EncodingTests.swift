import Contracts
import Testing

@testable import ConsensusCore

struct EncodingTests {
    @Test func raftMessagesHaveTheirBytes() throws {
        let vectors: [(RaftMessage, String)] = [
            (.preVoteRequest(term: 1, height: 258), "0100000000000000010000000000000102"),
            (.preVoteReply(term: 2, granted: true, current: 1), "020000000000000002010000000000000001"),
            (.voteRequest(term: 3, height: 0), "0300000000000000030000000000000000"),
            (.voteReply(term: 4, granted: false), "04000000000000000400"),
            (.heartbeat(term: 0x0102_0304_0506_0708), "050102030405060708"),
            (.heartbeatReply(term: 6), "060000000000000006"),
        ]
        for (message, hex) in vectors {
            #expect(Hex.encode(message.encoded) == hex)
            #expect(try RaftMessage(encoded: message.encoded) == message)
        }
    }

    @Test func theEnvelopeHasItsBytes() throws {
        let envelope = ElectionEnvelope(
            genesis: Digest(unchecked: [UInt8](repeating: 0xAB, count: 32)), engine: "raft", body: [6, 0, 1])
        let hex =
            "00000010" + Hex.encode(Array("poise/election/1".utf8)) + String(repeating: "ab", count: 32) + "00000004"
            + Hex.encode(Array("raft".utf8)) + "00000003060001"
        #expect(Hex.encode(envelope.encoded) == hex)
        #expect(try ElectionEnvelope(encoded: envelope.encoded) == envelope)
    }

    @Test func theRecordHasItsBytes() throws {
        var record = RaftRecord()
        record.term = 9
        let tag = "00000013" + Hex.encode(Array("poise/raft-record/1".utf8))
        #expect(Hex.encode(record.encoded) == tag + "0000000000000009" + "00")
        record.vote = NodeID(unchecked: [UInt8](repeating: 0xCD, count: 32))
        #expect(Hex.encode(record.encoded) == tag + "0000000000000009" + "01" + String(repeating: "cd", count: 32))
        #expect(try RaftRecord(encoded: record.encoded) == record)
    }

    /// Every cut and every changed byte is read or refused, and never a crash.
    @Test func whatIsNoMessageIsRefused() throws {
        let whole = RaftMessage.preVoteReply(term: 2, granted: true, current: 1).encoded
        for length in 0..<whole.count {
            #expect(throws: ByteCodingError.self) { try RaftMessage(encoded: Array(whole[..<length])) }
        }
        #expect(throws: ByteCodingError.trailing(count: 1)) { try RaftMessage(encoded: whole + [0]) }
        #expect(throws: ByteCodingError.self) { try RaftMessage(encoded: [7, 0, 0, 0, 0, 0, 0, 0, 0]) }
        var record = RaftRecord()
        record.term = .max
        #expect(throws: ByteCodingError.self) { try RaftRecord(encoded: record.encoded) }
    }
}
