import Contracts
import GossipCore
import Logging
import Runtime
import Transport

/// Does what the core says. What persists is done on the spot; what goes to peers runs beside, one exchange a ticket,
/// and comes back as an event.
final class EffectPerformer: Sendable {
    typealias Loop = MachineLoop<GossipMachine>

    let readers = Broadcast<FeedMessage>()
    let requests = Requests()
    private let store: IdentityStore
    private let peers: PeerClient
    private let metrics: GossipMetrics
    private let timers = Timers<GossipTimer>()
    private let log = Logger(label: "gossip")

    init(store: IdentityStore, peers: PeerClient, metrics: GossipMetrics) {
        self.store = store
        self.peers = peers
        self.metrics = metrics
    }

    /// - Throws: what the disk throws. The process then ends: it must not sign what it can't remember.
    func perform(_ effect: GossipEffect, _ loop: Loop) throws {
        switch effect {
        case .persistSequences(let bytes): try store.sequences.write(bytes)
        case .persistLedger(let bytes): try store.ledger.write(bytes)
        case .send, .ask, .identify, .askPeers: reach(effect, loop)
        case .deliver(let line): readers.send(line)
        case .answer(let number, let answer): requests.resume(number, answer)
        case .setTimer(let timer, let delay):
            timers.arm(timer, after: .milliseconds(delay)) { loop.post(.timer(timer)) }
        case .count(let what, let amount): metrics.count(what, amount)
        case .connected(let count): metrics.connected(count)
        case .pooled(let count): metrics.pooled(count)
        case .log(let level, let text): log.log(level: level.loggerLevel, "\(text)")
        }
    }

    private func reach(_ effect: GossipEffect, _ loop: Loop) {
        let peers = peers
        switch effect {
        case .send(let ticket, let batch, let address):
            Task {
                switch await peers.send(batch, to: ticket.peer, at: address) {
                case .done: loop.post(.sent(ticket))
                case .failed(let reason): loop.post(.failed(ticket, reason: reason))
                case .refused(let reason): loop.post(.refused(ticket, reason: reason))
                }
            }
        case .ask(let ticket, let question, let address):
            Task {
                switch await peers.ask(question, of: ticket.peer, at: address) {
                case .done(let needed, let roundTrip):
                    loop.post(.answered(ticket, needed: needed, roundTrip: roundTrip))
                case .failed(let reason): loop.post(.failed(ticket, reason: reason))
                case .refused(let reason): loop.post(.refused(ticket, reason: reason))
                }
            }
        case .identify(let address):
            Task {
                let own = await loop.read { $0.info.gossipAddress }
                switch await peers.identify(address, own: own) {
                case .done(let info, let roundTrip):
                    loop.post(.identified(address: address, info, roundTrip: roundTrip))
                case .failed(let reason), .refused(let reason):
                    loop.post(.unidentified(address: address, reason: reason))
                }
            }
        case .askPeers(let peer, let address):
            Task {
                switch await peers.peers(of: peer, at: address) {
                case .done(let hints, let roundTrip):
                    loop.post(.peersLearned(from: peer, hints, roundTrip: roundTrip))
                case .failed(let reason), .refused(let reason):
                    loop.post(.peersNotLearned(from: peer, reason: reason))
                }
            }
        default: break
        }
    }
}

extension GossipEffect.Level {
    fileprivate var loggerLevel: Logger.Level {
        switch self {
        case .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .error: .error
        }
    }
}
