/// Things to come, in order of time and, within a millisecond, of having been added: a binary heap.
struct Agenda<Entry: Sendable>: Sendable {
    private var heap: [(time: Int64, number: UInt64, entry: Entry)] = []
    private var count: UInt64 = 0

    mutating func add(_ entry: Entry, at time: Int64) {
        count += 1
        heap.append((time, count, entry))
        var child = heap.count - 1
        while child > 0, isBefore(child, (child - 1) / 2) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    /// Takes the first entry if it is due before `end`.
    mutating func next(before end: Int64) -> (Int64, Entry)? {
        guard let first = heap.first, first.time < end else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && isBefore(child, least) {
                least = child
            }
            guard least != parent else { return (first.time, first.entry) }
            heap.swapAt(parent, least)
            parent = least
        }
    }

    private func isBefore(_ a: Int, _ b: Int) -> Bool {
        heap[a].time != heap[b].time ? heap[a].time < heap[b].time : heap[a].number < heap[b].number
    }
}
