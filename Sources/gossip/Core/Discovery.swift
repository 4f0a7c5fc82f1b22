import Contracts

// Who the others are and whether they answer.
extension GossipMachine {
    /// Milliseconds between two looks at what is due.
    static let discoveryInterval: Int64 = 250
    /// Milliseconds between two questions to one peer for the peers it knows; also the sign of life of a quiet link.
    static let askPeersInterval: Int64 = 3_000
    /// Milliseconds after which an address of this node, or of another site, is looked at again.
    static let settledInterval: Int64 = 30_000
    /// Requests in a row that must fail until a peer counts as gone.
    static let failuresToDisconnect = 3
    /// Tries after which an address that no setting names is forgotten: about ten minutes.
    static let triesToForget = 150
    static let triesAtOnce = 16

    mutating func discover(now: Int64) {
        effects.append(.setTimer(.discovery, afterMilliseconds: Self.discoveryInterval))
        var trying = addresses.values.count { $0.trying }
        for (text, address) in addresses.sorted(by: { $0.key < $1.key }) {
            guard trying < Self.triesAtOnce else { break }
            guard !address.trying, address.nextTry <= now else { continue }
            if case .peer(let id) = address.standing, peers[id]?.connected == true { continue }
            trying += 1
            addresses[text]?.trying = true
            effects.append(.identify(address: text))
        }
        for id in connectedPeers {
            if peers[id]?.outbox.hasOffers == true {
                peers[id]?.mayAsk = true
                stirred.insert(id)
            }
            guard let peer = peers[id], !peer.askingPeers,
                peer.askedPeersAt.map({ now - $0 >= Self.askPeersInterval }) ?? true
            else { continue }
            peers[id]?.askingPeers = true
            peers[id]?.askedPeersAt = now
            effects.append(.askPeers(id, address: peer.address))
        }
    }

    /// Takes note of an address at which a node may answer.
    mutating func learn(_ text: String, now: Int64) {
        guard Address.isValid(text), text != gossipAddress, addresses[text] == nil else { return }
        if addresses.count >= GossipLimits.addresses {
            let worst = addresses.filter { !$0.value.configured && $0.value.failures > Self.failuresToDisconnect }
                .max { ($0.value.failures, $0.key) < ($1.value.failures, $1.key) }
            guard let worst else { return }
            addresses[worst.key] = nil
        }
        addresses[text] = Address(configured: false, nextTry: now)
    }

    mutating func identified(_ text: String, _ info: NodeInfo, roundTrip: Int64, now: Int64) {
        guard var address = addresses[text] else { return }
        address.trying = false
        address.failures = 0
        address.lastFailure = nil
        address.nextTry = now + Self.settledInterval
        defer { addresses[text] = address }
        if info.id == key.nodeID {
            address.standing = .own
            return
        }
        guard info.site == configuration.site else {
            if address.standing != .foreign(site: info.site) {
                let mine = configuration.site
                effects.append(
                    .log(.warning, "\(text) is a node of site \"\(info.site)\", not of \"\(mine)\": not a peer"))
            }
            address.standing = .foreign(site: info.site)
            return
        }
        address.standing = .peer(info.id)
        // a device that got a new key is no longer the node it was
        for peer in peers.values where peer.address == text && peer.id != info.id && !peer.connected {
            peers[peer.id] = nil
        }
        if let peer = peers[info.id] {
            // one node at two addresses: it stays where it answers
            if peer.connected { return }
            peers[info.id]?.address = text
            peers[info.id]?.name = info.name
        } else {
            if peers.count >= GossipLimits.peers {
                guard let gone = peers.values.filter({ !$0.connected }).map(\.id).min() else { return }
                peers[gone] = nil
            }
            peers[info.id] = Peer(id: info.id, name: info.name, address: text)
        }
        peers[info.id]?.measured(roundTrip)
        connect(info.id)
        learn(info.gossipAddress, now: now)
    }

    /// A peer answers (again): it is offered the newest report of every node.
    private mutating func connect(_ id: NodeID) {
        peers[id]?.connected = true
        effects.append(.connected(connectedPeers.count))
        effects.append(.log(.info, "connected to \(describe(id)) at \(peers[id]?.address ?? "")"))
        peers[id]?.mayAsk = true
        for pooled in senders.pool where pooled.message.sender != id { enqueue(pooled.message, to: id) }
    }

    mutating func unidentified(_ text: String, _ reason: String, now: Int64) {
        guard var address = addresses[text] else { return }
        address.trying = false
        address.failures += 1
        address.lastFailure = reason
        address.nextTry = now + Address.patience(address.failures)
        addresses[text] = address
        guard !address.configured, address.failures >= Self.triesToForget else { return }
        addresses[text] = nil
        if case .peer(let id) = address.standing, peers[id]?.address == text { peers[id] = nil }
    }

    mutating func learned(_ hints: [PeerHint], from id: NodeID, roundTrip: Int64, now: Int64) {
        guard let peer = peers[id], peer.askingPeers else { return }
        peers[id]?.askingPeers = false
        succeeded(id, roundTrip)
        for hint in hints.prefix(GossipLimits.peers) where hint.id != key.nodeID && peers[hint.id]?.connected != true {
            learn(hint.address, now: now)
        }
    }

    mutating func notLearned(from id: NodeID, _ reason: String, now: Int64) {
        guard let peer = peers[id], peer.askingPeers else { return }
        peers[id]?.askingPeers = false
        failed(id, reason, now: now)
    }

    mutating func succeeded(_ id: NodeID, _ roundTrip: Int64? = nil) {
        peers[id]?.failures = 0
        if let roundTrip { peers[id]?.measured(roundTrip) }
        stirred.insert(id)
    }

    mutating func failed(_ id: NodeID, _ reason: String, now: Int64) {
        guard var peer = peers[id], peer.connected else { return }
        peer.failures += 1
        guard peer.failures >= Self.failuresToDisconnect else {
            if !peer.waiting {
                peer.waiting = true
                effects.append(.setTimer(.retry(id), afterMilliseconds: Address.patience(peer.failures)))
            }
            peers[id] = peer
            return
        }
        effects.append(.log(.notice, "lost \(describe(id)) at \(peer.address): \(reason)"))
        peer.disconnect()
        peers[id] = peer
        effects.append(.connected(connectedPeers.count))
        for (text, address) in addresses where address.standing == .peer(id) {
            addresses[text]?.nextTry = now
            addresses[text]?.lastFailure = reason
        }
    }

    mutating func removePeer(_ id: NodeID, now: Int64) {
        guard peers.removeValue(forKey: id) != nil else { return }
        effects.append(.connected(connectedPeers.count))
        for (text, address) in addresses where address.standing == .peer(id) {
            addresses[text] = address.configured ? address : nil
            addresses[text]?.nextTry = now + Self.settledInterval
        }
    }

    func describe(_ id: NodeID) -> String { peers[id].map { "\($0.name) (\(id.short))" } ?? id.short }
}
