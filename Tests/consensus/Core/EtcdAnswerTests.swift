import Contracts
import Testing

@testable import ConsensusCore

/// How long an answer counts, by an engine in the test's hands.
struct EtcdAnswerTests {
    private static let leader = NodeID(unchecked: [UInt8](repeating: 2, count: 32))
    private static let entry = StoreEntry(value: Array("\(leader)".utf8), createRevision: 7, lease: 3)

    /// A follower whose reads are answered 400 ms after the asking.
    private struct Follower {
        var election: EtcdElection
        var now: Int64 = 0
        var asked: Int64 = 0
        var call: StoreCall?

        init() throws {
            let own = NodeID(unchecked: [UInt8](repeating: 1, count: 32))
            election = try EtcdElection(
                ElectionConfiguration(own: own, seed: 1, heartbeat: 250, timeout: 1_000), stored: nil)
            step(0, .head(EtcdTrial.head(of: [own, leader], height: 1)))
        }

        mutating func step(_ moment: Int64, _ kind: ElectionEvent.Kind) {
            now = moment
            for case .ask(.store(let call)) in election.step(ElectionEvent(now: now, kind)) {
                self.call = call
                asked = now
            }
        }

        mutating func answer(_ call: StoreCall, at moment: Int64) {
            step(moment, .answer(.store(call), .store(.entry(entry))))
        }

        /// Up to a moment at which it follows the leader and a read is under way.
        mutating func settle() throws {
            for _ in 0..<8 {
                answer(try #require(call), at: asked + 400)
                step(now + 100, .timer(EtcdElection.beatTimer))
            }
            #expect(election.leadership.leader == leader)
        }
    }

    @Test func anAnswerCountsFromTheAsking() throws {
        var follower = try Follower()
        try follower.settle()
        let asked = follower.asked
        follower.answer(try #require(follower.call), at: asked + 400)
        follower.step(asked + 999, .timer(EtcdElection.wakeTimer))
        #expect(follower.election.leadership.leader == Self.leader)
        follower.step(asked + 1_000, .timer(EtcdElection.wakeTimer))
        #expect(follower.election.leadership == Leadership(engine: "etcd", term: 7, leader: nil))
    }

    @Test func anAnswerToAnOlderAskingOfTheSameIsNone() throws {
        var follower = try Follower()
        try follower.settle()
        // The read before this one was asked 500 ms earlier.
        let (old, oldAsked) = (try #require(follower.call), follower.asked)
        follower.step(oldAsked + 500, .timer(EtcdElection.beatTimer))
        let new = try #require(follower.call)
        #expect(new != old && new.request == old.request)
        #expect(follower.election.leadership.leader == nil)
        follower.answer(old, at: oldAsked + 510)
        #expect(follower.election.leadership.leader == nil)
        follower.answer(new, at: oldAsked + 700)
        #expect(follower.election.leadership.leader == Self.leader)
    }

    @Test func aKeepAliveThatFailsDoesNotKeepTheLease() throws {
        let own = NodeID(unchecked: [UInt8](repeating: 1, count: 32))
        var election = try EtcdElection(
            ElectionConfiguration(own: own, seed: 1, heartbeat: 250, timeout: 1_000), stored: nil)
        let mine = StoreEntry(value: Array("\(own)".utf8), createRevision: 7, lease: 3)
        var calls: [StoreCall] = []
        func step(_ now: Int64, _ kind: ElectionEvent.Kind, seconds: Int64) {
            for case .ask(.store(let call)) in election.step(ElectionEvent(now: now, kind)) {
                calls.append(call)
                let reply: StoreReply? =
                    switch call.request {
                    case .read: .entry(mine)
                    case .keepAlive(let lease): .lease(lease, seconds: seconds)
                    default: nil
                    }
                step(now, .answer(.store(call), reply.map(ElectionAnswer.store)), seconds: seconds)
            }
        }
        step(0, .head(EtcdTrial.head(of: [own], height: 1)), seconds: 2)
        for beat in 1...8 { step(Int64(beat) * 250, .timer(EtcdElection.beatTimer), seconds: 2) }
        #expect(election.leadership.leader == own)
        // etcd says that the lease has expired, and yet still shows the key.
        step(2_250, .timer(EtcdElection.beatTimer), seconds: 0)
        #expect(election.leadership.leader == nil)
        let before = calls.count
        step(2_500, .timer(EtcdElection.beatTimer), seconds: 0)
        #expect(calls.count - before <= 3, "an etcd in trouble isn't hurried")
    }
}
