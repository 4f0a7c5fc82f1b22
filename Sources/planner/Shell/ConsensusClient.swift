import Contracts
import Logging
import Runtime
import Synchronization
import Transport

/// What planner tells consensus: where the chain stands and which leaders failed. Both are kept and told again whenever
/// consensus comes back, since it may have missed them.
final class ConsensusClient: Sendable {
    /// Failures that are told again; consensus looks at the newest alone.
    static let blameLimit = 16

    private struct State {
        var head: SiteHead?
        var blames: [Blame] = []
        /// What consensus has not heard since it was last connected.
        var isHeadDue = false
        var dueBlames: [Blame] = []
    }

    private let client: HTTPClient
    private let socket: Endpoint
    private let metrics: PlannerMetrics
    private let state = Mutex(State())
    private let wakes: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation
    private let log = Logger(label: "consensus client")

    init(client: HTTPClient, runDirectory: String, metrics: PlannerMetrics) {
        self.client = client
        self.metrics = metrics
        socket = .unix("\(runDirectory)/consensus.sock")
        (wakes, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    func tell(_ head: SiteHead) {
        state.withLock { state in
            state.head = head
            state.isHeadDue = true
            state.blames.removeAll { $0.height + Blame.memory <= head.height }
        }
        wake.yield()
    }

    func tell(_ blame: Blame) {
        state.withLock { state in
            for list in [\State.blames, \State.dueBlames] {
                state[keyPath: list].append(blame)
                if state[keyPath: list].count > Self.blameLimit { state[keyPath: list].removeFirst() }
            }
        }
        wake.yield()
    }

    /// Tells everything again: consensus may have been restarted.
    func repeatAll() {
        state.withLock { state in
            state.isHeadDue = state.head != nil
            state.dueBlames = state.blames
        }
        wake.yield()
    }

    /// Tells what there is to tell, until the task is cancelled.
    func tellAll() async {
        for await _ in wakes {
            let (head, blames) = state.withLock { state in
                defer {
                    state.isHeadDue = false
                    state.dueBlames = []
                }
                return (state.isHeadDue ? state.head : nil, state.dueBlames)
            }
            do {
                if let head { try await send("PUT", "/head", head) }
                for blame in blames { try await send("POST", "/blame", blame) }
            } catch {
                // What was lost is told again when its feed is connected again.
                metrics.dropped("head")
                log.debug("consensus was not told: \(error)")
            }
        }
    }

    private func send(_ method: String, _ path: String, _ body: some Encodable) async throws {
        try await client.send(ClientRequest(method, socket, path, timeout: .seconds(5)), json: body).successful()
    }
}
