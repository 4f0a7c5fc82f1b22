import Contracts

/// The machine's part in founding the site.
extension PlannerMachine {
    /// Looks whether a genesis can be decided, signed or adopted now.
    mutating func found() {
        guard state == nil, configuration.invitation == nil else { return }
        if founding.record == nil, !founding.decide(at: now) { return }
        persistAndSign()
        adopt()
    }

    /// What is signed is durable first: a node signs one genesis in its life.
    private mutating func persistAndSign() {
        guard let record = founding.record, record.signature(of: here) == nil else { return }
        effects.append(.persistGenesis(record.encoded))
        effects.append(.sign(.genesis, SigningRequest(purpose: .genesis, bytes: record.genesis.signedBytes)))
    }

    mutating func adopt() {
        guard state == nil, let genesis = founding.adopted, let record = founding.record else { return }
        effects.append(.persistGenesis(record.encoded))
        let names = genesis.members.map(\.name).joined(separator: ", ")
        effects.append(.log(.notice, "site \(genesis.site) is founded by \(names): genesis \(genesis.hash.short)"))
        guard let first = following(SiteState(genesis: genesis)) else { return }
        state = first
        join()
    }

    mutating func receiveGenesis(_ message: SignedMessage) {
        guard message.sender != here, !receiveFounding(message.payload.bytes),
            !receiveRecoveries(message.payload.bytes, from: message.sender)
        else { return }
        guard let signed = try? SignedGenesis(encoded: message.payload.bytes) else {
            count("undecodable-genesis")
            return
        }
        guard state == nil else {
            answerFounder(message.sender)
            return
        }
        guard configuration.invitation == nil else { return }
        if founding.take(signed, from: message.sender) { persistAndSign() }
        adopt()
    }

    /// A node that still gathers signatures is late. One that says where its chain stands is not.
    private mutating func answerFounder(_ node: NodeID) {
        guard peers.mayAnswer(node, at: now) else { return }
        for signed in founding.messages() {
            effects.append(.publish(Publication(kind: .genesis, payload: signed.encoded, to: node)))
        }
    }

    mutating func genesisSigned(_ signature: Signature) {
        guard state == nil, founding.sign(signature) else { return }
        publishGenesis()
        adopt()
    }

    mutating func publishGenesis() {
        for signed in founding.messages() {
            effects.append(.publish(Publication(kind: .genesis, payload: signed.encoded)))
        }
    }
}
