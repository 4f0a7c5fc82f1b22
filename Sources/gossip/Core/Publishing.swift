import Contracts

// What this node says: its reports, what local services publish, and what it signs for the chain.
extension GossipMachine {
    mutating func take(_ sample: LoadMatrix, now: Int64) {
        do {
            try reports.add(sample, now: now)
        } catch {
            drop(.badLoad)
            effects.append(.log(.warning, "monitor sent a sample that no report can carry: \(error)"))
        }
    }

    mutating func report(now: Int64) {
        guard !left, !gossipAddress.isEmpty, let load = reports.load(now: now) else { return }
        let report = Report(
            name: configuration.name, gossipAddress: gossipAddress, migratorAddress: migratorAddress,
            vrf: key.vrf.publicKey, load: load)
        _ = originate(.report, report.encoded, to: nil, report: report, now: now)
    }

    mutating func publish(_ publication: Publication, _ request: RequestNumber, now: Int64) {
        let payload = publication.payload.bytes
        guard publication.kind != .report else {
            answer(request, Problem(400, "reserved-kind", "reports are built by gossip alone, from monitor's samples"))
            return
        }
        guard payload.count <= SignedMessage.payloadLimit else {
            answer(
                request,
                Problem(
                    413, "payload-too-large",
                    "the payload has \(payload.count) bytes; at most \(SignedMessage.payloadLimit) fit into a message"))
            return
        }
        let message = originate(publication.kind, payload, to: publication.to, now: now)
        effects.append(.answer(request, .published(message)))
    }

    mutating func sign(_ what: SigningRequest, _ request: RequestNumber) {
        do throws(Problem) {
            if try ledger.admit(
                what, signer: key.nodeID, site: configuration.site, operatorKey: configuration.operatorKey)
            {
                effects.append(.persistLedger(ledger.stored))
            }
        } catch {
            effects.append(.count(.signingRefused(what.purpose), 1))
            answer(request, error)
            return
        }
        let signature = key.sign(what.bytes.bytes)
        effects.append(.count(.signed(what.purpose), 1))
        effects.append(.answer(request, .signed(SigningResponse(signer: key.nodeID, signature: signature))))
    }

    /// Nothing is remembered and nothing can conflict: an input has one draw, whoever asks and however often.
    mutating func draw(_ what: DrawRequest, _ request: RequestNumber) {
        let alpha = what.alpha.bytes
        do {
            guard alpha.count <= DrawRequest.limit else {
                throw ByteCodingError.tooLong(what: "alpha", count: alpha.count, limit: DrawRequest.limit)
            }
            _ = try Draw(encoded: alpha)
        } catch {
            effects.append(.count(.drawRefused, 1))
            answer(request, Problem(400, "not-drawable", "the bytes are not what a builder draws for: \(error)"))
            return
        }
        effects.append(.count(.drawn, 1))
        effects.append(
            .answer(request, .drawn(DrawResponse(key: key.vrf.publicKey, proof: key.vrf.prove(alpha)))))
    }

    /// Signs a message and sends it: to all, or to one. What goes to another node alone is not delivered here.
    private mutating func originate(
        _ kind: MessageKind, _ payload: [UInt8], to: NodeID?, report: Report? = nil, now: Int64
    ) -> SignedMessage {
        let (sequence, persist) = sequences.take(kind)
        if persist { effects.append(.persistSequences(sequences.stored)) }
        let bytes = SignedMessage.signedBytes(site: site, kind: kind, sequence: sequence, payload: payload)
        let message = SignedMessage(
            kind: kind, sender: key.nodeID, sequence: sequence, payload: payload, signature: key.sign(bytes))
        seen.insert(message.signature)
        effects.append(.count(.published(kind), 1))
        if let to, to != key.nodeID {
            send(message, toOnly: to)
            return message
        }
        if let report { pool(message, report, now: now) }
        if kind == .leave { leave(now: now) }
        deliver(message)
        if to == nil { flood(message, except: nil) }
        return message
    }

    private mutating func pool(_ message: SignedMessage, _ report: Report, now: Int64) {
        if let evicted = senders.admit(key.nodeID, now: now).evicted { feed.forgetReport(of: evicted) }
        _ = senders.pool(message, report, now: now)
        effects.append(.pooled(senders.poolCount))
    }

    private mutating func leave(now: Int64) {
        left = true
        forget(key.nodeID, now: now)
        effects.append(.log(.notice, "this node has left the site; it reports again when gossip is started again"))
    }

    mutating func answer(_ request: RequestNumber, _ problem: Problem) {
        effects.append(.answer(request, .problem(problem)))
    }
}
