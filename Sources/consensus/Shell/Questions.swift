import ConsensusCore
import Contracts
import Transport

/// What the election can't answer by itself, asked beside it: it never waits.
final class Questions: Sendable {
    /// Questions that may wait. An engine asks one at a time.
    private static let limit = 64

    private let gossip: GossipClient
    /// Where the election looks its leader up; nil with engines that don't.
    private let etcd: EtcdClient?
    private let queue: AsyncStream<ElectionQuestion>
    private let input: AsyncStream<ElectionQuestion>.Continuation

    init(gossip: GossipClient, etcd: EtcdClient?) {
        self.gossip = gossip
        self.etcd = etcd
        (queue, input) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(Self.limit))
    }

    func ask(_ question: ElectionQuestion) { input.yield(question) }

    /// Answers what is asked until the task is cancelled. What takes longer doesn't hold up the next: each has its own
    /// deadline.
    func answerAll(_ answered: @escaping @Sendable (ElectionQuestion, ElectionAnswer?) -> Void) async {
        await withDiscardingTaskGroup { group in
            for await question in queue {
                group.addTask { [self] in answered(question, await answer(question)) }
            }
        }
    }

    private func answer(_ question: ElectionQuestion) async -> ElectionAnswer? {
        switch question {
        case .draw(let alpha): await gossip.draw(alpha).map(ElectionAnswer.drawn)
        case .store(let call): await etcd?.answer(call).map(ElectionAnswer.store)
        }
    }
}
