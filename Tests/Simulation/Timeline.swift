import Machine

/// Simulated time: things happen in the order of their milliseconds and, within one, in the order of being planned.
final class Timeline {
    private(set) var now: Int64 = 0
    private var random: SplitMix64
    /// A binary heap of moments: milliseconds in the upper half, the number of the plan in the lower.
    private var heap: [UInt64] = []
    private var plans: [UInt32: () -> Void] = [:]
    private var count: UInt32 = 0

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    func after(_ delay: Int64, _ body: @escaping () -> Void) {
        count += 1
        plans[count] = body
        let moment = UInt64(now + max(0, delay)) << 32 | UInt64(count)
        heap.append(moment)
        var child = heap.count - 1
        while child > 0, moment < heap[(child - 1) / 2] {
            heap[child] = heap[(child - 1) / 2]
            child = (child - 1) / 2
        }
        heap[child] = moment
    }

    /// Lets the next thing happen if it is due by `end`.
    ///
    /// - Returns: whether there was one.
    func advance(until end: Int64) -> Bool {
        guard let first = heap.first, Int64(first >> 32) <= end else {
            now = max(now, end)
            return false
        }
        removeFirst()
        now = Int64(first >> 32)
        plans.removeValue(forKey: UInt32(truncatingIfNeeded: first))?()
        return true
    }

    private func removeFirst() {
        let moved = heap.removeLast()
        guard !heap.isEmpty else { return }
        var parent = 0
        while true {
            var least = 2 * parent + 1
            if least + 1 < heap.count, heap[least + 1] < heap[least] { least += 1 }
            guard least < heap.count, heap[least] < moved else { break }
            heap[parent] = heap[least]
            parent = least
        }
        heap[parent] = moved
    }

    // MARK: - Chance

    func draw(_ range: ClosedRange<Int>) -> Int64 { Int64(random.next(in: range)) }

    func chance(perMille: Int) -> Bool { perMille > 0 && random.next(below: 1_000) < UInt64(perMille) }

    func seed() -> UInt64 { random.next() }
}
