import Contracts
import Glibc
import Machine
import Testing

@testable import MigratorCore

@Suite struct MigratorMachineTests {
    /// Runs a site through faults, heals it, and says what is wrong with it in the end.
    private func problems(seed: UInt64, _ faults: Faults, keepsMemory: Bool, isTraced: Bool = false) -> (
        wrong: [String], moves: Int
    ) {
        var site = SimulatedSite(seed: seed, nodes: 3, apps: 2, faults: faults)
        site.isTraced = isTraced
        site.run(until: 5_000)
        let lineage = Dictionary(
            uniqueKeysWithValues: site.chain.apps.keys.map { name in
                (name, site.devices.flatMap { $0.running(name) }.first?.memory)
            })
        site.run(until: 120_000)
        site.heal()
        site.run(until: 240_000)
        var wrong = Array(site.violations.prefix(3))
        for (name, app) in site.chain.apps.sorted(by: { $0.key < $1.key }) where !app.isEnded {
            let running = site.devices.flatMap { device in device.running(name).map { (device.id, $0) } }
            if running.count != 1 || running[0].0 != app.node || running[0].1.copy.incarnation != app.incarnation {
                wrong.append("\(name) should run once on \(app.node.short) as \(app.incarnation): \(running)")
            }
            if app.move != nil || !app.isRunning { wrong.append("the chain waits for \(name)") }
            if keepsMemory, !site.excused.contains(name), lineage[name] != running.first?.1.memory {
                wrong.append("\(name) lost its memory")
            }
        }
        for device in site.devices {
            let journal = device.journal
            if !journal.outgoing.isEmpty || !journal.incoming.isEmpty {
                let outgoing = journal.outgoing.map { "\($0.key) \($0.phase) \($0.reason)" }
                let incoming = journal.incoming.map { "\($0.key) \($0.phase) \($0.reason)" }
                wrong.append("\(device.id.short) still has outgoing \(outgoing), incoming \(incoming)")
            }
        }
        if !wrong.isEmpty, !isTraced {
            // The same seed again, with a record of what happened.
            return problems(seed: seed, faults, keepsMemory: keepsMemory, isTraced: true)
        }
        wrong += site.trace.suffix(150)
        return (wrong, site.chain.committedMoves)
    }

    /// POISE_TEST_SEEDS asks for more runs of each kind; 2,000 take some minutes.
    private static let seeds = getenv("POISE_TEST_SEEDS").flatMap { UInt64(String(cString: $0)) } ?? 40

    private func sweep(_ seeds: ClosedRange<UInt64> = 1...Self.seeds, faults: Faults, keepsMemory: Bool = true) -> Int {
        var moves = 0
        for seed in seeds {
            let (wrong, done) = problems(seed: seed, faults, keepsMemory: keepsMemory)
            moves += done
            guard wrong.isEmpty else {
                Issue.record("seed \(seed): \(wrong.joined(separator: "\n"))")
                return moves
            }
        }
        return moves
    }

    @Test func movesSucceedWithoutFaults() {
        #expect(sweep(1...10, faults: .none) > 100)
    }

    @Test func crashesAtAnyInstantLoseNothing() {
        #expect(sweep(faults: Faults(crash: 100_000, crashInStep: 20_000, messageLost: 30_000)) > Int(Self.seeds))
    }

    @Test func failuresLoseNothing() {
        #expect(sweep(faults: Faults(operationFails: 150_000, messageLost: 100_000)) > Int(Self.seeds))
    }

    @Test func devicesWithoutAChainNeverDoubleAnApp() {
        let faults = Faults(crash: 20_000, cutOff: 60_000, operationFails: 20_000, messageLost: 50_000)
        #expect(sweep(faults: faults) > Int(Self.seeds))
    }

    @Test func powerCutsAndAbsenceEndWithOneCopy() {
        let faults = Faults(
            crash: 30_000, powerCut: 20_000, operationFails: 50_000, messageLost: 50_000, absence: 20_000,
            appCrash: 20_000)
        #expect(sweep(faults: faults, keepsMemory: false) > Int(Self.seeds))
    }
}
