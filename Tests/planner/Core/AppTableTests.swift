import Contracts
import Machine
import Testing

@testable import PlannerCore

@Suite struct AppTableTests {
    /// After any changes it holds what a dictionary would.
    @Test func itIsADictionary() {
        for seed in 0..<300 as Range<UInt64> {
            var random = SplitMix64(seed: seed)
            var table = AppTable()
            var model: [String: AppRecord] = [:]
            for step in 0..<60 {
                let name = "app\(random.next(in: 0...9))"
                if random.next(below: 3) == 0 {
                    table[name] = nil
                    model[name] = nil
                } else {
                    let record = AppRecord(specification: .test(name), on: nil, since: Int64(step))
                    table[name] = record
                    model[name] = record
                }
                #expect(table.names == model.keys.sorted() && table.count == model.count, "seed \(seed)")
                #expect(table.ascending == model.keys.sorted().compactMap { model[$0] }, "seed \(seed)")
                #expect(model.allSatisfy { table[$0.key] == $0.value } && table.values.count == model.count)
            }
            var other: AppTable = [:]
            for (name, record) in model { other[name] = record }
            #expect(other == table, "seed \(seed)")
            other["more"] = AppRecord(specification: .test("more"), on: nil, since: 0)
            #expect(other != table && table["more"] == nil, "seed \(seed)")
        }
    }
}
