import Contracts
import Runtime
import Testing

@testable import planner

@Suite struct SettingsTests {
    private static let key = String(repeating: "ab", count: 32)

    private func settings(_ environment: [String: String], _ flags: [String] = []) throws -> PlannerSettings {
        try PlannerSettings(
            PlannerOptions.parse(flags),
            Settings(
                config: nil,
                environment: environment.merging(["POISE_OPERATOR": Self.key]) { given, _ in given }))
    }

    private func failure(_ environment: [String: String], _ flags: [String] = []) -> String {
        do { return "accepted: \(try settings(environment, flags))" } catch { return "\(error)" }
    }

    @Test func defaultsAreThoseOfTheGenesis() throws {
        let settings = try settings(["POISE_NAME": "pi1", "POISE_EXPECT": "4"])
        #expect(settings.name == "pi1" && settings.expect == 4 && settings.site == "poise")
        #expect(settings.parameters == SiteParameters(quorum: .byzantine))
        #expect(settings.operatorKey.description == Self.key)
        let small = try self.settings(["POISE_NAME": "pi1", "POISE_EXPECT": "3"])
        #expect(small.parameters == SiteParameters(quorum: .crash))
        let other = try self.settings(["POISE_NAME": "pi1", "POISE_EXPECT": "4", "POISE_QUORUM": "crash"])
        #expect(other.parameters == SiteParameters())
    }

    @Test func flagsComeBeforeTheEnvironment() throws {
        let settings = try settings(
            [
                "POISE_NAME": "pi1", "POISE_EXPECT": "4", "POISE_SITE": "home", "POISE_BLOCK_INTERVAL_MS": "500",
                "POISE_ABSENT_AFTER_MS": "9000", "POISE_MOVE_DEADLINE_MS": "60000",
                "POISE_DECLARED_DEMAND_MILLICORES": "250", "POISE_MARGIN_PPM": "0", "POISE_COOL_DOWN_MS": "5000",
            ], ["--name", "pi2", "--expect", "3", "--block-interval-ms", "200"])
        #expect(settings.name == "pi2" && settings.expect == 3 && settings.site == "home")
        #expect(
            settings.parameters
                == SiteParameters(
                    blockInterval: 200, idleInterval: 3_000, absentAfter: 9_000, moveDeadline: 60_000,
                    declaredDemand: 250, margin: 0,
                    coolDown: 5_000))
    }

    @Test(
        arguments: [
            ([:], "POISE_NAME (or --name) is not set: it is this device's name in the site, as pi1"),
            (
                ["POISE_NAME": "Pi 1"],
                "POISE_NAME (or --name) is \"Pi 1\": allowed are 1 to 63 of a-z, 0-9 and hyphens, with no hyphen at either end"
            ),
            (
                ["POISE_NAME": "pi1", "POISE_OPERATOR": "me"],
                "POISE_OPERATOR (or --operator) is \"me\": allowed are 64 hex digits, as `planner operator show` prints them"
            ),
            (
                ["POISE_NAME": "pi1"],
                "POISE_EXPECT (or --expect) is not set: it is how many devices found the site, 1 to 1000"
            ),
            (
                ["POISE_NAME": "pi1", "POISE_EXPECT": "0"],
                "POISE_EXPECT is \"0\": allowed are whole numbers from 1 to 1000"
            ),
            (
                ["POISE_NAME": "pi1", "POISE_EXPECT": "1", "POISE_SITE": "-"],
                "POISE_SITE (or --site) is \"-\": allowed are 1 to 63 of a-z, 0-9 and hyphens, with no hyphen at either end"
            ),
            (
                ["POISE_NAME": "pi1", "POISE_EXPECT": "1", "POISE_STRATEGY": "magic"],
                "POISE_STRATEGY is \"magic\": allowed is balance, paper"
            ),
            (
                ["POISE_NAME": "pi1", "POISE_EXPECT": "1", "POISE_BLOCK_INTERVAL_MS": "99"],
                "POISE_BLOCK_INTERVAL_MS is \"99\": allowed are whole numbers from 100 to 60000"
            ),
        ] as [([String: String], String)])
    func aWrongSettingIsNamed(_ environment: [String: String], _ expected: String) {
        #expect(failure(environment) == expected)
    }
}

@Suite struct AppFlagTests {
    private func app(_ flags: [String]) throws -> AppSpecification { try AppOptions.parse(flags).specification() }

    @Test func flagsDescribeAnApp() throws {
        let described = try app([
            "--image", "nginx:1", "--name", "web", "--command", "nginx -g 'daemon off;'", "--env", "A=1", "--env",
            "B=x=y",
            "--publish", "8080:80", "--publish", "53:53/udp", "--label", "team=web", "--label", "poise.move=never",
            "--volume", "data:/data:ro", "--restart", "always", "--cpus", "0.5", "--memory", "64m",
            "--constraint", "node.labels.floor==2", "--label", "poise.pin=pi1", "--device", "/dev/video0:/dev/video1:r",
        ])
        #expect(
            described
                == AppSpecification(
                    name: "web", image: "nginx:1", command: ["nginx", "-g", "daemon off;"],
                    environment: ["A": "1", "B": "x=y"], labels: ["team": "web"],
                    volumes: [VolumeMount(kind: .volume, source: "data", target: "/data", readOnly: true)],
                    ports: [
                        PortMapping(published: 8080, target: 80),
                        PortMapping(published: 53, target: 53, transport: "udp"),
                    ], restart: .always, cpuMillicores: 500, memoryBytes: 64 << 20, move: .never,
                    constraints: [
                        PlacementConstraint(.hostname, "pi1"), PlacementConstraint(.label("floor"), "2"),
                    ], devices: [DeviceMapping(source: "/dev/video0", target: "/dev/video1", permissions: "r")]))
    }

    @Test(arguments: [
        (["--image", "a", "--name", "B"], "--name `B` is not allowed: an app's name has"),
        (["--image", "a b", "--name", "b"], "`a b` is no image's name"),
        (["--image", "a", "--name", "b", "--env", "HOME"], "--env `HOME` has no value: write NAME=VALUE"),
        (["--image", "a", "--name", "b", "--label", "poise.move=x"], "label `poise.move` is `x`: allowed are"),
        (["--image", "a", "--name", "b", "--label", "poise.x=x"], "unknown label `poise.x`"),
        (
            ["--image", "a", "--name", "b", "--constraint", "floor==2"],
            "constraint `floor==2` asks for `floor`: allowed"
        ),
        (["--image", "a", "--name", "b", "--device", "/etc/x"], "device `/etc/x` is no path under /dev/"),
        (["--image", "a", "--name", "b", "--publish", "80"], "port `80` names no port of the device"),
        (["--image", "a", "--name", "b", "--restart", "x"], "--restart `x` is unknown: allowed are no, on-failure"),
        (["--image", "a", "--name", "b", "--cpus", "x"], "`x` is no number of cores"),
        (["--image", "a", "--name", "b", "--memory", "1"], "size `1` is out of range"),
        (["--image", "a", "--name", "b", "--command", "a | b"], "command needs a shell for `|`"),
    ])
    func aWrongFlagIsNamed(_ flags: [String], _ expected: String) {
        do {
            Issue.record("accepted: \(try app(flags))")
        } catch {
            #expect("\(error)".hasPrefix(expected), "\(error)")
        }
    }
}
