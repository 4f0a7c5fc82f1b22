import Contracts
import Testing

@testable import MigratorCore

/// A device that is cut off, or comes back: one machine, step by step.
@Suite struct IsolationTests {
    private static let here = NodeID(unchecked: [UInt8](repeating: 1, count: 32))
    private static let there = NodeID(unchecked: [UInt8](repeating: 2, count: 32))

    private static func app(
        _ name: String, _ policy: IsolationPolicy = .run, on node: NodeID = here, _ incarnation: UInt64 = 1,
        running: Bool = true, move: MoveOrder? = nil
    ) -> PlacedApp {
        PlacedApp(
            specification: AppSpecification(name: name, image: "i", restart: .always, isolated: policy), node: node,
            incarnation: incarnation, running: running, move: move)
    }

    private static func copy(
        _ app: String, _ policy: IsolationPolicy = .run, _ incarnation: UInt64 = 1, _ state: Copy.State = .running
    ) -> Copy {
        Copy(id: "\(app)-\(incarnation)", app: app, incarnation: incarnation, state: state, isolated: policy)
    }

    /// A machine with what it has been asked to do.
    private struct Device {
        var machine = MigratorMachine(journal: Journal())
        var now: Int64 = 100_000
        var height: UInt64 = 10
        var copies: [Copy] = []
        var pending: [(OperationID, MigratorCore.Operation)] = []
        var posts: [Receipt] = []

        mutating func step(_ kind: MigratorEvent.Kind) {
            for effect in machine.step(MigratorEvent(now: now, wallTime: now, kind)) {
                switch effect {
                case .observe(let number): step(.observed(number, copies))
                case .perform(let id, let operation): pending.append((id, operation))
                case .post(let receipt): posts.append(receipt)
                case .persist, .cancel, .answer, .wake: break
                }
            }
        }

        mutating func start(_ apps: [PlacedApp]) {
            step(.started(boot: "b"))
            place(apps)
        }

        mutating func place(_ apps: [PlacedApp]) {
            height += 1
            let nodes = [IsolationTests.here, IsolationTests.there].map {
                PlacedNode(id: $0, name: "n", migratorAddress: "n")
            }
            step(.placement(Placement(height: height, here: IsolationTests.here, nodes: nodes, apps: apps)))
        }

        /// A block with this device's report comes, and the time until it no longer counts begins.
        mutating func commit() {
            step(.committed(Commit(height: height, placement: height, until: now + 4_000)))
        }

        mutating func pass(_ milliseconds: Int64) {
            now += milliseconds
            step(.timer)
        }

        /// All that was asked is done.
        mutating func finish() {
            let all = pending
            pending = []
            for (id, operation) in all {
                switch operation {
                case .freeze(let copy): set(copy.id, .frozen)
                case .thaw(let copy), .restart(let copy): set(copy.id, .running)
                case .setAside(let copy, let ended):
                    set(copy.id, ended ? .ended(137) : copy.state == .running ? .frozen : copy.state)
                    copies = copies.map { $0.id == copy.id ? aside($0) : $0 }
                case .start(let placed, _):
                    copies.append(
                        IsolationTests.copy(
                            placed.specification.name, placed.specification.isolated, placed.incarnation))
                default: break
                }
                let app = operation.name
                step(.finished(id, .done(OperationMeasures()), copies.filter { $0.app == app }))
            }
        }

        private func aside(_ copy: Copy) -> Copy {
            var copy = copy
            copy.isSetAside = true
            return copy
        }

        private mutating func set(_ id: String, _ state: Copy.State) {
            for index in copies.indices where copies[index].id == id { copies[index].state = state }
        }

        var words: [String] { pending.map { $0.1.brief } }

        func state(_ app: String) -> Copy.State? { copies.first { $0.app == app && !$0.isSetAside }?.state }
    }

    private func device(_ apps: [PlacedApp], _ copies: [Copy]) -> Device {
        var device = Device()
        device.copies = copies
        device.start(apps)
        device.commit()
        return device
    }

    @Test func onlyAppsThatAskForItAreFrozenAndThawed() {
        var device = device(
            [Self.app("goes"), Self.app("stays", .freeze)], [Self.copy("goes"), Self.copy("stays", .freeze)])
        device.pass(3_999)
        #expect(device.words == [])
        device.pass(1)
        #expect(device.words == ["freeze stays"])
        device.finish()
        device.pass(60_000)
        #expect(device.words == [] && device.state("goes") == .running && device.state("stays") == .frozen)
        device.commit()
        #expect(device.words == ["thaw stays"])
    }

    /// The word that blocks come may be quicker than the placement of those blocks.
    @Test func aBlockCountsOnlyOnceItsPlacementIsKnown() {
        var device = device([Self.app("stays", .freeze)], [Self.copy("stays", .freeze)])
        device.pass(4_000)
        device.finish()
        device.step(.committed(Commit(height: 30, placement: 25, until: device.now + 4_000)))
        #expect(device.words == [])
        device.height = 24
        device.place([Self.app("stays", .freeze, on: Self.there, 7)])
        #expect(device.words == ["aside stays"])
    }

    @Test func aBlockWithoutAnOwnReportOrAPlacementKeepsNobodyInTouch() {
        var device = device([Self.app("stays", .freeze)], [Self.copy("stays", .freeze)])
        device.pass(3_000)
        device.step(.committed(Commit(height: 11, placement: 11, until: nil)))
        device.step(.committed(Commit(height: 12, placement: nil, until: device.now + 9_000)))
        device.pass(1_000)
        #expect(device.words == ["freeze stays"])
    }

    @Test(arguments: [true, false]) func aMigratorThatStartsAndHearsNothingFreezes(hasPlacement: Bool) {
        var device = Device()
        device.copies = [Self.copy("goes"), Self.copy("stays", .freeze)]
        device.step(.started(boot: "b"))
        if hasPlacement { device.place([Self.app("goes"), Self.app("stays", .freeze)]) }
        device.pass(3_999)
        #expect(device.words == [])
        device.pass(1)
        #expect(device.words == ["freeze stays"])
        device.finish()
        // And it does not thaw for a placement alone.
        device.place([Self.app("goes"), Self.app("stays", .freeze)])
        device.pass(60_000)
        #expect(device.words == [] && device.state("stays") == .frozen)
    }

    /// An app that the device's loss of power ended is not started again while it is cut off.
    @Test func afterABootNothingStartsOutOfTouchThatMustNot() {
        var journal = Journal()
        journal.boot = "earlier"
        journal.height = 5
        var device = Device(machine: MigratorMachine(journal: journal))
        device.copies = [Self.copy("goes", .run, 1, .ended(255)), Self.copy("stays", .freeze, 1, .ended(255))]
        device.start([Self.app("goes"), Self.app("stays", .freeze), Self.app("new", .run, running: false)])
        for _ in 0..<20 { device.pass(1_000) }
        #expect(device.words == ["restart goes"])
        device.commit()
        #expect(device.words == ["restart goes", "start new", "restart stays"])
    }

    /// What a boot ended is remembered by a migrator that dies right after it.
    @Test func whatABootEndedIsNotTakenForAnEndForEver() throws {
        var journal = Journal()
        journal.boot = "earlier"
        let job = PlacedApp(
            specification: AppSpecification(name: "job", image: "i", restart: .never), node: Self.here, incarnation: 1,
            running: true)
        let copies = [Self.copy("job", .run, 1, .ended(255))]
        for hasLooked in [false, true] {
            var first = MigratorMachine(journal: journal)
            _ = first.step(MigratorEvent(now: 1, wallTime: 1, .started(boot: "b")))
            if hasLooked { _ = first.step(MigratorEvent(now: 2, wallTime: 2, .observed(1, copies))) }
            var device = Device(machine: MigratorMachine(journal: first.journal))
            device.copies = copies
            device.start([job])
            for _ in 0..<10 { device.pass(1_000) }
            #expect(device.words == ["restart job"] && device.posts.isEmpty, "\(hasLooked)")
        }
    }

    @Test func aHandoffThatHasNotFrozenTheAppIsRefusedFirst() {
        let order = MoveOrder(to: Self.there, incarnation: 9, height: 11, deadline: 60_000)
        var device = device([Self.app("stays", .freeze)], [Self.copy("stays", .freeze)])
        device.place([Self.app("stays", .freeze, move: order)])
        #expect(device.words == ["prepare stays"])
        device.pass(4_000)
        // Its end is waited for; then the handoff is refused and the app frozen in one step.
        let (id, _) = device.pending.removeFirst()
        device.step(.finished(id, .delayed("cancelled"), device.copies))
        #expect(device.words == ["freeze stays"])
        #expect(device.posts.last?.outcome == .refused && device.machine.journal.outgoing.first?.phase == .refused)
    }

    /// From the checkpoint on the handoff's own rules hold: nothing is frozen, and nothing resumes out of touch.
    @Test func aHandoffInFlightIsNotDisturbed() {
        let order = MoveOrder(to: Self.there, incarnation: 9, height: 11, deadline: 60_000)
        var device = device([Self.app("stays", .freeze)], [Self.copy("stays", .freeze)])
        device.place([Self.app("stays", .freeze, move: order)])
        device.finish()
        #expect(device.words == ["checkpoint stays"])
        device.pass(10_000)
        #expect(device.words == ["checkpoint stays"])
        device.copies[0].state = .ended(137)
        device.finish()
        #expect(device.words == ["ship stays"])
        device.pass(60_000)
        let (id, _) = device.pending.removeFirst()
        device.step(.finished(id, .delayed("no answer"), device.copies))
        device.pass(10_000)
        #expect(device.words == [] && device.machine.journal.outgoing.first?.phase == .resuming)
        device.commit()
        #expect(device.words == ["resume stays"])
    }

    /// It has done its work: there is nothing to move, and nothing to run again.
    @Test(arguments: [0, 137]) func aJobThatEndsBeforeItsCheckpointIsNotRunAgain(status: Int) {
        let order = MoveOrder(to: Self.there, incarnation: 9, height: 11, deadline: 60_000)
        var job = Self.app("job", move: order)
        job.specification.restart = .never
        var device = device([job], [Self.copy("job")])
        device.finish()
        #expect(device.words == ["checkpoint job"])
        device.copies[0].state = .ended(status)
        let (id, _) = device.pending.removeFirst()
        device.step(.finished(id, .lost("it has ended"), device.copies))
        guard status == 0 else {
            // That is how the engine ends it: it has not come to its end.
            #expect(device.words == ["resume job"])
            return
        }
        #expect(device.words == [] && device.posts.last?.outcome == .refused)
        job.move = nil
        device.place([job])
        device.pass(10_000)
        #expect(device.words == [] && device.posts.last?.outcome == .completed)
    }

    /// A device comes back to a chain that has moved on: old copies freeze before anything else is done.
    @Test func freezesComeBeforeEverythingElse() {
        let names = ["a", "b", "c", "d", "e", "f"]
        let order = MoveOrder(to: Self.there, incarnation: 90, height: 11, deadline: 60_000)
        var device = device(
            names.map { Self.app($0, $0 == "b" ? .freeze : .run) },
            names.map { Self.copy($0, $0 == "b" ? .freeze : .run) })
        device.pass(4_000)
        device.finish()
        #expect(device.state("b") == .frozen)
        device.copies[3].state = .ended(1)
        device.step(.engineChanged)
        // `c` and `f` are elsewhere by now; `a` is to move away, `b` to thaw, `d` to start again, `new` to start.
        device.height = 40
        device.step(.committed(Commit(height: 41, placement: 41, until: device.now + 4_000)))
        device.place([
            Self.app("a", move: order), Self.app("b", .freeze), Self.app("c", on: Self.there, 7), Self.app("d"),
            Self.app("e"), Self.app("f", on: Self.there, 8), Self.app("new", running: false),
        ])
        #expect(device.words == ["aside c", "aside f"])
        // One of them alone is not enough.
        let (id, _) = device.pending.removeFirst()
        device.copies[2].state = .frozen
        device.copies[2].isSetAside = true
        device.step(.finished(id, .done(OperationMeasures()), device.copies.filter { $0.app == "c" }))
        #expect(device.words == ["aside f"])
        device.finish()
        #expect(Set(device.words).isSuperset(of: ["prepare a", "thaw b", "start new"]))
        #expect(
            device.copies.filter { ["c", "f"].contains($0.app) }.allSatisfy { $0.state == .frozen && $0.isSetAside })
    }

    /// The chain goes on without this device, which has just taken in an app: nobody else may have that memory.
    @Test(arguments: [Copy.State.running, .frozen]) func whatWasRestoredIsKept(state: Copy.State) {
        let order = MoveOrder(to: Self.here, incarnation: 9, height: 10, deadline: 60_000)
        let key = HandoffKey(app: "x", incarnation: 9)
        var journal = Journal()
        journal.boot = "b"
        journal.incoming = [
            Incoming(key: key, from: Self.there, order: order, phase: .restored, freezeAt: 200_000)
        ]
        var device = Device(machine: MigratorMachine(journal: journal))
        device.copies = [Self.copy("x", .run, 9, state)]
        device.start([Self.app("x", on: Self.there, move: order)])
        #expect(device.words == [])
        device.place([Self.app("x", on: .zero)])
        #expect(device.words == ["aside x"] && device.machine.journal.incoming.isEmpty)
        device.finish()
        device.pass(60_000)
        #expect(device.words == [] && device.copies.map(\.isSetAside) == [true])
        #expect(device.machine.journal.history.map(\.outcome) == [.abandoned])
    }

    /// Something else that failed and waits does not keep an old copy running.
    @Test func aFreezeDoesNotWaitForAnotherTry() {
        var device = device([Self.app("x", .run)], [Self.copy("x", .run, 1, .frozen)])
        #expect(device.words == ["thaw x"])
        let (id, _) = device.pending.removeFirst()
        device.copies[0].state = .running
        device.step(.finished(id, .delayed("busy"), device.copies))
        device.place([Self.app("x", on: Self.there, 5)])
        #expect(device.words == ["aside x"])
        // But an engine that can't is not asked without end.
        let (freeze, _) = device.pending.removeFirst()
        device.step(.finished(freeze, .delayed("busy"), device.copies))
        #expect(device.words == [])
    }
}

extension MigratorCore.Operation {
    fileprivate var name: String {
        switch self {
        case .start(let placed, _): placed.specification.name
        case .restart(let copy), .freeze(let copy), .thaw(let copy), .setAside(let copy, _): copy.app
        case .remove(let app, _, _, _): app
        case .prepare(let entry, _, _), .checkpoint(let entry), .ship(let entry, _, _), .askRestore(let entry, _),
            .resume(let entry, _):
            entry.app
        case .restore(let entry): entry.key.app
        case .discard(let key): key.app
        }
    }

    fileprivate var brief: String {
        let verb =
            switch self {
            case .start: "start"
            case .restart: "restart"
            case .freeze: "freeze"
            case .thaw: "thaw"
            case .setAside: "aside"
            case .remove: "remove"
            case .prepare: "prepare"
            case .checkpoint: "checkpoint"
            case .ship: "ship"
            case .askRestore: "ask"
            case .resume: "resume"
            case .restore: "restore"
            case .discard: "discard"
            }
        return "\(verb) \(name)"
    }
}
