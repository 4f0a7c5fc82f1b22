import Contracts
import Runtime
import Testing

@testable import monitor

@Suite struct DisplayTests {
    private let matrix = LoadMatrix(
        timestamp: 0, device: Score(cpu: 1_234_567, ram: 500_000, disk: 0),
        apps: [AppScore(app: "counter", incarnation: 3, score: Score(cpu: 73_951, ram: 1_000))],
        services: [AppScore(app: "gossip", incarnation: 0, score: Score(ram: 0))],
        capacity: Capacity(
            cpuMillicores: 1_500, ramBytes: 8 << 30, diskBytesPerSecond: 50_000_000, networkBytesPerSecond: 125_000_000),
        facts: Facts(
            architecture: "", kernel: "", engineVersion: "", storageDriver: "", checkpoints: true, pageSize: 4_096))

    @Test("The table says absent and zero apart")
    func table() {
        #expect(
            LoadTable(matrix: matrix).table.text == """
                KIND     NAME     INCARNATION   CPU %  RAM %      RAM  DISK %  NETWORK %
                device                         123.45  50.00  4.0 GiB    0.00          –
                app      counter            3    7.39   0.10  8.1 MiB       –          –
                service  gossip                     –   0.00      0 B       –          –
                """)
        #expect(
            LoadTable(matrix: matrix).legend.hasPrefix(
                "100 % is 1500 thousandths of a core, 8.0 GiB of memory, 50.0 MB/s of disk, 125 MB/s of network."))
    }

    @Test("A frame fits the screen and leaves nothing of the one before")
    func screen() {
        let frame = Screen.drawn("abcdef\ngh\nij", rows: 2, columns: 3)
        #expect(frame == "\u{1B}[Habc\u{1B}[K\ngh\u{1B}[K\u{1B}[J")
    }

    @Test("A wrong setting is named with what is allowed")
    func settings() throws {
        let wrong = try Settings(config: nil, environment: ["POISE_SAMPLE_INTERVAL_MS": "99"])
        let error = #expect(throws: SettingError.self) { try MonitorSettings(DeviceOptions.parse([]), wrong) }
        #expect(error?.description == "POISE_SAMPLE_INTERVAL_MS is \"99\": allowed are whole numbers from 100 to 60000")
        let set = try Settings(config: nil, environment: ["POISE_CPU_MILLICORES": "500", "POISE_RAM_BYTES": "1024"])
        let found = try MonitorSettings(DeviceOptions.parse(["--cpu-millicores", "250"]), set)
        #expect(found.parameters.capacity.cpuMillicores == 250)
        #expect(found.parameters.capacity.ramBytes == 1_024)
        #expect(found.parameters.capacity.diskBytesPerSecond == 50_000_000)
        #expect(found.dockerSocket == "/var/run/docker.sock")
        let said = try Settings(config: nil, environment: ["POISE_LABELS": "floor=1", "POISE_DEVICES": "/dev/i2c-1"])
        let facts = try MonitorSettings(DeviceOptions.parse(["--labels", "floor=2"]), said).parameters.facts
        #expect(facts.labels == ["floor": "2"] && facts.devices == ["/dev/i2c-1"])
    }
}
