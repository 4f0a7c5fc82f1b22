import ConsensusCore
import Runtime
import Testing

@testable import consensus

struct ConsensusSettingsTests {
    private static func settings(
        _ environment: [String: String], _ arguments: [String] = []
    ) throws -> ConsensusSettings {
        try ConsensusSettings(
            try ConsensusOptions.parse(arguments), try Settings(config: nil, environment: environment))
    }

    @Test func defaultsAreForALocalNetwork() throws {
        let settings = try Self.settings([:])
        #expect(settings.engine.name == "raft")
        #expect(settings.heartbeat == 250)
        #expect(settings.timeout == 1_000)
    }

    @Test func aFlagCountsMoreThanTheEnvironment() throws {
        let environment = ["POISE_HEARTBEAT_MS": "100", "POISE_ELECTION_TIMEOUT_MS": "5000"]
        let settings = try Self.settings(environment, ["--heartbeat-ms", "300"])
        #expect(settings.heartbeat == 300)
        #expect(settings.timeout == 5_000)
    }

    @Test(arguments: [
        (
            ["POISE_ELECTION": "dice"],
            "POISE_ELECTION: there is no election called \"dice\"; there is: \(Elections.names.joined(separator: ", "))"
        ),
        (
            ["POISE_HEARTBEAT_MS": "5"],
            "POISE_HEARTBEAT_MS is \"5\": allowed are whole numbers from 10 to 60000"
        ),
        (
            ["POISE_HEARTBEAT_MS": "600"],
            "POISE_ELECTION_TIMEOUT_MS (or --election-timeout-ms) is 1000: it must be at least twice "
                + "POISE_HEARTBEAT_MS, which is 600, or a single lost heartbeat ends a leader"
        ),
    ])
    func aWrongSettingIsNamed(environment: [String: String], message: String) throws {
        let error = try #require(throws: SettingError.self) { try Self.settings(environment) }
        #expect(error.description == message)
    }
}
