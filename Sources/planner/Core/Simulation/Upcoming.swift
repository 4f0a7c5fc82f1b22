/// What will happen, in order of time and, within a millisecond, of having been added: a binary heap.
package struct Upcoming<Item> {
    private var heap: [(at: Int64, order: Int, item: Item)] = []
    private var order = 0

    package init() {}

    package mutating func add(_ item: Item, at time: Int64) {
        heap.append((time, order, item))
        order += 1
        var child = heap.count - 1
        while child > 0, precedes(child, (child - 1) / 2) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    package mutating func next() -> (at: Int64, item: Item)? {
        guard let first = heap.first else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && precedes(child, least) {
                least = child
            }
            guard least != parent else { return (first.at, first.item) }
            heap.swapAt(parent, least)
            parent = least
        }
    }

    private func precedes(_ a: Int, _ b: Int) -> Bool { (heap[a].at, heap[a].order) < (heap[b].at, heap[b].order) }
}
