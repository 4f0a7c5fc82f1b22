import Contracts
import Hummingbird
import MigratorCore
import Runtime

/// Migrator's own routes on its socket; openapi.yaml describes them.
func addRoutes(to router: ServiceRouter, of service: MigratorService) {
    router.get("moves") { _, _ in try Response.json(await service.moves()) }
    router.get("preflight") { _, _ in try Response.json(await service.preflight()) }
}

/// A move as `GET /moves` shows it.
struct MoveRow: Codable, Sendable {
    var app: String
    /// Of the app at its target.
    var incarnation: UInt64
    /// `outgoing` or `incoming`, seen from this device.
    var direction: MoveRecord.Direction
    /// Names of devices.
    var from: String
    var to: String
    /// The present phase, or the last one.
    var phase: String
    var outcome: MoveRecord.Outcome
    /// Why it could not be, or what it waits for.
    var reason: String
    var bytes: Int64
    var imageBytes: Int64
    var checkpointBytes: Int64
    var layerBytes: Int64
    var volumeBytes: Int64
    /// As the source saw it; null on the target, and where the app was not frozen.
    var downtimeMs: Int64?
    var phasesMs: [String: Int64]
    /// Milliseconds since 1970.
    var startedAt: Int64
    var endedAt: Int64?

    init(_ record: MoveRecord, names: [NodeID: String], waits: String?) {
        app = record.app
        incarnation = record.incarnation
        direction = record.direction
        from = names[record.from] ?? record.from.short
        to = names[record.to] ?? record.to.short
        phase = record.phase
        outcome = record.outcome
        reason = record.outcome == .inProgress && record.reason.isEmpty ? waits ?? "" : record.reason
        bytes = record.measures.bytes
        imageBytes = record.measures.imageBytes
        checkpointBytes = record.measures.checkpointBytes
        layerBytes = record.measures.layerBytes
        volumeBytes = record.measures.volumeBytes
        downtimeMs = record.measures.downtime
        phasesMs = record.measures.phases
        startedAt = record.measures.startedAt
        endedAt = record.measures.endedAt
    }
}
