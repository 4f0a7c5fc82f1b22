import Contracts
import Identity
import PlannerCore

/// Who comes to a site and who goes while it lives.
struct Comings {
    enum Way: String {
        /// It says itself that it leaves, and its apps move away first.
        case leave = "leaves"
        case dismissal = "is dismissed"
    }

    /// When the operator invites one more device; nil: never.
    private(set) var invitedAt: Int64?
    /// Which device goes, how and from when on; nil: none does.
    private(set) var parting: (device: Int, way: Way, at: Int64)?

    /// Nobody comes and nobody goes.
    init() {}

    /// Of five seeds one sees somebody come or go. Where the site bears no more liars than it has, an honest device goes only once
    /// another has come.
    init(drawing time: Timeline, devices: Int, rule: QuorumRule, liars: [Int]) {
        guard time.chance(perMille: 200) else { return }
        let sort = time.draw(0...3)
        if sort < 3 { invitedAt = time.draw(3_000...8_000) }
        guard sort > 0 else { return }
        let left = SiteCast.bearable(devices: devices - 1, rule: rule)
        let isTight = invitedAt == nil && liars.count > left
        let device = isTight ? liars[0] : Int(time.draw(0...devices - 1))
        let isOnly = devices == 1 && invitedAt == nil
        if !isOnly { parting = (device, time.chance(perMille: 600) ? .leave : .dismissal, time.draw(4_500...10_000)) }
    }

    /// Devices that come besides the founders.
    var guests: Int { invitedAt == nil ? 0 : 1 }

    var words: String {
        let coming = invitedAt.map { "one more is invited at \($0)" }
        let going = parting.map { "pi\($0.device + 1) \($0.way.rawValue) from \($0.at) on" }
        return [coming, going].compactMap { $0 }.joined(separator: ", ")
    }
}

extension SimulatedSite {
    /// Lets come and go whom the seed has chosen.
    func beginComings() {
        if let at = comings.invitedAt { time.after(at) { [self] in invite(devices[cast.devices]) } }
        if let parting = comings.parting {
            time.after(parting.at) { [self] in part(devices[parting.device], parting.way) }
        }
    }

    /// The operator makes an invitation, as far as there is a chain, and the device is switched on with it.
    private func invite(_ guest: SimulatedDevice) {
        guard let state = judge.chain?.state, let key = SigningKey(seed: Self.seed(2)) else {
            return time.after(500) { [self] in invite(guest) }
        }
        let invitation = Invitation(
            genesis: state.genesis, site: name, height: state.height, head: state.head,
            members: .members(state.members), name: guest.name, expires: state.time + 600_000, key: key.publicKey)
        note(guest, "is invited after block \(state.height)")
        guest.invitation = InvitationToken(
            invitation: invitation, signature: Self.operatorKey.sign(invitation.signedBytes), seed: key.seed)
        register(invitation, of: guest)
        guest.switchOn()
    }

    /// An invitation that the operator has made long ago for whoever holds the key of this seed.
    static func outdatedInvitation(of state: SiteState, site: String, to name: String, seed: [UInt8])
        -> InvitationToken?
    {
        guard let key = SigningKey(seed: seed) else { return nil }
        let invitation = Invitation(
            genesis: state.genesis, site: site, height: state.height, head: state.head,
            members: .members(state.members), name: name, expires: state.time, key: key.publicKey)
        return InvitationToken(
            invitation: invitation, signature: operatorKey.sign(invitation.signedBytes), seed: seed)
    }

    static func seed(_ byte: UInt8) -> [UInt8] { [UInt8](repeating: byte, count: SigningKey.seedCount) }

    /// Tries until the chain has heard it, and only while the site can do without the device.
    private func part(_ device: SimulatedDevice, _ way: Comings.Way) {
        func again(_ delay: Int64) { time.after(delay) { [self] in part(device, way) } }
        guard let state = judge.chain?.state else { return again(500) }
        guard state.nodes[device.id] != nil else { return }
        guard state.nodes[device.id]?.drainsUntil == nil else { return again(1_000) }
        guard maySpare(device, state) else { return again(500) }
        switch way {
        case .leave:
            note(device, "wants to leave")
            allowLeave(of: device)
            device.planner.leave { _ in again(1_000) }
        case .dismissal:
            let other = devices[Int(time.draw(0...devices.count - 1))]
            let number = nextOrder()
            note(other, "is to bring that \(device.name) is dismissed")
            other.planner.order(.dismiss(device.id), number) { _ in again(1_000) }
        }
    }

    private func maySpare(_ device: SimulatedDevice, _ state: SiteState) -> Bool {
        guard devices.dropFirst(cast.devices).allSatisfy({ state.nodes[$0.id] != nil }) else { return false }
        let liars = cast.liars.count { devices[$0] !== device && state.nodes[devices[$0].id] != nil }
        return state.members.count > 1
            && liars <= SiteCast.bearable(devices: state.members.count - 1, rule: cast.rule)
    }

    /// What is not yet as it must be of those who come and go.
    func unsettled(_ state: SiteState) -> [String] {
        var unrest: [String] = []
        for guest in devices.dropFirst(cast.devices) where state.nodes[guest.id] == nil {
            unrest.append("\(guest.name) is not taken in")
        }
        if let (number, way, _) = comings.parting, let record = state.nodes[devices[number].id] {
            let device = devices[number]
            // Apps that nobody else has room for keep it for as long as the drain may last.
            let isStuck = state.apps.ascending.contains { app in
                app.phase.isPlaced && app.node == device.id && !judge.fits(app, state, except: device)
            }
            if record.drainsUntil == nil || !isStuck {
                unrest.append("\(device.name) \(way.rawValue) and is still there")
            }
        }
        return unrest
    }
}
