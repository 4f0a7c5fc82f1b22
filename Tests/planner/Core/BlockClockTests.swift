import Contracts
import Machine
import Testing

@testable import PlannerCore

/// Whose block time is believed.
@Suite struct BlockClockTests {
    private static let state = TestChain(nodes: 1).state

    /// A chain of which only the time counts.
    private static func head(_ time: Int64) -> SiteState {
        var state = state
        state.height = 7
        state.time = time
        return state
    }

    /// Blocks as honest builders make them: each some seconds after the last, by clocks that differ a little.
    private struct HonestSite {
        var random: SplitMix64
        var now: Int64 = 1_000_000
        var time: Int64 = 5_000_000
        let offset: Int64 = 4_000_000

        init(seed: UInt64) { random = SplitMix64(seed: seed) }

        mutating func draw(_ range: ClosedRange<Int64>) -> Int64 {
            range.lowerBound + Int64(random.next() % UInt64(range.count))
        }

        mutating func build() -> Int64 {
            now += draw(0...1) == 0 ? 1_000 : 3_000
            time = max(time + 1, now + offset + draw(-50...50))
            return time
        }
    }

    @Test func whoeverWasAwayBelievesHonestBuildersAtOnce() {
        for seed in UInt64(0)..<1_000 {
            var site = HonestSite(seed: seed)
            var clock = BlockClock()
            var head = Self.head(site.time)

            func live(_ blocks: Int64) {
                for _ in 0..<blocks {
                    let time = site.build()
                    let received = site.now + site.draw(0...80)
                    let doubt = clock.doubt(time, after: head, at: received)
                    #expect(doubt == nil, "seed \(seed): \(doubt.map(String.init(describing:)) ?? "")")
                    head.time = time
                    clock.committed(head, at: received + site.draw(0...80), offered: received)
                }
            }
            live(site.draw(0...15))
            for _ in 0..<3 {
                // A process that ended knows nothing of before.
                if site.draw(0...1) == 0 { clock = BlockClock() }
                let missed = (0..<site.draw(1...60)).map { _ in site.build() }
                let back = site.now + site.draw(0...999)
                for time in missed {
                    head.time = time
                    clock.committed(head, at: back, offered: nil)
                }
                live(site.draw(1...25))
            }
        }
    }

    @Test func whoeverDecidesLateDoubtsNoMoreThanOneBlock() {
        for seed in UInt64(0)..<1_000 {
            var site = HonestSite(seed: seed)
            var clock = BlockClock()
            var head = Self.head(site.time)
            // How late each block is decided here.
            let late = site.draw(2_000...20_000)
            for (number, delay) in [0, 0, late, 0, 0, 0, 0, 0].enumerated() {
                let time = site.build()
                let doubt = clock.doubt(time, after: head, at: site.now + 20)
                if number != 3 {
                    #expect(doubt == nil, "seed \(seed), block \(number): \(doubt.map(String.init(describing:)) ?? "")")
                }
                head.time = time
                clock.committed(head, at: site.now + 20 + delay, offered: site.now + 20 + delay)
                site.now = max(site.now, site.now + delay - 900)
                site.time = max(site.time, site.now + site.offset - 100)
            }
        }
    }

    /// Builders whose wall clocks are behind count from the last commit, so that block time falls behind all clocks by what the
    /// votes take.
    @Test func slowVotesAreNobodysFault() {
        for seed in UInt64(0)..<300 {
            var random = SplitMix64(seed: seed)
            func draw(_ range: ClosedRange<Int64>) -> Int64 {
                range.lowerBound + Int64(random.next() % UInt64(range.count))
            }
            var clock = BlockClock()
            var (now, committed): (Int64, Int64) = (50_000, 50_000)
            var head = Self.head(1_000_000)
            let votes = draw(50...4_000)
            for block in 0..<40 {
                now = committed + draw(0...1) * 2_000 + 1_000
                let time = BlockTime.choose(after: head, wall: 0, elapsed: now - committed)
                now += draw(1...100)
                let doubt = clock.doubt(time, after: head, at: now)
                #expect(doubt == nil, "seed \(seed), block \(block): \(doubt.map(String.init(describing:)) ?? "")")
                head.time = time
                committed = now + votes / 2 + draw(0...votes)
                clock.committed(head, at: committed + draw(0...100), offered: now)
            }
        }
    }

    /// Three honest nodes of four, and a liar that proposes at once after each commit, with the earliest time that two of them
    /// believe.
    @Test func liarsCannotLetBlockTimeStand() {
        for seed in UInt64(0)..<300 {
            var random = SplitMix64(seed: seed)
            func draw(_ range: ClosedRange<Int64>) -> Int64 {
                range.lowerBound + Int64(random.next() % UInt64(range.count))
            }
            var clocks = [BlockClock](repeating: BlockClock(), count: 3)
            let votes = draw(20...1_000)
            var (time, now, passed): (Int64, Int64, Int64) = (1_000_000, 50_000, 0)
            for index in clocks.indices { clocks[index].committed(Self.head(time), at: now, offered: now) }
            for block in 0..<400 {
                let head = Self.head(time)
                let offered = now + draw(0...20)
                func believers(_ time: Int64) -> Int {
                    clocks.indices.count { clocks[$0].doubt(time, after: head, at: offered) == nil }
                }
                let earliest = stride(from: time + 1, through: BlockTime.latest(after: head), by: 5)
                    .first { believers($0) >= 2 }
                #expect(earliest != nil, "seed \(seed), block \(block): no time is believed")
                guard let earliest else { break }
                time = earliest
                let decided = offered + draw(votes / 2...votes)
                for index in clocks.indices {
                    clocks[index].committed(Self.head(time), at: decided + draw(0...20), offered: offered)
                }
                passed += decided - now
                now = decided + 20
                let flowed = time - 1_000_000
                #expect(
                    flowed >= passed / BlockClock.slowdown - BlockClock.lag - 100,
                    "seed \(seed), block \(block): \(flowed) ms in \(passed)")
            }
        }
    }

    /// Three honest nodes of four, some of which decide late, and a liar that builds every block with the latest time that two
    /// of them believe.
    @Test func liarsCannotLetBlockTimeRunOn() {
        for seed in UInt64(0)..<300 {
            var random = SplitMix64(seed: seed)
            func draw(_ range: ClosedRange<Int64>) -> Int64 {
                range.lowerBound + Int64(random.next() % UInt64(range.count))
            }
            var clocks = [BlockClock](repeating: BlockClock(), count: 3)
            // What each has yet to learn of: it doesn't vote before.
            var pending = [[(time: Int64, proposed: Int64, at: Int64)]](repeating: [], count: 3)
            let lead = BlockClock.lead(Self.state.parameters)
            let start: (time: Int64, now: Int64) = (1_000_000, 50_000)
            var (time, now) = start
            for index in clocks.indices { clocks[index].committed(Self.head(time), at: now, offered: now) }
            for block in 0..<200 {
                now += draw(500...3_000)
                for index in clocks.indices {
                    while let next = pending[index].first, next.at <= now {
                        let offered = draw(0...4) > 0 ? max(next.proposed, next.at - draw(0...500)) : nil
                        clocks[index].committed(Self.head(next.time), at: next.at, offered: offered)
                        pending[index].removeFirst()
                    }
                }
                let head = Self.head(time)
                func believers(_ time: Int64) -> Int {
                    clocks.indices.count { pending[$0].isEmpty && clocks[$0].doubt(time, after: head, at: now) == nil }
                }
                // The latest by bisection, as far as a valid block may go.
                var (low, high) = (time + 1, BlockTime.latest(after: head) + 1)
                guard believers(low) >= 2 else { continue }
                while high - low > 1 {
                    let middle = low + (high - low) / 2
                    if believers(middle) >= 2 { low = middle } else { high = middle }
                }
                time = low
                for index in clocks.indices {
                    let late = draw(0...9) == 0 ? draw(0...8_000) : draw(0...100)
                    pending[index].append((time, now, max(now + late, pending[index].last?.at ?? 0)))
                }
                let passed = now - start.now
                let ahead = time - (start.time + passed + passed / 10)
                #expect(
                    ahead <= lead + lead / 2 + passed / 50,
                    "seed \(seed), block \(block): \(ahead) ms ahead")
            }
        }
    }
}
