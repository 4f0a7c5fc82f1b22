import Contracts
import MonitorCore
import Runtime
import Testing
import Transport

@testable import monitor

@Suite struct DockerEngineTests {
    private static func list(_ ids: [String], labels: (String) -> String = { "{\"poise.app\":\"a\($0)\"}" }) -> String {
        let entries = ids.map { id in
            "{\"Id\":\"\(id)\",\"Names\":[\"/n\(id)\"],\"Created\":1,\"State\":\"running\",\"Labels\":\(labels(id))}"
        }
        return "[\(entries.joined(separator: ","))]"
    }

    /// Beyond what the other tests keep the processor busy for.
    private static let patience = DockerEngine.Patience(container: .seconds(300), engine: .seconds(300))

    private static func stats(_ id: String) -> String { "/containers/\(id)/stats" }

    @Test("Each container is asked once for a one-shot reading; one that fails costs the others nothing")
    func sample() async throws {
        let fake = FakeEngine()
        fake["/info"] = .text(Recorded.info)
        fake["/containers/json"] = .text(Self.list(["01", "02", "03", "04", "05", "07", "08"]))
        fake[Self.stats("01")] = .text(Recorded.version1)
        fake[Self.stats("02")] = .status(.notFound, "No such container: 02")
        fake[Self.stats("03")] = .text("{\"read\":7}")
        fake[Self.stats("04")] = .status(.internalServerError, "oops")
        fake[Self.stats("05")] = .text(Recorded.stopped)
        fake[Self.stats("07")] = .text(String(repeating: " ", count: DockerEngine.statsLimit + 1))
        fake[Self.stats("08")] = .text(Recorded.version2)
        let sample = try await fake.serving {
            try await DockerEngine(socket: fake.socket, client: HTTPClient(), patience: Self.patience).sample(
                describing: true)
        }
        #expect(sample.engine?.processors == 4)
        let read = Dictionary(uniqueKeysWithValues: sample.containers.map { ($0.id, $0.counters != nil) })
        // 02 and 05 went meanwhile.
        #expect(read == ["01": true, "03": false, "04": false, "07": false, "08": true])
        #expect(fake.count("/containers/01/stats?stream=false&one-shot=true") == 1)
        #expect(fake.count("/info") == 1)
    }

    @Test("A container that never answers is without figures, and isn't waited for")
    func silence() async throws {
        let fake = FakeEngine()
        fake["/containers/json"] = .text(Self.list(["01"]))
        fake[Self.stats("01")] = .silence
        var patience = Self.patience
        patience.container = .milliseconds(50)
        let engine = DockerEngine(socket: fake.socket, client: HTTPClient(), patience: patience)
        let sample = try await fake.serving { try await engine.sample(describing: false) }
        #expect(sample.containers.map(\.counters) == [nil])
    }

    @Test("What the engine says of its own failure reaches the operator")
    func failures() async throws {
        let fake = FakeEngine()
        let engine = DockerEngine(socket: fake.socket, client: HTTPClient(), patience: Self.patience)
        let unreachable = await #expect(throws: EngineFailure.self) { try await engine.sample(describing: false) }
        #expect(unreachable?.fault == .unreachable)
        #expect(unreachable?.description.contains("POISE_DOCKER_SOCKET") == true)
        try await fake.serving {
            fake["/containers/json"] = .status(.serviceUnavailable, "the daemon is shutting down")
            let refused = await #expect(throws: EngineFailure.self) { try await engine.sample(describing: false) }
            #expect(refused?.fault == .refused)
            #expect(refused?.description.contains("shutting down") == true)
            fake["/containers/json"] = .text("{\"not\":\"a list\"}")
            let malformed = await #expect(throws: EngineFailure.self) { try await engine.sample(describing: false) }
            #expect(malformed?.fault == .malformed)
            fake["/containers/json"] = .text("[]")
            fake["/info"] = .status(.internalServerError, "x")
            let info = await #expect(throws: EngineFailure.self) { try await engine.sample(describing: true) }
            #expect(info?.description.contains("/info") == true)
        }
    }

    @Test("The service publishes, withdraws when the engine goes, and goes on when it is back")
    func service() async throws {
        let fake = FakeEngine()
        fake["/info"] = .text(Recorded.info)
        fake["/containers/json"] = .text(Self.list(["01"]))
        fake[Self.stats("01")] = .text(Recorded.version2)
        var settings = try MonitorSettings(DeviceOptions.parse([]), Settings(config: nil, environment: [:]))
        settings.dockerSocket = fake.socket
        settings.parameters.interval = 100
        let service = MonitorService(settings, patience: Self.patience)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await service.measure() }
            group.addTask { try await service.read() }
            for round in 0..<2 {
                try await fake.serving {
                    var matrices = service.board.follow().makeAsyncIterator()
                    let first = try #require(await matrices.next())
                    #expect(first.apps.map(\.app) == ["a01"], "round \(round)")
                    #expect(first.capacity.ramBytes == 8_324_292_608)
                    #expect(first.facts.architecture == "aarch64")
                    _ = await matrices.next()
                    #expect(await service.checks()["engine"]?.status == .pass)
                }
                // The engine is gone: the next attempt withdraws.
                while service.board.latest != nil { try await Task.sleep(for: .milliseconds(5)) }
                #expect(await service.checks()["engine"]?.status != .pass)
                var none = service.board.follow().makeAsyncIterator()
                let early = Task { await none.next() }
                early.cancel()
                #expect(await early.value == nil)
            }
            group.cancelAll()
            do { while try await group.next() != nil {} } catch is CancellationError {}
        }
        #expect(service.metrics.render().contains("poise_monitor_sample_failures_total{reason=\"unreachable\"}"))
    }
}
