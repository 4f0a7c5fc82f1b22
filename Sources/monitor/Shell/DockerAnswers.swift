import Contracts
import MonitorCore

/// The parts that we read of Docker's `GET /info`.
struct DockerInfo: Decodable {
    var NCPU: Int?
    var MemTotal: Int?
    var Architecture: String?
    var KernelVersion: String?
    var ServerVersion: String?
    var Driver: String?
    var ExperimentalBuild: Bool?

    /// - Parameter pageSize: bytes; the engine's is ours, since we share its kernel.
    func description(pageSize: Int) -> EngineDescription {
        EngineDescription(
            processors: NCPU, memoryBytes: MemTotal, architecture: Architecture ?? "", kernel: KernelVersion ?? "",
            version: ServerVersion ?? "", storageDriver: Driver ?? "", experimental: ExperimentalBuild ?? false,
            pageSize: pageSize)
    }
}

/// One entry of Docker's `GET /containers/json`.
struct DockerContainer: Decodable {
    var Id: String
    var Names: [String]?
    var Created: Int64?
    var State: String?
    var Labels: [String: String]?

    /// Whether the identifier can stand in a path.
    var isAddressable: Bool {
        (1...128).contains(Id.utf8.count)
            && Id.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) }
    }

    /// The first of its names, without the slash that Docker puts before it.
    var name: String {
        guard let name = Names?.first else { return String(Id.prefix(12)) }
        return name.hasPrefix("/") ? String(name.dropFirst()) : name
    }

    func reading(_ counters: Counters?) -> ContainerReading {
        ContainerReading(
            id: Id, name: name, created: Created ?? 0, state: State ?? "", labels: Labels ?? [:], counters: counters)
    }
}

/// The parts that we read of Docker's `GET /containers/{id}/stats`. Which of them are there depends on the kernel's
/// control groups (version, enabled controllers) and on the container's network.
struct DockerStats: Decodable {
    struct CPU: Decodable {
        struct Usage: Decodable {
            /// Nanoseconds.
            var total_usage: UInt64?
        }
        var cpu_usage: Usage?
    }

    struct Memory: Decodable {
        struct Details: Decodable {
            /// Control groups version 1.
            var total_inactive_file: UInt64?
            /// Version 2; in version 1 it leaves out the groups below.
            var inactive_file: UInt64?
        }
        var usage: UInt64?
        var stats: Details?
    }

    struct BlockIO: Decodable {
        struct Entry: Decodable {
            /// `read`, `write` and others, in either case.
            var op: String?
            /// Bytes.
            var value: UInt64?
        }
        var io_service_bytes_recursive: [Entry]?
    }

    struct Network: Decodable {
        var rx_bytes: UInt64?
        var tx_bytes: UInt64?
    }

    var read: String?
    var cpu_stats: CPU?
    var memory_stats: Memory?
    var blkio_stats: BlockIO?
    var networks: [String: Network]?

    /// What the answer says, or nil if it says that the container doesn't run.
    func counters(asked: Int64, answered: Int64) -> Counters? {
        guard let read, let moment = RFC3339.nanoseconds(read) else { return nil }
        // Docker writes 0 where it has no figure, and a container that runs has used some time.
        let cpu = cpu_stats?.cpu_usage?.total_usage.flatMap { $0 > 0 ? $0 : nil }
        return Counters(
            at: Instant(engineNanoseconds: moment, askedNanoseconds: asked, answeredNanoseconds: answered),
            cpuNanoseconds: cpu, memoryBytes: memory_stats?.usage,
            inactiveFileBytes: memory_stats?.stats?.total_inactive_file ?? memory_stats?.stats?.inactive_file,
            diskBytes: diskBytes, networkBytes: networkBytes)
    }

    /// Nil where the list is empty: on version 1 the controller is missing, on version 2 nothing was read or written
    /// yet, and the two look the same.
    private var diskBytes: UInt64? {
        let entries = blkio_stats?.io_service_bytes_recursive ?? []
        return total(entries.filter { ["read", "write"].contains($0.op?.lowercased()) }.map(\.value))
    }

    /// Nil for a container without interfaces of its own: the network modes `none` and `host`.
    private var networkBytes: UInt64? {
        total((networks ?? [:]).values.flatMap { [$0.rx_bytes, $0.tx_bytes] })
    }

    /// The sum; nil if there is nothing to add, a part is missing or the sum is beyond all counters.
    private func total(_ parts: [UInt64?]) -> UInt64? {
        guard !parts.isEmpty else { return nil }
        var sum: UInt64 = 0
        for part in parts {
            guard let part else { return nil }
            let (next, overflow) = sum.addingReportingOverflow(part)
            guard !overflow else { return nil }
            sum = next
        }
        return sum
    }
}
