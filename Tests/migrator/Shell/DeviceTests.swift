import Contracts
import MigratorCore
import Runtime
import Testing
import Transport

@testable import migrator

/// What of a device an app may use is the word of that device's owner alone.
@Suite struct DeviceTests {
    private let app = AppSpecification(
        name: "lamp", image: "lamp:1",
        devices: [
            DeviceMapping(source: "/dev/i2c-1"),
            DeviceMapping(source: "/dev/video0", target: "/dev/video1", permissions: "r"),
        ])

    /// Nobody listens on its engine's socket: what is asked of it fails otherwise than with a refusal.
    private func operations(allowing devices: [String]) -> LocalOperations {
        let client = HTTPClient()
        let engine = DockerEngine(socket: "/nowhere/docker.sock", client: client)
        return LocalOperations(
            engine: engine, checkpoints: Checkpoints(dockerRoot: "/nowhere"),
            images: ImageSource(engine: engine, client: client), site: "home", devices: devices)
    }

    @Test func anAppIsRefusedADeviceThatIsNotAllowed() async throws {
        let reason = "this device doesn't let apps use /dev/video0: POISE_DEVICES doesn't name it"
        for allowed in [["/dev/i2c-1"], ["/dev/i2c-1", "/dev/video1"], ["/dev/i2c-1", "/dev/video"]] {
            let local = operations(allowing: allowed)
            #expect(local.forbidden(app) == reason)
            let refusal = await #expect(throws: Problem.self) { try await local.create(app, 7) }
            #expect(refusal?.code == "refused" && refusal?.detail == reason)
        }
        #expect(operations(allowing: ["/dev/i2c-1", "/dev/video0"]).forbidden(app) == nil)
        #expect(operations(allowing: []).forbidden(AppSpecification(name: "plain", image: "a")) == nil)
    }

    @Test func theEngineIsToldOfTheDevices() throws {
        let body = String(decoding: try JSON.encode(DockerBlueprint(app, incarnation: 7, site: "home")), as: UTF8.self)
            .split(separator: "\\").joined()
        for (host, container, permissions) in [
            ("/dev/i2c-1", "/dev/i2c-1", "rwm"), ("/dev/video0", "/dev/video1", "r"),
        ] {
            for part in [
                #""PathOnHost":"\#(host)""#, #""PathInContainer":"\#(container)""#,
                #""CgroupPermissions":"\#(permissions)""#,
            ] {
                #expect(body.contains(part), "\(body)")
            }
        }
    }

    @Test func theAllowListIsASetting() throws {
        func settings(_ environment: [String: String], _ flags: [String] = []) throws -> [String] {
            try MigratorSettings(MigratorOptions.parse(flags), Settings(config: nil, environment: environment)).devices
        }
        #expect(try settings([:]) == [])
        #expect(try settings(["POISE_DEVICES": "/dev/b,/dev/a"]) == ["/dev/a", "/dev/b"])
        #expect(try settings(["POISE_DEVICES": "/dev/b"], ["--devices", "/dev/c"]) == ["/dev/c"])
        #expect(throws: SettingError.self) { try settings(["POISE_DEVICES": "/etc/passwd"]) }
    }
}
