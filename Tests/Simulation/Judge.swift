import ConsensusCore
import Contracts
import MigratorCore
import PlannerCore

/// Sees everything and trusts nobody: what must hold at every step, and what must hold in the end.
final class Judge {
    private unowned let site: SimulatedSite
    /// What was seen to be wrong, with its time.
    private(set) var violations: [String] = []
    /// Whether honest devices hold two blocks of one height.
    private(set) var isForked = false
    private var winners: [UInt64: NodeID] = [:]
    private var blocks: [UInt64: Digest] = [:]
    /// Blocks that snapshots told of.
    private var vouched: [UInt64: Digest] = [:]
    private var liarsBlocks: [Digest: CommittedBlock] = [:]
    var entitlement = Entitlement()
    private lazy var ballots = BallotBox(quorum: site.quorum, liars: site.cast.liars.count)
    private var committers: [NodeID: UInt64] = [:]
    /// The chain as the judge computes it itself.
    private(set) var chain: Chain?
    /// Incarnations that came by a move, with the ones they came from.
    private var moves: [HandoffKey: UInt64] = [:]
    /// Incarnations that the chain knows to have run.
    private var confirmed: Set<HandoffKey> = []
    private var programs: [String: Int] = [:]
    private var begun: Set<HandoffKey> = []
    private var excused: Set<String> = []
    private var programCount = 0
    private(set) var completedMoves = 0
    /// Snapshots that devices have taken from others.
    private(set) var adoptions = 0
    /// Whether the faults are over and a block has been committed since.
    var isRestored = false
    /// Where the chain ended when each device doubted a block's time.
    private var doubts: [NodeID: Set<UInt64>] = [:]
    /// Every app that the chain ever had.
    private(set) var known: Set<String> = []

    init(site: SimulatedSite) { self.site = site }

    func accuse(_ text: String) {
        violations.append("at \(site.time.now) ms: \(text)")
        site.note(nil, "VIOLATION: \(text)")
    }

    /// What a service finds wrong. A liar's may think so rightly, and others rightly of a liar.
    func complain(_ device: SimulatedDevice, _ text: String) {
        let isAboutLiar = site.devices.contains {
            $0.liar != nil && text.contains("\($0.name) has another block")
        }
        guard device.liar == nil, !isAboutLiar else { return site.note(device, text) }
        accuse("\(device.name): \(text)")
    }

    var terms: Int { winners.count }

    // MARK: - The chain

    /// Where nobody lies and nothing goes wrong any more, nobody has a reason to doubt when blocks say they were made: with a
    /// device fewer it would keep the site from going on. Who learned late of a block, as after a cut, may doubt the next one,
    /// and so on while it is behind. And where proposals were lost on the way, or a builder didn't know how long the others had
    /// waited, blocks seem to be behind until that has left the last ten.
    func refused(_ reason: String, by device: SimulatedDevice) {
        guard isRestored, site.cast.liars.isEmpty, Self.timeDoubts.contains(reason), let state = device.planner.state
        else { return }
        doubts[device.id, default: []].insert(state.height)
        let isBehind = reason == Refusal.Reason.timeBehindClock.rawValue
        guard let heights = doubts[device.id], heights.count > (isBehind ? 10 : 3) else { return }
        let after = heights.sorted().map(String.init).joined(separator: ", ")
        accuse("\(device.name) refuses honest builders' blocks after \(after): \(reason)")
    }

    private static let timeDoubts = Set([Refusal.Reason.timeAheadOfClock, .timeBehindClock].map(\.rawValue))

    /// At most one leader a term, and none without what shows it.
    func led(_ leadership: Leadership, says device: SimulatedDevice, at head: SiteHead) {
        guard device.liar == nil, let leader = leadership.leader else { return }
        if let flaw = site.engine.flaw(of: leadership, at: head, .real) {
            accuse("\(device.name) acknowledges \(site.name(leader)) in term \(leadership.term), but \(flaw)")
        }
        if site.engine.guarantee.oneLeaderATerm, let winner = winners[leadership.term], winner != leader {
            accuse("term \(leadership.term) has two leaders, \(site.name(winner)) and \(site.name(leader))")
        }
        winners[leadership.term] = leader
    }

    /// One block a height, and each one follows from the one before.
    func committed(_ block: CommittedBlock, by device: SimulatedDevice) {
        guard device.liar == nil else {
            // It may be the first to commit one, and the only one if all others take a snapshot of it.
            if block.height > (chain?.state.height ?? 0) { liarsBlocks[block.id] = block }
            return
        }
        let last = committers[device.id, default: 0]
        if block.height != last + 1 { accuse("\(device.name) commits block \(block.height) after \(last)") }
        committers[device.id] = block.height
        if let known = blocks[block.height] ?? vouched[block.height], known != block.id {
            isForked = true
            return accuse(
                "two blocks of one height: block \(block.height) is \(known.short) and, says \(device.name), \(block.id.short)"
            )
        }
        guard blocks[block.height] == nil else { return }
        blocks[block.height] = block.id
        do throws(ChainFault) {
            if chain == nil, let genesis = device.disk.genesis { chain = try Chain(genesis: genesis) }
            try fillGap(before: block)
            let before = chain?.state
            try append(block)
            if let before, let after = chain?.state { follow(before, after, device) }
        } catch {
            accuse("\(device.name) committed what can't be recomputed: \(error)")
        }
    }

    /// Computes the next block, and whether all that is in it was wished for.
    private func append(_ committed: CommittedBlock) throws(ChainFault) {
        guard let before = chain?.state else { return }
        if let block = try? Block.decode(committed.block) {
            let liars = Set(site.cast.liars.map { site.devices[$0].id })
            for flaw in entitlement.flaws(in: block, after: before, isLiar: liars.contains) {
                accuse("block \(committed.height) holds \(flaw)")
            }
        }
        try chain?.append(committed)
        guard let after = chain?.state else { return }
        ballots.expect(after.quorum.votes, at: after.height + 1)
        let founders = Set(site.devices.prefix(site.cast.devices).map(\.id))
        let flaws = entitlement.flaws(
            of: after, founders: founders, apps: site.workload.names, parameters: site.parameters)
        for flaw in flaws { accuse("after block \(after.height) \(flaw)") }
    }

    /// Appends what honest devices have passed over by snapshots: its certificate says that it was committed.
    private func fillGap(before block: CommittedBlock) throws(ChainFault) {
        while let height = chain?.state.height, height + 1 < block.height,
            let missing = liarsBlocks.values.first(where: { $0.height == height + 1 && $0.id == vouched[$0.height] })
        {
            try append(missing)
        }
        liarsBlocks = liarsBlocks.filter { $0.value.height >= block.height }
    }

    /// A snapshot is of a block that was committed, and ahead of what the device had.
    func adopted(_ snapshot: StoredSnapshot, by device: SimulatedDevice) {
        guard device.liar == nil else { return }
        let last = committers[device.id, default: 0]
        if snapshot.height <= last { accuse("\(device.name) goes back from block \(last) to \(snapshot.height)") }
        committers[device.id] = snapshot.height
        adoptions += 1
        do throws(ChainFault) {
            let proven = try CertifiedSnapshot.decode(snapshot.bytes).verify(genesis: chain?.state.genesis ?? .zero)
            // Certified it is: if nobody honest has committed that block yet, a liar has.
            let known = blocks[snapshot.height] ?? vouched[snapshot.height] ?? proven.state.head
            vouched[snapshot.height] = known
            guard known != proven.state.head else {
                return site.note(device, "takes the state after block \(snapshot.height), after block \(last)")
            }
            accuse("\(device.name) takes a state after another block \(snapshot.height) than was committed")
        } catch {
            accuse("\(device.name) takes a state that is not proven: \(error)")
        }
    }

    /// What an honest device's key has signed.
    func signed(_ request: SigningRequest, by device: SimulatedDevice) {
        guard device.liar == nil else { return }
        for fault in ballots.take(request, by: device.number) { accuse("\(device.name) \(fault)") }
    }

    private func follow(_ before: SiteState, _ after: SiteState, _ device: SimulatedDevice) {
        var news: [String] = []
        for app in after.apps.ascending {
            let name = app.specification.name
            let old = before.apps[name]
            known.insert(name)
            if let move = app.move { moves[HandoffKey(app: name, incarnation: move.incarnation)] = app.incarnation }
            if app.phase == .running { confirmed.insert(HandoffKey(app: name, incarnation: app.incarnation)) }
            if let move = old?.move, app.move == nil, app.incarnation == move.incarnation { completedMoves += 1 }
            if old?.phase != app.phase || old?.incarnation != app.incarnation || old?.node != app.node {
                news.append("\(name) is \(site.words(app))")
            }
        }
        for name in before.apps.names where after.apps[name] == nil { news.append("\(name) is removed") }
        for member in after.members where before.nodes[member.id] == nil { news.append("\(member.name) is a member") }
        for member in before.members where after.nodes[member.id] == nil {
            news.append("\(member.name) is no member any more")
        }
        for member in after.members where before.nodes[member.id]?.absent != after.nodes[member.id]?.absent {
            news.append("\(member.name) is \(after.nodes[member.id]?.absent == true ? "absent" : "back")")
        }
        let id = after.head.short
        site.note(
            device, "commits block \(after.height) \(id)\(news.isEmpty ? "" : ": ")\(news.joined(separator: ", "))")
    }

    // MARK: - Containers

    /// Never two running copies of one app that the chain could mean. A copy on a device that was given up may go on
    /// until that device learns of it, unless it is the source of a move, or its app may not run twice at all.
    func changed(_ app: String) {
        var running: [(incarnation: UInt64, device: SimulatedDevice)] = []
        for device in site.devices {
            for copy in device.engine.copies(of: app) where copy.state == .running {
                running.append((copy.incarnation, device))
            }
        }
        guard running.count > 1 else { return }
        for (index, a) in running.enumerated() {
            for b in running[..<index] {
                let (old, new) = a.incarnation < b.incarnation ? (a, b) : (b, a)
                let ofMove = moves[HandoffKey(app: app, incarnation: new.incarnation)] == old.incarnation
                guard old.incarnation == new.incarnation || ofMove || isUnique(app, old.incarnation, old.device) else {
                    continue
                }
                accuse(
                    "\(app) runs twice: incarnation \(old.incarnation) on \(old.device.name) and "
                        + "\(new.incarnation) on \(new.device.name)")
            }
        }
    }

    /// Milliseconds that a migrator takes at most to see that nothing keeps it in touch, once nothing keeps it from acting.
    private static let recollection: Int64 = 6_000

    /// Whether the app may not run elsewhere as long as this copy does: it has run where its volumes are, or it is to be frozen
    /// when its device is cut off. Only a migrator that could act can be blamed for the latter.
    private func isUnique(_ app: String, _ incarnation: UInt64, _ device: SimulatedDevice) -> Bool {
        guard let wish = site.workload.specifications[app] else { return false }
        let isMember = chain?.state.nodes[device.id] != nil
        if isMember, wish.keepsVolumes, confirmed.contains(HandoffKey(app: app, incarnation: incarnation)) {
            return true
        }
        let hindrance = max(device.migrator.lastAway, device.engine.lastBusy)
        return wish.isolated == .freeze && site.time.now - hindrance > Self.recollection
    }

    /// A program starts from nothing only where the chain placed its app anew, or where its memory was lost by a power cut.
    func began(_ app: String, _ incarnation: UInt64, on device: SimulatedDevice) -> Int {
        programCount += 1
        let key = HandoffKey(app: app, incarnation: incarnation)
        if moves[key] != nil || begun.contains(key), !excused.contains(app) {
            accuse("\(app) was started anew on \(device.name) in incarnation \(incarnation) and lost its memory")
        }
        begun.insert(key)
        programs[app] = programCount
        return programCount
    }

    /// The memory of what is on this device is gone, and it is nobody's fault.
    func excuse(_ device: SimulatedDevice) {
        for copy in device.engine.copies() { excused.insert(copy.app) }
    }

    // MARK: - The end

    /// What is not yet as it must be once no more goes wrong: everybody at one head, blocks coming, every app running
    /// exactly once where the chain has it.
    func unrest(_ workload: Workload) -> [String] {
        var unrest: [String] = []
        let devices = site.devices.filter { $0.liar == nil }
        let states = devices.map(\.planner.state)
        let heights = states.map { $0?.height ?? 0 }
        guard let newest = heights.max(), let state = states.first(where: { $0?.height == newest }) ?? nil else {
            return ["there is no chain"]
        }
        // Who is no member any more may have nobody left to hear from.
        for (device, height) in zip(devices, heights) where height + 1 < newest && state.nodes[device.id] != nil {
            unrest.append("\(device.name) is at block \(height) of \(newest)")
        }
        unrest += site.unsettled(state)
        for name in workload.names { unrest += self.unrest(of: name, state, workload) }
        for name in state.apps.names where !workload.names.contains(name) {
            unrest.append("nobody submitted \(name)")
        }
        return unrest
    }

    private func unrest(of name: String, _ state: SiteState, _ workload: Workload) -> [String] {
        let running = site.devices.flatMap { device in
            device.engine.copies(of: name).filter { $0.state == .running }.map { (device, $0.incarnation) }
        }
        let places = running.map { "\($0.0.name) (\($0.1))" }.joined(separator: ", ")
        guard let app = state.apps[name] else {
            if workload.removed.contains(name) {
                return running.isEmpty ? [] : ["\(name) is removed and runs on \(places)"]
            }
            return ["\(name) is not in the chain"]
        }
        if workload.removed.contains(name) { return ["\(name) is not removed yet"] }
        switch app.phase {
        case .completed where workload.ending.contains(name), .failed where site.plan.hasFailingStarts:
            return running.isEmpty ? [] : ["\(name) is \(app.phase.rawValue) and runs on \(places)"]
        case .running:
            let isRight = running.count == 1 && running[0].0.id == app.node && running[0].1 == app.incarnation
            return isRight ? [] : ["\(name) should be \(site.words(app)) and runs on: \(places)"]
        case .pending where !fits(app, state): return []
        case .pending, .placed, .moving, .completed, .failed:
            return ["\(name) is \(site.words(app)), runs on: \(places)"]
        }
    }

    /// Whether there is a device with room for the app, as far as honest ones go and by what apps really need. A liar may
    /// claim to be full.
    func fits(_ app: AppRecord, _ state: SiteState, except other: SimulatedDevice? = nil) -> Bool {
        func demand(_ app: AppRecord) -> Int { app.specification.cpuMillicores ?? 0 }
        return site.devices.contains { device in
            guard device.liar == nil, device !== other, let record = state.nodes[device.id],
                record.drainsUntil == nil
            else { return false }
            let load = state.apps.ascending.reduce(0) { sum, other in
                let isHere = other.phase.isPlaced && (other.node == device.id || other.move?.to == device.id)
                return sum + (isHere ? demand(other) : 0)
            }
            // Measured loads differ a little from what an app is made to need.
            return load + demand(app) <= device.engine.millicores * 9 / 10
        }
    }
}
