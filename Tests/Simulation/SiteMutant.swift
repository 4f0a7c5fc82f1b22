import ConsensusCore
import PlannerCore

extension SimulatedSite {
    /// How a site is broken on purpose, to show that the judge sees it.
    public enum Mutant: String, Sendable, CaseIterable {
        /// Honest planners prevote whatever is proposed, though they have locked another block.
        case noLock = "no-lock"
        /// Disks forget votes and locks, planner's and those in gossip's ledger.
        case volatileVotes = "volatile-votes"
        /// One vote fewer decides.
        case quorumOffByOne = "quorum-off-by-one"
        /// Planners believe a proposal's plan.
        case planNotRecomputed = "plan-not-recomputed"
        /// Migrators leave a copy running whose app the chain has given to another device in a newer incarnation.
        case incarnationIgnored = "incarnation-ignored"
        /// Planners believe a committed block's certificate, whoever signed it.
        case wrongCertificate = "wrong-certificate"
        /// Engines say that a restore failed, and leave the restored copy running.
        case lyingEngine = "lying-engine"
        /// Engines start a moved program anew instead of restoring it.
        case amnesiacEngine = "amnesiac-engine"
        /// One planner stores another block than was agreed on.
        case forgedBlock = "forged-block"
        /// Planners say that their devices are in touch for ever.
        case boundlessTouch = "boundless-touch"
        /// Planners believe what a block's transactions say in others' names.
        case ordersBelieved = "orders-believed"

        /// What honest planners do otherwise.
        var deviation: Deviation {
            switch self {
            case .noLock: .noLock
            case .quorumOffByOne: .quorumOffByOne
            case .planNotRecomputed: .planNotRecomputed
            case .wrongCertificate: .wrongCertificate
            case .ordersBelieved: .ordersBelieved
            case .volatileVotes, .incarnationIgnored, .lyingEngine, .amnesiacEngine, .forgedBlock, .boundlessTouch: []
            }
        }

        /// What brings it to light soonest.
        public var options: Options {
            var options = Options()
            options.mutant = self
            options.devices = 4
            options.isSteady = true
            switch self {
            case .noLock:
                options.liars = 1
                options.behaviours = [.split]
                options.engine = RotationElection.self
                options.faults = .solitudes
            case .planNotRecomputed:
                options.liars = 1
                options.behaviours = [.wrongPlan]
            case .ordersBelieved:
                options.liars = 1
                options.behaviours = [.usurp]
            case .wrongCertificate:
                options.liars = 1
                options.behaviours = [.forge]
            case .volatileVotes:
                options.liars = 1
                options.behaviours = [.equivocate]
                options.faults = .blackouts
            case .incarnationIgnored:
                options.liars = 0
                options.faults = .absences
            case .quorumOffByOne: options.liars = 0
            case .boundlessTouch: options.liars = 0
            case .lyingEngine, .amnesiacEngine, .forgedBlock:
                options.liars = 0
                options.faults = .none
            }
            return options
        }
    }
}
