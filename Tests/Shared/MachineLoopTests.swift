import Machine
import Synchronization
import Testing

@testable import Runtime

/// Adds up what it is sent; each event has two effects.
private struct Adder: StateMachine {
    enum Effect: Equatable, Sendable {
        case persist(Int)
        case announce(Int)
    }

    var sum = 0

    mutating func step(_ event: Int) -> [Effect] {
        sum += event
        return [.persist(sum), .announce(sum)]
    }
}

private struct DiskFull: Error {}

@Suite(.timeLimit(.minutes(1))) struct MachineLoopTests {
    @Test func effectsAreDoneInOrderAndBeforeTheNextEvent() async throws {
        let done = Mutex<[Adder.Effect]>([])
        let loop = MachineLoop(Adder()) { effect, loop in
            await Task.yield()
            done.withLock { $0.append(effect) }
            // Effects may send events: they come after those that wait.
            if case .announce(3) = effect { loop.send(100) }
        }
        for event in 1...4 { loop.send(event) }
        let running = Task { try await loop.run() }
        #expect(await loop.read { $0.sum } == 10)
        #expect(await loop.read { $0.sum } == 110)
        running.cancel()
        try await running.value
        let sums = [1, 3, 6, 10, 110]
        #expect(done.withLock { $0 } == sums.flatMap { [.persist($0), .announce($0)] })
    }

    @Test func readsStandBetweenTheEventsBeforeAndAfterThem() async throws {
        let loop = MachineLoop(Adder()) { _, _ in await Task.yield() }
        let running = Task { try await loop.run() }
        for round in 1...100 {
            loop.send(1)
            #expect(await loop.read { $0.sum } == round)
        }
        running.cancel()
        try await running.value
    }

    @Test func anEffectThatFailsEndsTheLoopAndNoFurtherOneIsDone() async throws {
        let done = Mutex<[Adder.Effect]>([])
        let loop = MachineLoop(Adder()) { effect, _ in
            if effect == .persist(3) { throw DiskFull() }
            done.withLock { $0.append(effect) }
        }
        for event in 1...4 { loop.send(event) }
        await #expect(throws: DiskFull.self) { try await loop.run() }
        #expect(done.withLock { $0 } == [.persist(1), .announce(1)])
    }

    /// However the loop ends, whoever reads gets an answer.
    @Test(arguments: [true, false]) func readsEndWithTheLoop(byFailure: Bool) async throws {
        let (reached, gate) = (Tally(), Gate())
        let loop = MachineLoop(Adder()) { effect, _ in
            guard effect == .persist(3) else { return }
            reached.add()
            await gate.wait()
            if byFailure { throw DiskFull() }
        }
        for event in 1...2 { loop.send(event) }
        let running = Task { try await loop.run() }
        try await eventually("it is in the effect") { reached.value == 1 }
        let waiting = (0..<10).map { _ in Task { await loop.read { $0.sum } } }
        loop.send(100)
        let last = Task { await loop.read { $0.sum } }
        if byFailure { gate.open() } else { running.cancel() }
        for read in waiting { #expect(await read.value == 3) }
        #expect(await last.value == 3, "an event after the end is not taken")
        #expect(await loop.read { $0.sum } == 3)
        loop.send(1)
        #expect(await loop.read { $0.sum } == 3)
        if case .failure(let error) = await running.result { #expect(byFailure && error is DiskFull) }
    }

    @Test func anOverflowEndsTheLoopWithItsReason() async throws {
        let loop = MachineLoop(Adder()) { _, _ in }
        for _ in 0...MachineLoop<Adder>.queueLimit { loop.send(1) }
        let error = await #expect(throws: QueueOverflow.self) { try await loop.run() }
        #expect(error?.description == "more than 65536 events wait to be handled: this device can't keep up")
        #expect(await loop.read { $0.sum } == MachineLoop<Adder>.queueLimit)
    }
}

@Suite(.timeLimit(.minutes(1))) struct TimersTests {
    @Test func firesOnceAndForgets() async throws {
        let (timers, fired) = (Timers<Int>(), Tally())
        for key in 0..<100 { timers.arm(key, after: .milliseconds(1)) { fired.add() } }
        try await eventually("all have fired") { fired.value == 100 }
        #expect(timers.count == 0)
    }

    @Test func whatWasCancelledOrReplacedNeverFires() async throws {
        let timers = Timers<Int>()
        let (fired, wrong) = (Tally(), Tally())
        for key in 0..<200 {
            timers.arm(key, after: .milliseconds(key % 3)) { fired.add() }
            if key % 2 == 0 {
                timers.cancel(key)
            } else {
                timers.arm(key, after: .milliseconds(1)) { fired.add() }
            }
            timers.cancel(key)
            // From here on nothing of this key may fire.
            let before = fired.value
            timers.arm(key, after: .seconds(3_600)) { wrong.add() }
            timers.cancel(key)
            await Task.yield()
            if fired.value != before { wrong.add(fired.value - before) }
        }
        #expect(timers.count == 0)
        timers.arm(0, after: .milliseconds(5)) { fired.add(1_000) }
        try await eventually("the last has fired") { fired.value >= 1_000 }
        #expect(wrong.value == 0)
    }

    @Test func theyEndWithTheirOwner() async throws {
        let fired = Tally()
        do {
            let timers = Timers<String>()
            timers.arm("a", after: .milliseconds(20)) { fired.add() }
        }
        let later = Timers<String>()
        later.arm("b", after: .milliseconds(40)) { fired.add(10) }
        try await eventually("the other has fired") { fired.value >= 10 }
        #expect(fired.value == 10)
    }
}

@Suite(.timeLimit(.minutes(1))) struct BroadcastTests {
    @Test func everyListenerGetsEverythingInOrder() async {
        let broadcast = Broadcast<Int>()
        broadcast.send(0)
        let streams = (0..<3).map { broadcast.subscribe(first: [-$0]) }
        #expect(broadcast.count == 3)
        for value in 1...10 { broadcast.send(value) }
        for (number, stream) in streams.enumerated() {
            var seen: [Int] = []
            for await value in stream {
                seen.append(value)
                if value == 10 { break }
            }
            #expect(seen == [-number] + Array(1...10))
        }
    }

    @Test func aListenerThatFallsBehindIsDroppedAndTheOthersAreNot() async {
        let broadcast = Broadcast<Int>()
        let slow = broadcast.subscribe(limit: 4, first: [0])
        let fast = broadcast.subscribe(limit: 100)
        for value in 1...10 { broadcast.send(value) }
        #expect(broadcast.count == 1)
        // It still gets what waited for it, and then its end.
        var seen: [Int] = []
        for await value in slow { seen.append(value) }
        #expect(seen == [0, 1, 2, 3, 4])
        seen = []
        for await value in fast {
            seen.append(value)
            if value == 10 { break }
        }
        #expect(seen == Array(1...10))
    }

    @Test func aListenerThatGoesIsForgotten() async throws {
        let broadcast = Broadcast<Int>()
        let stream = broadcast.subscribe()
        let listening = Task { for await _ in stream {} }
        listening.cancel()
        await listening.value
        #expect(broadcast.count == 0)
        broadcast.send(1)
    }

    @Test func listenersMayComeAndGoWhileValuesAreSent() async {
        let broadcast = Broadcast<Int>()
        let sending = Task {
            for value in 0... {
                if Task.isCancelled { return }
                broadcast.send(value)
                await Task.yield()
            }
        }
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for round in 0..<50 {
                        var last: Int?
                        for await value in broadcast.subscribe(limit: 1 + round % 3) {
                            if let last { #expect(value == last + 1) }
                            last = value
                            if value % 7 == 0 { break }
                        }
                    }
                }
            }
        }
        sending.cancel()
        await sending.value
    }

    /// A sender that woke a listener under a lock which leaving needs too would stop it and itself for ever.
    @Test func cancelledListenersNeverStopTheSender() async {
        let broadcast = Broadcast<Int>()
        let sending = (0..<2).map { _ in
            Task {
                while !Task.isCancelled {
                    broadcast.send(1)
                    await Task.yield()
                }
            }
        }
        for _ in 0..<20_000 {
            let stream = broadcast.subscribe()
            let listening = Task { for await _ in stream {} }
            await Task.yield()
            listening.cancel()
            await listening.value
        }
        for task in sending {
            task.cancel()
            await task.value
        }
        #expect(broadcast.count == 0)
    }
}
