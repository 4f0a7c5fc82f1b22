import Contracts
import Machine
import Testing

@Suite struct RotationTests {
    private func members(_ count: Int) -> [NodeID] {
        (0..<count).map { NodeID(unchecked: [UInt8](repeating: UInt8($0 + 1), count: NodeID.count)) }
    }

    /// Orders of seven members, as another implementation computed them.
    @Test(arguments: [
        ([UInt8](repeating: 0, count: 32), [2, 6, 5, 4, 1, 3, 7]),
        ([UInt8](repeating: 255, count: 32), [1, 4, 3, 5, 2, 6, 7]),
        (Array(0..<32), [5, 3, 4, 2, 6, 7, 1]),
    ])
    func ordersAreFixed(_ seed: [UInt8], _ order: [UInt8]) {
        #expect(Rotation.order(members(7), seed: Digest(unchecked: seed)).map { $0.bytes[0] } == order)
    }

    @Test func everybodyHasOneTurn() {
        for count in 0..<40 {
            var arbitrary = Arbitrary(seed: UInt64(count))
            let members = members(count)
            let order = Rotation.order(members, seed: Digest(unchecked: arbitrary.bytes(32)))
            #expect(order.sorted() == members)
        }
    }

    /// Of four members each of the 24 orders comes as often as the others, within chance: 100 ± 50 of 2,400.
    @Test func ordersAreEquallyLikely() {
        var arbitrary = Arbitrary(seed: 1)
        let members = members(4)
        var counts: [[NodeID]: Int] = [:]
        for _ in 0..<2_400 {
            counts[Rotation.order(members, seed: Digest(unchecked: arbitrary.bytes(32))), default: 0] += 1
        }
        #expect(counts.count == 24)
        #expect(counts.values.allSatisfy { (50...150).contains($0) })
    }
}
