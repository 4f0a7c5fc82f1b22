// How long a plan takes, for growing sites: `make bench-plan`. For one size: `plan-benchmark NODES APPS`.

import Glibc
import PlannerCore

/// One size of site, and what is to be planned there.
struct PlanBenchmark {
    static let sizes = [(nodes: 100, apps: 500), (100, 1_000), (1_000, 10_000), (10_000, 100_000)]

    enum Situation: String, CaseIterable {
        /// Everything has its place: what most blocks of a real site are.
        case rest = "at rest"
        /// Apps have ended here and there, and as many are queued as one block can place.
        case busy
        /// All apps were placed blindly: the plan makes as many moves as a block can hold.
        case disorder
    }

    let nodes: Int
    let apps: Int
    let situation: Situation

    /// Ten apps to a node that take eight tenths of it, or five.
    private var workload: Workload {
        let mean = UInt32(800_000 * nodes / apps)
        var arrivals: [Workload.Arrival] = []
        for app in 0..<UInt32(apps) {
            // Spread evenly from half to one and a half times the mean, in an order that isn't theirs.
            let demand = mean / 2 + mean * (app * 7_919 % 1_000) / 1_000
            // A tenth ends in block 3, in which the busy site is planned.
            let duration: UInt32 = situation == .busy && app % 10 == 0 ? 2 : 1_000
            arrivals.append(Workload.Arrival(block: 1, demand: demand, duration: duration))
        }
        if situation == .busy {
            for _ in 0..<min(apps / 10, Plan.limit) {
                arrivals.append(Workload.Arrival(block: 3, demand: mean, duration: 1_000))
            }
        }
        return Workload(arrivals: arrivals)
    }

    /// A state that is about to be planned.
    func state() -> SiteState {
        let first: any Strategy = situation == .disorder ? SpreadStrategy() : BalanceStrategy()
        var simulation = SiteSimulation(SimulationTerms(nodes: nodes, strategy: first), workload)
        for _ in 0..<2 { _ = simulation.next() }
        return simulation.stateBeforeNextPlan()
    }

    /// Milliseconds of processor time for one plan, which is all its time on a machine that has a core to spare: the median
    /// of several.
    func run() -> (milliseconds: Double, plan: Plan) {
        let state = state()
        var times: [Double] = []
        var plan = Plan()
        for _ in 0..<(nodes > 1_000 ? 7 : 25) {
            let began = Self.processorMilliseconds
            plan = BalanceStrategy().plan(for: state)
            times.append(Self.processorMilliseconds - began)
        }
        return (times.sorted()[times.count / 2], plan)
    }

    private static var processorMilliseconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) * 1e3 + Double(time.tv_nsec) / 1e6
    }
}

@main
enum PlanBenchmarkMain {
    static func main() {
        let given = CommandLine.arguments.dropFirst().compactMap { Int($0) }.filter { (1...1_000_000).contains($0) }
        let sizes = given.count == 2 ? [(nodes: given[0], apps: given[1])] : PlanBenchmark.sizes
        print("SITUATION     NODES    APPS  PLACED  MOVES  MS A PLAN  PEAK MB")
        for situation in PlanBenchmark.Situation.allCases {
            var measured: [(apps: Int, milliseconds: Double)] = []
            for (nodes, apps) in sizes {
                let (milliseconds, plan) = PlanBenchmark(nodes: nodes, apps: apps, situation: situation).run()
                if apps == nodes * 10 { measured.append((apps, milliseconds)) }
                print(
                    pad(situation.rawValue, 9, left: true), pad("\(nodes)", 9), pad("\(apps)", 7),
                    pad("\(plan.assignments.count)", 7), pad("\(plan.moves.count)", 6),
                    pad(rounded(milliseconds, 100), 10), pad("\(peakMegabytes)", 8))
            }
            if let first = measured.first, let last = measured.last, first.apps < last.apps {
                let exponent = log(last.milliseconds / first.milliseconds) / log(Double(last.apps / first.apps))
                print("          time grows with the number of apps to the power of \(rounded(exponent, 100))")
            }
        }
    }

    /// Of this process since it began, states included.
    private static var peakMegabytes: Int {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return usage.ru_maxrss / 1_024
    }

    private static func rounded(_ value: Double, _ parts: Double) -> String { "\((value * parts).rounded() / parts)" }

    private static func pad(_ text: String, _ width: Int, left: Bool = false) -> String {
        let space = String(repeating: " ", count: max(0, width - text.count))
        return left ? text + space : space + text
    }
}
