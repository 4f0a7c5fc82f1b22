import Machine

/// Simulated time: things happen in the order of their milliseconds and, within one, in the order of being planned.
final class Timeline {
    private(set) var now: Int64 = 0
    private var random: SplitMix64
    /// A binary heap.
    private var heap: [Moment] = []
    /// What is planned, each in a place that was free; nil in places that are.
    private var plans: [(() -> Void)?] = []
    private var free: [UInt32] = []
    private var count: UInt32 = 0

    private struct Moment {
        /// Milliseconds in the upper half, the number of the plan in the lower.
        var key: UInt64
        var place: UInt32
    }

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    func after(_ delay: Int64, _ body: @escaping () -> Void) {
        count += 1
        let moment = Moment(key: UInt64(now + max(0, delay)) << 32 | UInt64(count), place: place(for: body))
        heap.append(moment)
        var child = heap.count - 1
        while child > 0, moment.key < heap[(child - 1) / 2].key {
            heap[child] = heap[(child - 1) / 2]
            child = (child - 1) / 2
        }
        heap[child] = moment
    }

    private func place(for body: @escaping () -> Void) -> UInt32 {
        guard let place = free.popLast() else {
            plans.append(body)
            return UInt32(plans.count - 1)
        }
        plans[Int(place)] = body
        return place
    }

    /// Lets the next thing happen if it is due by `end`.
    ///
    /// - Returns: whether there was one.
    func advance(until end: Int64) -> Bool {
        guard let first = heap.first, Int64(first.key >> 32) <= end else {
            now = max(now, end)
            return false
        }
        removeFirst()
        now = Int64(first.key >> 32)
        let plan = plans[Int(first.place)]
        plans[Int(first.place)] = nil
        free.append(first.place)
        plan?()
        return true
    }

    /// Forgets what is planned: it holds what it is about, so that nothing of a site would ever be given back.
    func end() { (heap, plans, free) = ([], [], []) }

    private func removeFirst() {
        let moved = heap.removeLast()
        guard !heap.isEmpty else { return }
        var parent = 0
        while true {
            var least = 2 * parent + 1
            if least + 1 < heap.count, heap[least + 1].key < heap[least].key { least += 1 }
            guard least < heap.count, heap[least].key < moved.key else { break }
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
