import Contracts

extension MoveMeasures {
    mutating func endPhase(_ phase: String, _ now: Int64) {
        phases[phase, default: 0] += max(0, now - phaseSince)
        phaseSince = now
    }

    /// What arrived here for a move, and in which time; nil if that isn't known.
    var shipment: Shipment? {
        guard bytes > 0, let time = phases[Incoming.Phase.receiving.rawValue] else { return nil }
        return Shipment(bytes: bytes, milliseconds: time)
    }

    /// Counts what was shipped, once for each part however often it was sent.
    mutating func take(_ parts: [PartDigest]) {
        func total(_ isOfKind: (String) -> Bool) -> Int64 {
            parts.filter { isOfKind($0.part) }.reduce(0) { $0 + $1.bytes }
        }
        checkpointBytes = total { $0 == "checkpoint" }
        layerBytes = total { $0 == "layer" }
        volumeBytes = total { $0.hasPrefix("volume:") }
    }
}

extension Outgoing {
    /// Whether the removal of `copies` was what was left to do.
    func isRemoved(with copies: [String]) -> Bool { phase == .removing && copies == [copy] }

    mutating func takeParts(_ parts: [PartDigest]) {
        self.parts = parts
        measures.take(parts)
    }
}

extension MoveRecord {
    init(_ entry: Outgoing, here: NodeID, outcome: Outcome) {
        app = entry.app
        incarnation = entry.order.incarnation
        direction = .outgoing
        from = here
        to = entry.order.to
        phase = entry.phase.rawValue
        self.outcome = outcome
        reason = entry.reason
        measures = entry.measures
    }

    init(_ entry: Incoming, here: NodeID, outcome: Outcome) {
        app = entry.key.app
        incarnation = entry.key.incarnation
        direction = .incoming
        from = entry.from
        to = here
        phase = entry.phase.rawValue
        self.outcome = outcome
        reason = entry.reason
        measures = entry.measures
    }
}

extension Journal {
    mutating func remember(_ record: MoveRecord) {
        history.append(record)
        if history.count > Self.historyLimit { history.removeFirst(history.count - Self.historyLimit) }
    }
}

extension MigratorMachine {
    /// Moves that this device has a part in: those under way first, then the ended ones, newest first.
    public var moves: [MoveRecord] {
        guard let here = placement?.here else { return journal.history.reversed() }
        let open =
            journal.outgoing.map { MoveRecord($0, here: here, outcome: .inProgress) }
            + journal.incoming.map { MoveRecord($0, here: here, outcome: .inProgress) }
        return open.sorted { ($0.app, $0.incarnation) < ($1.app, $1.incarnation) } + journal.history.reversed()
    }
}
