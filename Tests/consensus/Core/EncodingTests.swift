import Contracts
import Foundation
import Identity
import Testing

@testable import ConsensusCore

struct EncodingTests {
    private static let node = NodeID(unchecked: [UInt8](repeating: 0xCD, count: 32))
    private static let cd = String(repeating: "cd", count: 32)

    @Test func raftMessagesHaveTheirBytes() throws {
        let vectors: [(RaftMessage, String)] = [
            (.preVoteRequest(term: 1, height: 258), "0100000000000000010000000000000102"),
            (.preVoteReply(term: 2, granted: true, current: 1), "020000000000000002010000000000000001"),
            (.vote(term: 3, candidate: Self.node, height: 7), "030000000000000003" + Self.cd + "0000000000000007"),
            (.refusal(term: 4), "040000000000000004"),
            (.heartbeat(term: 0x0102_0304_0506_0708), "050102030405060708"),
            (.heartbeatReply(term: 6, proven: true), "06000000000000000601"),
            (.proof([1, 2]), "07000000020102"),
        ]
        for (message, hex) in vectors {
            #expect(Hex.encode(message.encoded) == hex)
            #expect(try RaftMessage(encoded: message.encoded) == message)
        }
    }

    @Test func paxosMessagesHaveTheirBytes() throws {
        let ballot = Ballot(number: 2, proposer: Self.node)
        let bytes = "0000000000000002" + Self.cd
        let acceptance = Acceptance(ballot: ballot, leader: Self.node)
        let vectors: [(PaxosMessage, String)] = [
            (.prepare(term: 1, ballot: ballot, height: 3), "010000000000000001" + bytes + "0000000000000003"),
            (.promise(term: 1, ballot: ballot, accepted: nil), "020000000000000001" + bytes + "00"),
            (
                .promise(term: 1, ballot: ballot, accepted: acceptance),
                "020000000000000001" + bytes + "01" + bytes + Self.cd
            ),
            (.accept(term: 1, acceptance), "030000000000000001" + bytes + Self.cd),
            (.refusal(term: 1, promised: nil), "04000000000000000100"),
            (.refusal(term: 1, promised: ballot), "04000000000000000101" + bytes),
            (.renewal(term: 1, number: 5), "0500000000000000010000000000000005"),
            (.renewalReply(term: 1, number: 5, proven: false), "060000000000000001000000000000000500"),
            (.proof([1, 2], number: 5), "070000000201020000000000000005"),
        ]
        for (message, hex) in vectors {
            #expect(Hex.encode(message.encoded) == hex)
            #expect(try PaxosMessage(encoded: message.encoded) == message)
        }
    }

    /// The vector of docs/encodings.md, which another implementation computed.
    @Test func theDocumentedCertificateIsGood() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../../docs/encodings.md")
        let page = try String(contentsOf: root, encoding: .utf8)
        let section = try #require(page.components(separatedBy: "### election certificate\n").last)
        let hex = try #require(section.components(separatedBy: "```").dropFirst().first).dropFirst(4).filter {
            $0 != "\n"
        }
        let bytes = try #require(Hex.decode(String(hex)))
        let keys = try [0, 32].map { first in try #require(SigningKey(seed: Array(first..<first + 32))) }
        let genesis = try #require(Digest(hex: "f76931a321260a4c0ad046991d87fac847e375003de57922f483fe53c380e07b"))
        let head = SiteHead(
            genesis: genesis, site: Digest(of: Array("home".utf8), domain: "poise/site/1"), height: 42, seed: .zero,
            epochSeed: .zero,
            members: keys.map { Voter(id: $0.nodeID, vrf: $0.vrf.publicKey) }.sorted { $0.id < $1.id })
        let claim = Leadership(engine: "raft", term: 7, leader: keys[1].nodeID, certificate: bytes)
        #expect(RaftElection.flaw(of: claim, at: head, .real) == nil)
        var other = head
        other.site = .zero
        #expect(RaftElection.flaw(of: claim, at: other, .real) != nil)
        #expect(try QuorumCertificate(encoded: bytes).encoded == bytes)
    }

    @Test func theCertificateHasItsBytes() throws {
        let voice = QuorumCertificate.Voice(
            member: Self.node, sequence: 9, signature: Signature(unchecked: [UInt8](repeating: 0xEF, count: 64)))
        let certificate = QuorumCertificate(statement: [3, 4], voices: [Self.node: voice])
        let hex =
            "0000001c" + Hex.encode(Array("poise/election-certificate/1".utf8)) + "000000020304" + "00000001" + Self.cd
            + "0000000000000009" + String(repeating: "ef", count: 64)
        #expect(Hex.encode(certificate.encoded) == hex)
        #expect(try QuorumCertificate(encoded: certificate.encoded) == certificate)
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
        let tag = "00000013" + Hex.encode(Array("poise/raft-record/2".utf8))
        #expect(Hex.encode(record.encoded) == tag + "00" + "0000000000000009" + "00")
        record.vote = NodeID(unchecked: [UInt8](repeating: 0xCD, count: 32))
        #expect(
            Hex.encode(record.encoded) == tag + "00" + "0000000000000009" + "01" + String(repeating: "cd", count: 32))
        #expect(try RaftRecord(encoded: record.encoded) == record)
    }

    @Test func thePaxosRecordHasItsBytes() throws {
        var record = PaxosRecord()
        record.term = 9
        let tag = "00000014" + Hex.encode(Array("poise/paxos-record/2".utf8))
        #expect(Hex.encode(record.encoded) == tag + "00" + "0000000000000009" + "0000")
        record.promised = Ballot(number: 2, proposer: Self.node)
        record.accepted = Acceptance(ballot: Ballot(number: 1, proposer: Self.node), leader: Self.node)
        #expect(try PaxosRecord(encoded: record.encoded) == record)
    }

    /// Every cut and every byte too many is refused, and never a crash.
    @Test func whatIsNoMessageIsRefused() throws {
        let whole = RaftMessage.preVoteReply(term: 2, granted: true, current: 1).encoded
        for length in 0..<whole.count {
            #expect(throws: ByteCodingError.self) { try RaftMessage(encoded: Array(whole[..<length])) }
        }
        #expect(throws: ByteCodingError.trailing(count: 1)) { try RaftMessage(encoded: whole + [0]) }
        #expect(throws: ByteCodingError.self) { try RaftMessage(encoded: [8, 0, 0, 0, 0, 0, 0, 0, 0]) }
        #expect(throws: ByteCodingError.self) { try PaxosMessage(encoded: [8, 0, 0, 0, 0, 0, 0, 0, 0]) }
        #expect(throws: ByteCodingError.self) { try PoetMessage(encoded: [2, 0, 0, 0, 0, 0, 0, 0, 0]) }
    }
}
