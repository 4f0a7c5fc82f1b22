import Contracts
import Runtime

/// A state matrix as people read it.
struct LoadTable {
    let matrix: LoadMatrix

    /// The rows: the device, the apps, Poise's services.
    var table: Table {
        var rows = [row("device", "", "", matrix.device)]
        rows += matrix.apps.map { row("app", $0.app, "\($0.incarnation)", $0.score) }
        rows += matrix.services.map { row("service", $0.app, "", $0.score) }
        return Table(
            ["KIND", "NAME", "INCARNATION", "CPU %", "RAM %", "RAM", "DISK %", "NETWORK %"], rows,
            rightAligned: [2, 3, 4, 5, 6, 7])
    }

    /// What the figures mean, in two lines.
    var legend: String {
        let total = matrix.capacity
        return """
            100 % is \(Self.cores(total.cpuMillicores)), \(Self.bytes(total.ramBytes)) of memory, \
            \(Self.rate(total.diskBytesPerSecond)) of disk, \(Self.rate(total.networkBytesPerSecond)) of network.
            A dash is a figure that could not be had.
            """
    }

    private func row(_ kind: String, _ name: String, _ incarnation: String, _ score: Score) -> [String] {
        let ram = score.ram.map { Self.bytes(Self.share($0, of: matrix.capacity.ramBytes)) }
        return [
            kind, name, incarnation, Self.percent(score.cpu), Self.percent(score.ram), ram ?? "–",
            Self.percent(score.disk), Self.percent(score.network),
        ]
    }

    /// Parts per million as percent, to a hundredth.
    static func percent(_ partsPerMillion: Int?) -> String {
        guard let partsPerMillion else { return "–" }
        return decimal(partsPerMillion / 100)
    }

    /// Hundredths as a decimal number.
    private static func decimal(_ hundredths: Int) -> String {
        let fraction = hundredths % 100
        return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction)"
    }

    private static func cores(_ millicores: Int) -> String {
        millicores.isMultiple(of: 1_000)
            ? "\(millicores / 1_000) core\(millicores == 1_000 ? "" : "s")" : "\(millicores) thousandths of a core"
    }

    /// `partsPerMillion` of `total`, in its unit.
    private static func share(_ partsPerMillion: Int, of total: Int) -> Int {
        Int(clamping: Int128(total) * Int128(partsPerMillion) / 1_000_000)
    }

    /// Memory, with the binary unit that leaves less than 1,024 of it.
    static func bytes(_ count: Int) -> String {
        scaled(count, by: 1_024, units: ["B", "KiB", "MiB", "GiB", "TiB", "PiB"])
    }

    /// Bytes a second, in powers of ten, as disks and networks are sold.
    static func rate(_ count: Int) -> String {
        scaled(count, by: 1_000, units: ["B/s", "kB/s", "MB/s", "GB/s", "TB/s", "PB/s"])
    }

    private static func scaled(_ count: Int, by step: Int, units: [String]) -> String {
        var unit = 0
        var scale = 1
        while unit < units.count - 1, count / scale >= step {
            scale *= step
            unit += 1
        }
        guard unit > 0 else { return "\(count) \(units[0])" }
        let tenths = Int(clamping: Int128(count) * 10 / Int128(scale))
        return tenths < 1_000 ? "\(tenths / 10).\(tenths % 10) \(units[unit])" : "\(tenths / 10) \(units[unit])"
    }
}
