public import Contracts

// What the shell shows of the machine between two steps.
extension GossipMachine {
    public var info: NodeInfo {
        NodeInfo(
            id: key.nodeID, vrf: key.vrf.publicKey, name: configuration.name, site: configuration.site,
            gossipAddress: gossipAddress, migratorAddress: migratorAddress, version: configuration.version)
    }

    /// In ascending order of name, then key.
    public func peerStates(now: Int64) -> [PeerState] {
        peers.values.sorted { ($0.name, $0.id) < ($1.name, $1.id) }.map { peer in
            PeerState(
                id: peer.id, name: peer.name, address: peer.address, connected: peer.connected,
                latencyMicroseconds: peer.latency,
                reportAgeMilliseconds: senders.pooled(peer.id).map { now - $0.receivedAt })
        }
    }

    /// The score pool, this node's own report included, in ascending order of name, then key.
    public func scores(now: Int64) -> [NodeScores] {
        nodeStates(now: now).map {
            NodeScores(
                id: $0.id, sequence: $0.message.sequence, ageMilliseconds: $0.ageMilliseconds, report: $0.report)
        }
    }

    public func nodeStates(now: Int64) -> [NodeState] {
        senders.pool.sorted { ($0.report.name, $0.message.sender) < ($1.report.name, $1.message.sender) }.map {
            NodeState(
                id: $0.message.sender, ageMilliseconds: now - $0.receivedAt, report: $0.report, message: $0.message)
        }
    }

    /// What stands in the way of this node's work. `monitor` is the shell's, which knows why the feed is down.
    public func checks(now: Int64) -> [String: HealthCheck] {
        var checks = ["identity": HealthCheck(.pass), "names": names, "peers": peersCheck, "report": reporting(now)]
        if cloned {
            checks["identity"] = HealthCheck(
                .fail, "another device signs with this device's key: stop one and remove its gossip state directory")
        }
        return checks
    }

    private var names: HealthCheck {
        var names: [String: Set<NodeID>] = [configuration.name: [key.nodeID]]
        for pooled in senders.pool { names[pooled.report.name, default: []].insert(pooled.message.sender) }
        for peer in peers.values where peer.connected { names[peer.name, default: []].insert(peer.id) }
        guard let (name, ids) = names.filter({ $0.value.count > 1 }).min(by: { $0.key < $1.key }) else {
            return HealthCheck(.pass)
        }
        let which = ids.sorted().map(\.short).joined(separator: ", ")
        return HealthCheck(.warn, "\(ids.count) nodes are called \"\(name)\" (\(which)): give each its own POISE_NAME")
    }

    private var peersCheck: HealthCheck {
        let connected = peers.values.count { $0.connected }
        var silent: [String] = []
        for (text, address) in addresses.sorted(by: { $0.key < $1.key }) where address.configured {
            switch address.standing {
            case .own: continue
            case .foreign(let site): silent.append("\(text) is of site \"\(site)\"")
            case .peer(let id) where peers[id]?.connected == true: continue
            case .peer, .unknown: silent.append("\(text): \(address.lastFailure ?? "not asked yet")")
            }
        }
        if silent.isEmpty { return HealthCheck(.pass, "\(connected) connected") }
        let more = silent.count > 4 ? " and \(silent.count - 4) more" : ""
        return HealthCheck(
            .warn, "\(connected) connected; no answer from " + silent.prefix(4).joined(separator: "; ") + more)
    }

    private func reporting(_ now: Int64) -> HealthCheck {
        if left { return HealthCheck(.warn, "this node has left the site: start gossip again to bring it back") }
        if gossipAddress.isEmpty {
            return HealthCheck(.warn, "this device's address is not known yet: set POISE_ADVERTISE if that lasts")
        }
        guard let sampledAt = reports.sampledAt, now - sampledAt < GossipLimits.sampleAge else {
            return HealthCheck(
                .warn, "no recent sample from monitor, so no report is sent and others see this node absent")
        }
        return HealthCheck(.pass)
    }
}
