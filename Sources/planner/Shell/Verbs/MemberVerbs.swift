import ArgumentParser
import Contracts
import Identity
import PlannerCore
import Runtime
import Transport

struct Invite: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Invite a device to join the site.",
        discussion: """
            Prints an invitation: one line, which the new device is started with (POISE_INVITATION, with the same POISE_SITE and \
            POISE_OPERATOR as the others, POISE_NAME as given here, and POISE_PEERS of the site). It can be used once. Whoever has \
            it can join, so treat it as a password until it is used.
            """)

    @Argument(help: "How the new device is called: its POISE_NAME.") var name: String
    @Option(help: ArgumentHelp("Until when it can be used, from now on: 1 to 720 hours.", valueName: "hours"))
    var hours = 24
    @OptionGroup var operatorOptions: OperatorOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (1...720).contains(hours) else { throw ValidationError("--hours is 1 to 720.") }
    }

    func run() async throws {
        guard PlannerSettings.isName(name) else {
            throw ValueProblem("`\(name)` is no device's name", "allowed are \(PlannerSettings.nameRule)")
        }
        let client = try LocalClient("planner", common)
        let key = try operatorOptions.file(try common.settings()).read()
        let head: HeadView = try await client.get("/chain/head")
        try head.check(key)
        guard !head.members.contains(where: { $0.name == name }) else {
            throw ValueProblem("\(name) is a device of \(head.site) already", "choose another name")
        }
        let seed = Entropy.bytes(SigningKey.seedCount)
        guard let ticket = SigningKey(seed: seed) else { throw ValueProblem("no key can be made", "try again") }
        let invitation = Invitation(
            genesis: head.genesis, site: head.site, height: head.height, head: head.id,
            members: .members(head.members), name: name, expires: head.time + Int64(hours) * 3_600_000,
            key: ticket.publicKey)
        print(
            InvitationToken(invitation: invitation, signature: key.sign(invitation.signedBytes), seed: seed).text)
    }
}

struct Dismiss: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Remove a device from the site, whether it answers or not.",
        discussion: """
            The device has no vote any more, and what it ran is placed anew after some seconds. A device that still works should \
            rather leave by itself: planner leave, on that device.
            """)

    @Argument(help: "The device's name.") var name: String
    @OptionGroup var operatorOptions: OperatorOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let client = try LocalClient("planner", common)
        let orders = try Orders(client, operatorOptions, try common.settings())
        let head: HeadView = try await client.get("/chain/head")
        guard let member = head.members.first(where: { $0.name == name }) else {
            let names = head.members.map(\.name).sorted().joined(separator: ", ")
            throw ValueProblem("no device is named `\(name)`", "there are \(names)")
        }
        try await orders.send(.dismiss(member.id), for: head)
        print("dismissed \(name)")
    }
}

struct Leave: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Let this device leave the site, after its apps have moved away.",
        discussion: """
            Its apps move to other devices while they run, where they can; the others are started anew elsewhere. After ten minutes at \
            most the device is no member any more. The command waits for that and shows what is left.
            """)

    @Flag(inversion: .prefixedNo, help: "Wait until it has left.") var wait = true
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let client = try LocalClient("planner", common)
        let here: GossipNode = try await LocalClient("gossip", common).get("/node")
        try await client.send("POST", "/leave")
        Notice.show("\(here.name) leaves: its apps move away")
        var shown = ""
        while wait {
            let nodes: [NodeStatus] = try await client.get("/nodes")
            guard let own = nodes.first(where: { $0.id == here.id }) else { break }
            let left =
                own.apps.isEmpty ? "waiting for the last block" : "still here: \(own.apps.joined(separator: ", "))"
            if left != shown { Notice.show(left) }
            shown = left
            try await Task.sleep(for: .seconds(1))
        }
        print(wait ? "\(here.name) has left; its services can be stopped" : "\(here.name) is leaving")
    }
}

struct Configure: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show or change what all devices plan by.",
        discussion:
            "Without an option the parameters are shown. A change holds from one block on, on all devices alike.")

    @Option(help: "How apps are placed: \(Strategies.names.joined(separator: " or ")).") var strategy: String?
    @Option(help: "Milliseconds from one block to the next.") var blockIntervalMs: Int64?
    @Option(help: "The same while there is nothing to decide.") var idleIntervalMs: Int64?
    @Option(help: "Milliseconds without a report after which a device's apps go elsewhere.") var absentAfterMs: Int64?
    @Option(help: "Milliseconds that a move may take.") var moveDeadlineMs: Int64?
    @Option(help: "Thousandths of a core that an app is taken to need before it is measured.")
    var declaredDemandMillicores: Int64?
    @Option(help: "How much a move must be worth, in millionths of a device.") var marginPpm: Int64?
    @Option(help: "Milliseconds for which an app is left alone after a move.") var coolDownMs: Int64?
    @Option(
        help: ArgumentHelp(
            "The block from which they hold. If not given: ten blocks from now, and not before a change that was ordered.",
            valueName: "height"))
    var from: UInt64?
    @OptionGroup var operatorOptions: OperatorOptions
    @OptionGroup var common: CommonOptions
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        let client = try LocalClient("planner", common)
        let head: HeadView = try await client.get("/chain/head")
        // This change replaces one that doesn't hold yet, so that it has to be part of it and may not bring it forward.
        let last = head.scheduled?.parameters ?? head.parameters
        let changed = changed(last)
        guard changed != last else {
            return json ? print(try JSON.pretty(head.parameters)) : show(head.parameters, next: head.scheduled)
        }
        let height = from ?? max(head.height + 10, head.scheduled?.height ?? 0)
        let orders = try Orders(client, operatorOptions, try common.settings())
        try await orders.send(.configure(changed, from: height), for: head)
        Notice.show("ordered; they hold from block \(height) on (the last is \(head.height))")
        if json { return print(try JSON.pretty(changed)) }
        show(head.parameters, next: ScheduledView(height: height, parameters: changed))
    }

    private func changed(_ now: SiteParameters) -> SiteParameters {
        var changed = now
        if let strategy { changed.strategy = strategy }
        if let blockIntervalMs { changed.blockInterval = blockIntervalMs }
        if let idleIntervalMs { changed.idleInterval = idleIntervalMs }
        if let absentAfterMs { changed.absentAfter = absentAfterMs }
        if let moveDeadlineMs { changed.moveDeadline = moveDeadlineMs }
        if let declaredDemandMillicores { changed.declaredDemand = declaredDemandMillicores }
        if let marginPpm { changed.margin = marginPpm }
        if let coolDownMs { changed.coolDown = coolDownMs }
        return changed
    }

    private func show(_ parameters: SiteParameters, next: ScheduledView?) {
        let now = rows(parameters)
        guard let next else { return print(Table(["PARAMETER", "VALUE"], now.map { [$0.name, $0.value] }).text) }
        let rows = zip(now, rows(next.parameters)).map { now, next in
            [now.name, now.value, next.value == now.value ? "" : next.value]
        }
        print(Table(["PARAMETER", "VALUE", "FROM \(next.height)"], rows).text)
    }

    private func rows(_ parameters: SiteParameters) -> [(name: String, value: String)] {
        [
            ("strategy", parameters.strategy), ("quorum", parameters.quorum.rawValue),
            ("block-interval-ms", "\(parameters.blockInterval)"), ("idle-interval-ms", "\(parameters.idleInterval)"),
            ("absent-after-ms", "\(parameters.absentAfter)"), ("move-deadline-ms", "\(parameters.moveDeadline)"),
            ("declared-demand-millicores", "\(parameters.declaredDemand)"), ("margin-ppm", "\(parameters.margin)"),
            ("cool-down-ms", "\(parameters.coolDown)"),
        ]
    }
}
