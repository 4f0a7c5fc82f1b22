import ArgumentParser
import Contracts
import PlannerCore
import Runtime

/// What `planner run` can be told.
struct PlannerOptions: ParsableArguments {
    @Option(help: "This device's name in the site (POISE_NAME; required): a-z, 0-9 and hyphens, as a host's name.")
    var name: String?

    @Option(help: "The site's name, the same on all devices (POISE_SITE; default poise).")
    var site: String?

    @Option(
        help:
            "The public half of the operator's key, the same on all devices (POISE_OPERATOR; required): who may submit apps and invite devices. `planner operator create` makes one."
    )
    var `operator`: String?

    @Option(
        help:
            "An invitation to a site that exists (POISE_INVITATION): the device joins that and founds none. `planner invite` makes one."
    )
    var invitation: String?

    @Option(
        help: "How many devices found the site (POISE_EXPECT; required): no block is made before so many have signed.")
    var expect: Int?

    @Option(help: "How apps are placed (POISE_STRATEGY: balance or paper; default balance).")
    var strategy: String?

    @Option(
        help:
            "How many devices must agree (POISE_QUORUM: byzantine, more than two thirds, or crash, more than half; default byzantine for 4 and more founders)."
    )
    var quorum: String?

    @Option(help: "Milliseconds from one block to the next (POISE_BLOCK_INTERVAL_MS; default 1000).")
    var blockIntervalMs: Int?

    @Option(
        help:
            "The same while there is nothing to decide (POISE_IDLE_INTERVAL_MS; default 3000): an SD card has to bear each block."
    )
    var idleIntervalMs: Int?

    @Option(
        help:
            "Milliseconds without a report after which a device's apps go elsewhere (POISE_ABSENT_AFTER_MS; default 5000)."
    )
    var absentAfterMs: Int?

    @Option(help: "Milliseconds that a move may take (POISE_MOVE_DEADLINE_MS; default 120000).")
    var moveDeadlineMs: Int?

    @Option(
        help:
            "Thousandths of a core that an app is taken to need before it is measured (POISE_DECLARED_DEMAND_MILLICORES; default 100)."
    )
    var declaredDemandMillicores: Int?

    @Option(
        help:
            "How much a move must be worth to balance, in millionths of a device (POISE_MARGIN_PPM; default 69000)."
    )
    var marginPpm: Int?

    @Option(
        help: "Milliseconds for which balance leaves an app alone after a move (POISE_COOL_DOWN_MS; default 60000).")
    var coolDownMs: Int?

    @Option(
        help:
            "Bytes that the chain may take on disk; older blocks go (POISE_CHAIN_BYTES; default 268435456, at least 16777216)."
    )
    var chainBytes: Int?
}

/// The settings of a running planner, checked.
struct PlannerSettings: Sendable, Equatable {
    var name: String
    var site: String
    var operatorKey: PublicKey
    /// By which this node joins a site that exists.
    var invitation: InvitationToken?
    /// How many nodes found the site.
    var expect: Int
    /// What this node proposes for the genesis. All nodes must propose the same.
    var parameters: SiteParameters
    /// Bytes that the chain may take on this device's disk.
    var chainBytes: Int

    /// - Throws: `SettingError`.
    init(_ options: PlannerOptions, _ settings: Settings) throws {
        let name = try settings.required(
            "name", flag: options.name, purpose: "it is this device's name in the site, as pi1")
        guard Self.isName(name) else {
            throw SettingError("POISE_NAME (or --name) is \"\(name)\": allowed are \(Self.nameRule)")
        }
        self.name = name
        site = try settings.string("site", flag: options.site, default: "poise")
        guard Self.isName(site) else {
            throw SettingError("POISE_SITE (or --site) is \"\(site)\": allowed are \(Self.nameRule)")
        }
        let key = try settings.required(
            "operator", flag: options.operator,
            purpose: "it is the public half of the operator's key, which `planner operator create` makes")
        guard let operatorKey = PublicKey(hex: key) else {
            throw SettingError(
                "POISE_OPERATOR (or --operator) is \"\(key.prefix(80))\": allowed are 64 hex digits, as `planner operator show` prints them"
            )
        }
        self.operatorKey = operatorKey
        let token = try settings.optional("invitation", flag: options.invitation)
        invitation = if let token { try Self.invitation(token, name: name, site: site) } else { nil }
        guard
            let expect = try settings.optionalInteger("expect", flag: options.expect, in: 1...Genesis.memberLimit)
                ?? (invitation == nil ? nil : 1)
        else {
            throw SettingError(
                "POISE_EXPECT (or --expect) is not set: it is how many devices found the site, 1 to \(Genesis.memberLimit)"
            )
        }
        self.expect = expect
        chainBytes = try settings.integer(
            "chain-bytes", flag: options.chainBytes, default: ChainStore.usualLimit, in: 16 << 20...1 << 42)
        let usual = SiteParameters()
        func figure(_ key: String, _ flag: Int?, _ value: Int64, _ range: ClosedRange<Int>) throws -> Int64 {
            Int64(try settings.integer(key, flag: flag, default: Int(value), in: range))
        }
        let usualQuorum = QuorumRule.usual(members: expect)
        let rule = try settings.choice(
            "quorum", flag: options.quorum, default: usualQuorum.rawValue, of: QuorumRule.allCases.map(\.rawValue))
        let quorum = QuorumRule(rawValue: rule) ?? usualQuorum
        let blockInterval = try figure(
            "block-interval-ms", options.blockIntervalMs, usual.blockInterval, 100...60_000)
        parameters = SiteParameters(
            strategy: try settings.choice(
                "strategy", flag: options.strategy, default: usual.strategy, of: Strategies.names),
            quorum: quorum, blockInterval: blockInterval,
            idleInterval: try figure(
                "idle-interval-ms", options.idleIntervalMs, max(blockInterval, usual.idleInterval),
                Int(blockInterval)...60_000),
            absentAfter: try figure("absent-after-ms", options.absentAfterMs, usual.absentAfter, 3_000...3_600_000),
            moveDeadline: try figure(
                "move-deadline-ms", options.moveDeadlineMs, usual.moveDeadline, 10_000...3_600_000),
            declaredDemand: try figure(
                "declared-demand-millicores", options.declaredDemandMillicores, usual.declaredDemand, 1...64_000),
            margin: try figure("margin-ppm", options.marginPpm, usual.margin, 0...1_000_000),
            coolDown: try figure("cool-down-ms", options.coolDownMs, usual.coolDown, 0...3_600_000))
    }

    private static func invitation(_ text: String, name: String, site: String) throws -> InvitationToken {
        let token: InvitationToken
        do { token = try InvitationToken(text: text) } catch {
            throw SettingError(
                "POISE_INVITATION (or --invitation) is no invitation: \(error). It is one line of `planner invite`")
        }
        guard token.invitation.name == name, token.invitation.site == site else {
            throw SettingError(
                "POISE_INVITATION is for \(token.invitation.name) of site \(token.invitation.site), but this device is \(name) of \(site): set POISE_NAME and POISE_SITE as it says"
            )
        }
        return token
    }

    static let nameRule = "1 to 63 of a-z, 0-9 and hyphens, with no hyphen at either end"

    /// Whether `text` can name a host, and so a node or a site.
    static func isName(_ text: String) -> Bool {
        (1...63).contains(text.utf8.count) && text.first != "-" && text.last != "-"
            && text.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D }
    }
}
