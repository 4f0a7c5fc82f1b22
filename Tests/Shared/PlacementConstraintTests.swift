import Contracts
import Machine
import Testing
import Transport

@Suite struct PlacementConstraintTests {
    @Test func theTextFormIsSwarms() throws {
        let read = try ["node.hostname==attic", " node.platform.arch != x86_64 ", "node.labels.floor==2=="].map {
            text throws(PlacementConstraint.Fault) in try PlacementConstraint(parsing: text)
        }
        #expect(
            read == [
                PlacementConstraint(.hostname, "attic"),
                PlacementConstraint(.architecture, isEqual: false, "x86_64"),
                PlacementConstraint(.label("floor"), "2=="),
            ])
        #expect(read[1].text == "node.platform.arch!=x86_64")
    }

    @Test func textAndJSONGiveBackEveryConstraint() throws {
        for seed in 0..<500 as Range<UInt64> {
            var arbitrary = Arbitrary(seed: seed)
            let constraint = arbitrary.constraint()
            #expect(try PlacementConstraint(parsing: constraint.text) == constraint, "seed \(seed)")
            let specification = arbitrary.specification()
            let again = try JSON.decode(AppSpecification.self, from: JSON.encode(specification))
            #expect(again.constraints == specification.constraints, "seed \(seed)")
            #expect(again.devices == specification.devices, "seed \(seed)")
        }
    }

    /// Whatever is read as a constraint can be encoded; the rest is refused with a remedy.
    @Test func noiseIsRefusedOrRead() throws {
        let words = [
            "node", ".", "hostname", "labels", "platform.arch", "=", "==", "!=", " ", "a", "é", "\u{0}", "\n", "A",
        ]
        var taken = 0
        for seed in 0..<20_000 as Range<UInt64> {
            var random = SplitMix64(seed: seed)
            let start = ["", "node.labels.", "node.hostname"][random.next(in: 0...2)]
            let text =
                start + (0..<random.next(in: 0...6)).map { _ in words[random.next(in: 0...words.count - 1)] }.joined()
            do throws(PlacementConstraint.Fault) {
                let constraint = try PlacementConstraint(parsing: text)
                taken += 1
                #expect((try? PlacementConstraint(encoded: constraint.encoded)) == constraint, "\(text)")
                #expect((try? PlacementConstraint(parsing: constraint.text)) == constraint, "\(text)")
            } catch {
                #expect(!error.what.isEmpty && !error.remedy.isEmpty)
            }
        }
        #expect(taken > 100)
    }
}
