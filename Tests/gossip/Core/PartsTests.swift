import Contracts
import Identity
import Machine
import Testing

@testable import GossipCore

/// The parts of the core, each against a plain model of itself.
@Suite struct PartsTests {
    @Test func theWindowTakesWhatAModelWithoutBoundsTakes() {
        for seed in seeds(2_000) {
            var random = SplitMix64(seed: seed)
            var window = SequenceWindow()
            var taken: Set<UInt64> = []
            var newest: UInt64 = 0
            var around = UInt64(random.next(in: 1...5_000))
            for _ in 0..<120 {
                if random.next(in: 0...20) == 0 { around += UInt64(random.next(in: 0...3_000)) }
                let sequence = around + UInt64(random.next(in: 0...1_400))
                let verdict = window.take(sequence)
                let expected: SequenceWindow.Verdict =
                    taken.isEmpty || sequence > newest
                    ? .fresh
                    : newest - sequence >= 1_024 ? .stale : taken.contains(sequence) ? .replayed : .fresh
                #expect(verdict == expected, "seed \(seed): \(sequence) behind \(newest)")
                if verdict == .fresh { taken.insert(sequence) }
                newest = max(newest, sequence)
            }
        }
    }

    private func message(_ kind: MessageKind, _ sequence: UInt64, sender: UInt8 = 1, size: Int = 0) -> SignedMessage {
        var signature = [UInt8](repeating: kind.rawValue, count: 64)
        signature[0] = sender
        for byte in 0..<8 { signature[1 + byte] = UInt8(truncatingIfNeeded: sequence >> UInt64(8 * byte)) }
        return SignedMessage(
            kind: kind, sender: NodeID(unchecked: [UInt8](repeating: sender, count: 32)), sequence: sequence,
            payload: [UInt8](repeating: 0, count: size), signature: Signature(unchecked: signature))
    }

    private func drain(_ outbox: inout Outbox) -> [SignedMessage] {
        var all: [SignedMessage] = []
        while outbox.hasReady {
            let batch = outbox.takeBatch()
            #expect(!batch.isEmpty && batch.count <= GossipLimits.batchMessages)
            #expect(batch.count == 1 || batch.reduce(0) { $0 + $1.message.encodedCount } <= GossipLimits.batchBytes)
            all += batch.map(\.message)
        }
        while outbox.hasOffers { all += outbox.takeOffers() }
        return all
    }

    @Test func theOutboxDropsReportsBeforeVotes() {
        var outbox = Outbox()
        var dropped = 0
        for number in 0..<1_000 {
            dropped += outbox.offer(message(.report, 1, sender: UInt8(number % 200), size: number))
        }
        #expect(dropped == 0)
        for number in 0..<1_024 {
            dropped += outbox.enqueue(Delivery(relay: true, message: message(.vote, UInt64(number))))
        }
        #expect(dropped == 200)
        dropped += outbox.enqueue(Delivery(relay: true, message: message(.status, 1)))
        #expect(dropped == 201)
        dropped += outbox.enqueue(Delivery(relay: true, message: message(.vote, 5_000)))
        #expect(dropped == 202)
        let left = drain(&outbox)
        #expect(left.map(\.sequence) == Array(1..<1_024) + [5_000], "the oldest vote goes, and only when all are votes")
    }

    @Test func theOutboxIsBoundedAndKeepsOrder() {
        for seed in seeds(300) {
            var random = SplitMix64(seed: seed)
            var outbox = Outbox()
            var entered = 0
            var gone = 0
            for number in 0..<300 {
                let kind = MessageKind.allCases[random.next(in: 1...8)]
                let message = message(kind, UInt64(number), size: random.next(in: 0...60_000))
                entered += 1
                gone += outbox.enqueue(Delivery(relay: true, message: message))
            }
            let left = drain(&outbox)
            #expect(left.count == entered - gone, "seed \(seed)")
            #expect(left.reduce(0) { $0 + $1.encodedCount } <= GossipLimits.queuedBytes, "seed \(seed)")
            #expect(left.map(\.sequence) == left.map(\.sequence).sorted(), "seed \(seed)")
        }
    }

    @Test func aNewerReportTakesThePlaceOfAnOlderOne() {
        var outbox = Outbox()
        _ = outbox.offer(message(.report, 1))
        let asked = outbox.takeOffers()
        _ = outbox.offer(message(.report, 2))
        _ = outbox.putBack(offers: asked)
        _ = outbox.offer(message(.report, 3))
        _ = outbox.offer(message(.report, 1, sender: 2))
        #expect(drain(&outbox).map(\.sequence) == [3, 1])
    }

    @Test func theFeedResumesBehindACursor() {
        for seed in seeds(200) {
            var random = SplitMix64(seed: seed)
            var feed = Feed(epoch: seed)
            var lines: [FeedMessage] = []
            for number in 0..<random.next(in: 1...400) {
                let kind = MessageKind.allCases[random.next(in: 0...8)]
                lines.append(feed.append(message(kind, UInt64(number), sender: UInt8(random.next(in: 1...4)))))
            }
            let at = random.next(in: 0...lines.count - 1)
            let kinds = Set(MessageKind.allCases.filter { _ in random.next(in: 0...1) == 0 })
            let resumed = feed.lines(after: lines[at].cursor, kinds: kinds)
            var expected = lines[(at + 1)...].filter { kinds.contains($0.message.kind) }
            expected = expected.filter { line in
                line.message.kind != .report
                    || lines.last { $0.message.kind == .report && $0.message.sender == line.message.sender } == line
            }
            #expect(resumed == expected, "seed \(seed)")
            let stranger = Feed(epoch: seed &+ 1)
            #expect(stranger.number(of: lines[at].cursor) == nil)
            for cursor in [nil, "", "x", "\(seed).1", lines[at].cursor + "0000"] {
                #expect(
                    feed.lines(after: cursor, kinds: kinds) == feed.lines(after: nil, kinds: kinds), "seed \(seed)")
            }
        }
    }

    @Test func theFeedIsBoundedAndNeverForgetsTheNewestReports() {
        var feed = Feed(epoch: 1)
        _ = feed.append(message(.report, 1, sender: 9))
        for number in 0..<6_000 { _ = feed.append(message(.vote, UInt64(number))) }
        let lines = feed.lines(after: nil, kinds: Set(MessageKind.allCases))
        #expect(lines.count == 1 + GossipLimits.feedMessages)
        #expect(lines.first?.message.kind == .report && lines.last?.message.sequence == 5_999)
        for number in 0..<40 { _ = feed.append(message(.blocks, UInt64(number), size: 1 << 20)) }
        let bytes = feed.lines(after: nil, kinds: [.blocks]).reduce(0) { $0 + $1.message.payload.bytes.count }
        #expect(bytes == GossipLimits.feedBytes)
    }

    @Test func aReportIsTheMeanOfTheSamplesSinceTheLast() throws {
        var builder = ReportBuilder()
        let none = builder.load(now: 0)
        #expect(none == nil)
        for (index, cpu) in [100, 200, 401].enumerated() {
            var sample = Mesh.sample(Int64(index), apps: 1, cpu: cpu)
            if index == 1 { sample.device.ram = nil }
            try builder.add(sample, now: Int64(index) * 500)
        }
        let load = builder.load(now: 1_000)
        let first = try #require(load)
        #expect(first.device == Score(cpu: 234, ram: 200_000) && first.timestamp == 2)
        #expect(first.apps.map(\.score.cpu) == [23])
        try builder.add(Mesh.sample(3, apps: 1, cpu: 700), now: 1_500)
        let second = builder.load(now: 2_000)
        let third = builder.load(now: 2_100)
        #expect(second?.device.cpu == 700)
        #expect(third == second, "nothing new: the same again")
    }

    @Test func anAppIsReportedFromItsSecondSampleAtAnIncarnation() throws {
        var builder = ReportBuilder()
        func add(_ incarnation: UInt64?, _ now: Int64) throws -> [AppScore]? {
            var sample = Mesh.sample(now)
            sample.apps = incarnation.map { [AppScore(app: "web", incarnation: $0, score: Score(cpu: 1))] } ?? []
            try builder.add(sample, now: now)
            return builder.load(now: now)?.apps
        }
        #expect(try add(1, 0) == [])
        #expect(try add(1, 500)?.count == 1)
        #expect(try add(2, 1_000) == [], "another incarnation begins anew")
        #expect(try add(2, 1_500)?.count == 1)
        #expect(try add(nil, 2_000) == [])
        #expect(try add(2, 2_500) == [], "it was away")
    }

    @Test func withoutRecentSamplesThereIsNoReport() throws {
        var builder = ReportBuilder()
        func isReported(_ now: Int64) -> Bool { builder.load(now: now) != nil }
        try builder.add(Mesh.sample(0), now: 0)
        #expect(isReported(2_999))
        #expect(!isReported(3_000))
        try builder.add(Mesh.sample(1), now: 9_000)
        #expect(isReported(9_001))
        var bad = Mesh.sample(2)
        bad.facts.kernel = String(repeating: "x", count: 200)
        do {
            try builder.add(bad, now: 9_500)
            Issue.record("taken")
        } catch is ByteCodingError {}
    }

    @Test func addressesAreHostAndPort() {
        for good in ["pi1:7700", "192.168.7.11:1", "[fe80::1]:65535", "a-b_c.example:80"] {
            #expect(Address.isValid(good), "\(good)")
        }
        for bad in [
            "", "pi1", "pi1:", ":80", "pi1:0", "pi1:65536", "pi1:080000", "pi 1:80", "pi1:80/x", "http://pi1:80",
            "fe80::1:80", "[]:80", "[x]:80", "pi1:+80", String(repeating: "a", count: 260) + ":80",
        ] {
            #expect(!Address.isValid(bad), "\(bad)")
        }
    }

    @Test func seenSignaturesAreBoundedAndRecentOnesKept() {
        var seen = SeenSignatures()
        let count = UInt64(GossipLimits.seenSignatures)
        for number in 0..<count * 3 { seen.insert(message(.vote, number).signature) }
        for number in (count * 2)..<count * 3 { #expect(seen.contains(message(.vote, number).signature)) }
        #expect(!seen.contains(message(.vote, 0).signature))
    }

    @Test func sendersAreBoundedAndTheIdleMakeRoom() {
        var senders = Senders()
        func node(_ number: Int) -> NodeID {
            NodeID(unchecked: [UInt8(number / 256), UInt8(number % 256)] + [UInt8](repeating: 0, count: 30))
        }
        func isAdmitted(_ number: Int, _ now: Int64) -> Bool { senders.admit(node(number), now: now).admitted }
        for number in 0..<1_000 { #expect(isAdmitted(number, Int64(number))) }
        #expect(!isAdmitted(1_000, 50_000))
        #expect(isAdmitted(0, 60_000))
        let admission = senders.admit(node(1_001), now: 60_001)
        #expect(admission.admitted && admission.evicted == node(1))
    }
}
