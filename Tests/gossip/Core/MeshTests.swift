import Contracts
import GossipCore
import Identity
import Machine
import Testing

/// What holds of every site, whatever the network does.
@Suite struct MeshTests {
    /// Feeds every node samples for `seconds`, with or without apps (reports above and below the size that is asked about).
    private func feed(_ mesh: inout Mesh, seconds: Int, apps: Int) {
        for node in mesh.nodes.indices {
            for tick in 0..<seconds * 2 {
                let at = Int64(tick * 500 + node * 37)
                let cpu = mesh.random.next(in: 0...1_000_000)
                mesh.schedule(node, .load(Mesh.sample(mesh.now + at, apps: apps, cpu: cpu)), after: at)
            }
        }
    }

    private func expectConverged(_ mesh: Mesh, _ seed: UInt64) {
        for (index, node) in mesh.nodes.enumerated() where node.up {
            let pool = Dictionary(
                uniqueKeysWithValues: node.machine.nodeStates(now: mesh.now).map { ($0.id, $0.message) })
            for (other, source) in mesh.nodes.enumerated() where source.up {
                let newest = source.ownNewest
                #expect(
                    newest != nil && pool[Mesh.key(other).nodeID] == newest,
                    "seed \(seed): pi\(index) lacks the newest report of pi\(other)")
            }
        }
    }

    private func expectDeliveredOnce(_ mesh: Mesh, _ seed: UInt64) {
        for (index, node) in mesh.nodes.enumerated() {
            let signatures = node.delivered.map(\.signature)
            #expect(Set(signatures).count == signatures.count, "seed \(seed): pi\(index) delivered a message twice")
            #expect(
                mesh.published.isSuperset(of: signatures), "seed \(seed): pi\(index) delivered what nobody published")
        }
    }

    @Test func poolsConvergeAfterLossDuplicationAndCuts() throws {
        for seed in seeds(100) {
            var choice = SplitMix64(seed: seed ^ 0xC0FFEE)
            let count = choice.next(in: 2...5)
            // each knows only the one before it: the rest is learned
            var mesh = try Mesh(seed: seed, count: count) { $0 == 0 ? [] : [$0 - 1] }
            mesh.faults = Mesh.Faults(
                loss: choice.next(in: 0...300), duplication: choice.next(in: 0...300),
                delay: 1...choice.next(in: 5...900))
            feed(&mesh, seconds: 18, apps: choice.next(in: 0...4))
            mesh.run(for: 4_000)
            if count > 2 { mesh.cut = [[0, 1]] }
            mesh.run(for: 6_000)
            mesh.cut = []
            mesh.faults = .none
            mesh.run(for: 14_000)
            expectConverged(mesh, seed)
            expectDeliveredOnce(mesh, seed)
        }
    }

    @Test func aNodeThatCrashesComesBackWithRisingSequences() throws {
        for seed in seeds(60) {
            var choice = SplitMix64(seed: seed ^ 0xDEAD)
            var mesh = try Mesh(seed: seed, count: 3) { [($0 + 1) % 3] }
            mesh.faults.loss = choice.next(in: 0...100)
            feed(&mesh, seconds: 16, apps: 2)
            mesh.run(for: Int64(choice.next(in: 2_500...6_000)))
            let before = mesh.nodes[1].ownNewest
            mesh.crash(1)
            mesh.run(for: Int64(choice.next(in: 0...6_000)))
            try mesh.restart(1, knows: [2])
            feed(&mesh, seconds: 10, apps: 2)
            mesh.faults = .none
            mesh.run(for: 16_000)
            let after = try #require(mesh.nodes[1].ownNewest, "seed \(seed)")
            if let before { #expect(after.sequence > before.sequence, "seed \(seed)") }
            expectConverged(mesh, seed)
            expectDeliveredOnce(mesh, seed)
        }
    }

    /// On a full mesh of n nodes the paper's flood sends a message (n - 1)² times at most.
    @Test func aFloodCostsNoMoreThanThePapersBound() throws {
        var asked = 0
        var sent = 0
        for seed in seeds(60) {
            var choice = SplitMix64(seed: seed ^ 0xF100D)
            let count = choice.next(in: 2...6)
            var mesh = try Mesh(seed: seed, count: count) { me in (0..<count).filter { $0 != me } }
            mesh.faults = Mesh.Faults(
                loss: 0, duplication: choice.next(in: 0...200), delay: 1...choice.next(in: 2...40))
            mesh.run(for: 1_000)
            let kinds: [MessageKind] = [.vote, .transaction, .election, .genesis]
            for _ in 0..<20 {
                let kind = kinds[choice.next(in: 0...kinds.count - 1)]
                let payload = [UInt8](repeating: 7, count: choice.next(in: 0...1_500))
                _ = mesh.request(choice.next(in: 0...count - 1)) {
                    .publish($0, Publication(kind: kind, payload: payload))
                }
                mesh.run(for: Int64(choice.next(in: 0...50)))
            }
            mesh.run(for: 2_000)
            expectDeliveredOnce(mesh, seed)
            #expect(mesh.published.count == 20, "seed \(seed)")
            for signature in mesh.published {
                let bodies = mesh.bodies[signature, default: 0]
                #expect(bodies <= (count - 1) * (count - 1), "seed \(seed): \(bodies) bodies among \(count)")
                sent += bodies
                asked += (count - 1) * (count - 1)
                for (index, node) in mesh.nodes.enumerated() {
                    #expect(
                        node.delivered.contains { $0.signature == signature }, "seed \(seed): pi\(index) missed one")
                }
            }
        }
        #expect(sent < asked, "asking saved nothing")
    }

    @Test func whatIsForgedOrReplayedIsNeverDeliveredNorRelayed() throws {
        for seed in seeds(100) {
            var forger = SplitMix64(seed: seed ^ 0xBAD)
            var mesh = try Mesh(seed: seed, count: 3) { me in (0..<3).filter { $0 != me } }
            feed(&mesh, seconds: 6, apps: 1)
            mesh.run(for: 2_500)
            for _ in 0..<40 {
                let forged = forge(&forger, mesh)
                let to = forger.next(in: 0...2)
                _ = mesh.request(to) { .received($0, forged) }
                mesh.run(for: Int64(forger.next(in: 0...60)))
            }
            mesh.run(for: 4_000)
            expectDeliveredOnce(mesh, seed)
            #expect(
                mesh.published.isSuperset(of: mesh.bodies.keys), "seed \(seed): a message nobody published was relayed")
            expectConverged(mesh, seed)
        }
    }

    /// A batch of messages that were seen, changed in one place, of an outsider with another's name, or of another site.
    private func forge(_ random: inout SplitMix64, _ mesh: Mesh) -> Batch {
        let site = GossipMachine.siteDigest(Mesh.site)
        let known = mesh.nodes[random.next(in: 0...2)].delivered
        let from = Mesh.key(random.next(in: 0...2)).nodeID
        func one() -> SignedMessage {
            guard !known.isEmpty, random.next(in: 0...3) > 0 else {
                let outsider = SigningKey(seed: [UInt8](repeating: 0xEE, count: 32))!
                let bytes = SignedMessage.signedBytes(site: site, kind: .vote, sequence: 9, payload: [1])
                return SignedMessage(
                    kind: .vote, sender: from, sequence: 9, payload: [1], signature: outsider.sign(bytes))
            }
            var message = known[random.next(in: 0...known.count - 1)]
            switch random.next(in: 0...5) {
            case 0: break
            case 1: message.sequence += UInt64(random.next(in: 1...5))
            case 2: message.kind = .transaction
            case 3: message.sender = from == message.sender ? Mesh.key(9).nodeID : from
            case 4:
                var bytes = message.payload.bytes + [0]
                bytes[random.next(in: 0...bytes.count - 1)] ^= 1
                message.payload = Base64Bytes(bytes)
            default:
                var bytes = message.signature.bytes
                bytes[random.next(in: 0...63)] ^= UInt8(1 << random.next(in: 0...7))
                message.signature = Signature(unchecked: bytes)
            }
            return message
        }
        let deliveries = (0..<random.next(in: 1...4)).map { _ in Delivery(relay: true, message: one()) }
        return Batch(
            site: random.next(in: 0...5) == 0 ? GossipMachine.siteDigest("cellar") : site, from: from,
            deliveries: deliveries)
    }

    @Test func aNodeThatLeavesIsForgottenAndOneThatCrashesIsNot() throws {
        var mesh = try Mesh(seed: 1, count: 3) { me in (0..<3).filter { $0 != me } }
        feed(&mesh, seconds: 10, apps: 0)
        mesh.run(for: 4_000)
        mesh.crash(2)
        mesh.run(for: 10)
        _ = mesh.request(1) { .publish($0, Publication(kind: .leave, payload: [])) }
        mesh.run(for: 5_000)
        let names = mesh.nodes[0].machine.scores(now: mesh.now).map(\.report.name)
        #expect(names == ["pi0", "pi2"])
        #expect(mesh.nodes[1].machine.checks(now: mesh.now)["report"]?.status == .warn)
    }

    @Test func aMessageForOneNodeReachesItAlone() throws {
        var mesh = try Mesh(seed: 1, count: 3) { me in (0..<3).filter { $0 != me } }
        mesh.run(for: 1_000)
        let request = mesh.request(0) {
            .publish($0, Publication(kind: .blocks, payload: [1, 2, 3], to: Mesh.key(2).nodeID))
        }
        mesh.run(for: 1_000)
        guard case .published(let message) = mesh.answers[request] else {
            Issue.record("not published")
            return
        }
        #expect(mesh.nodes.map { $0.delivered.contains(message) } == [false, false, true])
        #expect(mesh.bodies[message.signature] == 1)
    }

    @Test func aSecondDeviceWithThisKeyIsAnError() throws {
        var mesh = try Mesh(seed: 1, count: 2) { [1 - $0] }
        mesh.run(for: 1_000)
        let site = GossipMachine.siteDigest(Mesh.site)
        let bytes = SignedMessage.signedBytes(site: site, kind: .status, sequence: 5_000, payload: [])
        let clone = SignedMessage(
            kind: .status, sender: Mesh.key(0).nodeID, sequence: 5_000, payload: [], signature: Mesh.key(0).sign(bytes))
        #expect(mesh.nodes[0].machine.checks(now: mesh.now)["identity"]?.status == .pass)
        _ = mesh.request(1) {
            .received(
                $0, Batch(site: site, from: Mesh.key(9).nodeID, deliveries: [Delivery(relay: true, message: clone)]))
        }
        // pi1 can't know; but what pi0 gets back it never signed
        _ = mesh.request(0) {
            .received(
                $0, Batch(site: site, from: Mesh.key(1).nodeID, deliveries: [Delivery(relay: true, message: clone)]))
        }
        mesh.run(for: 100)
        #expect(mesh.nodes[0].machine.checks(now: mesh.now)["identity"]?.status == .fail)
        #expect(mesh.nodes[0].delivered.isEmpty)
    }

    @Test func twoNodesOfOneNameAreAWarning() throws {
        var mesh = try Mesh(seed: 1, count: 2) { [1 - $0] }
        mesh.run(for: 1_000)
        #expect(mesh.nodes[0].machine.checks(now: mesh.now)["names"]?.status == .pass)
        var info = mesh.nodes[1].machine.info
        info.id = Mesh.key(7).nodeID
        info.name = "pi0"
        info.gossipAddress = "10.0.0.7:7700"
        mesh.schedule(0, .hinted(address: info.gossipAddress), after: 0)
        mesh.schedule(0, .identified(address: info.gossipAddress, info, roundTrip: 1), after: 1)
        mesh.run(for: 100)
        #expect(mesh.nodes[0].machine.checks(now: mesh.now)["names"]?.status == .warn)
    }
}
