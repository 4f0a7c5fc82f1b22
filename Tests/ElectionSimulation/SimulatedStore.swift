public import ConsensusCore

/// An etcd as it should be: one after the other, every call takes effect at once; leases end when their time is up.
/// Whether it can be reached, and how long it takes, is the affair of whoever simulates the network.
public struct SimulatedStore: Sendable {
    private struct Lease {
        var seconds: Int64
        var end: Int64
    }

    /// etcd grants no shorter ones, at its own default settings.
    public static let shortestLease: Int64 = 2

    private var revision: UInt64 = 1
    private var lastLease: Int64 = 0
    private var leases: [Int64: Lease] = [:]
    public private(set) var entries: [String: StoreEntry] = [:]

    public init() {}

    /// - Parameter now: milliseconds of true time, never less than before.
    public mutating func perform(_ call: StoreCall, now: Int64) -> StoreReply {
        expire(now: now)
        switch call.request {
        case .grant(let seconds):
            lastLease += 1
            let seconds = max(seconds, Self.shortestLease)
            leases[lastLease] = Lease(seconds: seconds, end: now + seconds * 1_000)
            return .lease(lastLease, seconds: seconds)
        case .keepAlive(let lease):
            guard let seconds = leases[lease]?.seconds else { return .lease(lease, seconds: 0) }
            leases[lease]?.end = now + seconds * 1_000
            return .lease(lease, seconds: seconds)
        case .campaign(let key, let value, let lease):
            // etcd refuses a lease that it doesn't know; here that changes nothing, and the caller reads so.
            if entries[key] == nil, leases[lease] != nil { put(value, under: key, lease: lease) }
            return .entry(entries[key])
        case .read(let key): return .entry(entries[key])
        case .revoke(let lease):
            end(lease)
            return .done
        case .remove(let key, let createRevision):
            if entries[key]?.createRevision == createRevision {
                revision += 1
                entries[key] = nil
            }
            return .done
        }
    }

    /// What somebody with access to etcd writes by hand; lease 0 is none.
    public mutating func put(_ value: [UInt8], under key: String, lease: Int64 = 0) {
        revision += 1
        let created = entries[key]?.createRevision ?? revision
        entries[key] = StoreEntry(value: value, createRevision: created, lease: lease)
    }

    private mutating func expire(now: Int64) {
        for (lease, state) in leases.sorted(by: { $0.key < $1.key }) where state.end <= now { end(lease) }
    }

    private mutating func end(_ lease: Int64) {
        guard leases.removeValue(forKey: lease) != nil else { return }
        let bound = entries.filter { $0.value.lease == lease }.map(\.key)
        if !bound.isEmpty { revision += 1 }
        for key in bound { entries[key] = nil }
    }
}
