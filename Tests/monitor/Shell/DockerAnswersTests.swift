import Contracts
import Machine
import MonitorCore
import Testing
import Transport

@testable import monitor

/// Docker's answers as they were recorded, shortened by what we don't read, and as they can go wrong.
enum Recorded {
    /// Docker 26.1.5, control groups version 1, a container on a bridge.
    static let version1 = """
        {"read":"2026-11-23T10:50:06.665053034Z","preread":"0001-01-01T00:00:00Z","pids_stats":{"current":1},\
        "blkio_stats":{"io_service_bytes_recursive":[],"io_serviced_recursive":[]},"num_procs":0,"storage_stats":{},\
        "cpu_stats":{"cpu_usage":{"total_usage":3174813569,"percpu_usage":[1209581032,1965232537],\
        "usage_in_kernelmode":450000000,"usage_in_usermode":2710000000},"system_cpu_usage":9089820000000,\
        "online_cpus":2,"throttling_data":{"periods":0,"throttled_periods":0,"throttled_time":0}},\
        "precpu_stats":{"cpu_usage":{"total_usage":0,"usage_in_kernelmode":0,"usage_in_usermode":0},\
        "throttling_data":{"periods":0,"throttled_periods":0,"throttled_time":0}},\
        "memory_stats":{"usage":905216,"max_usage":3829760,"stats":{"active_anon":4096,"active_file":12288,\
        "hierarchical_memory_limit":9223372036854771712,"inactive_file":1,"total_inactive_file":5216},\
        "limit":25276510208},\
        "networks":{"eth0":{"rx_bytes":876,"rx_packets":10,"rx_errors":0,"tx_bytes":24,"tx_packets":0}}}
        """

    /// Version 2: lower-case operations, other memory figures, a container on two networks.
    static let version2 = """
        {"read":"2026-11-23T12:00:00+01:30","blkio_stats":{"io_service_bytes_recursive":[\
        {"major":259,"minor":0,"op":"read","value":4096},{"major":259,"minor":0,"op":"write","value":8192},\
        {"major":179,"minor":0,"op":"read","value":1},{"major":179,"minor":0,"op":"write","value":2}],\
        "io_serviced_recursive":null},"cpu_stats":{"cpu_usage":{"total_usage":329660000,"usage_in_kernelmode":88219000,\
        "usage_in_usermode":241441000},"online_cpus":4},\
        "memory_stats":{"usage":52981760,"stats":{"anon":11100160,"file":40898560,"inactive_file":425984},\
        "limit":18446744073709551615},\
        "networks":{"eth0":{"rx_bytes":9996,"tx_bytes":4},"eth1":{"rx_bytes":100,"tx_bytes":200}}}
        """

    /// Any version: a container that doesn't run.
    static let stopped = """
        {"read":"0001-01-01T00:00:00Z","preread":"0001-01-01T00:00:00Z","pids_stats":{},\
        "blkio_stats":{"io_service_bytes_recursive":null},"cpu_stats":{"cpu_usage":{"total_usage":0}},\
        "memory_stats":{},"name":"/stopped","id":"64762c6a"}
        """

    /// A Raspberry Pi whose kernel was not asked to count memory, network mode none.
    static let pi = """
        {"read":"2026-11-23T10:50:06Z","blkio_stats":{"io_service_bytes_recursive":null},\
        "cpu_stats":{"cpu_usage":{"total_usage":1}},"memory_stats":{}}
        """

    static let info = """
        {"ID":"x","NCPU":4,"MemTotal":8324292608,"Architecture":"aarch64","KernelVersion":"6.12.25+rpt-rpi-v8",\
        "ServerVersion":"26.1.5+dfsg1","Driver":"overlay2","ExperimentalBuild":true,"Warnings":null}
        """
}

@Suite struct DockerAnswersTests {
    private func counters(_ text: String) throws -> Counters? {
        try JSON.decode(DockerStats.self, from: Array(text.utf8)).counters(asked: 1, answered: 2)
    }

    @Test("Control groups version 1: memory of the whole tree, no disk figures")
    func version1() throws {
        let found = try counters(Recorded.version1)
        let at = Instant(
            engineNanoseconds: 1_795_431_006_665_053_034, askedNanoseconds: 1, answeredNanoseconds: 2)
        #expect(
            found
                == Counters(
                    at: at, cpuNanoseconds: 3_174_813_569, memoryBytes: 905_216, inactiveFileBytes: 5_216,
                    diskBytes: nil, networkBytes: 900))
    }

    @Test("Control groups version 2: all disks, all networks")
    func version2() throws {
        let found = try #require(try counters(Recorded.version2))
        #expect(found.cpuNanoseconds == 329_660_000)
        #expect(found.memoryBytes == 52_981_760)
        #expect(found.inactiveFileBytes == 425_984)
        #expect(found.diskBytes == 12_291)
        #expect(found.networkBytes == 10_300)
    }

    @Test("A container that doesn't run has no counters, rather than zeros")
    func stopped() throws { #expect(try counters(Recorded.stopped) == nil) }

    @Test("What the kernel doesn't count is absent")
    func pi() throws {
        let found = try #require(try counters(Recorded.pi))
        #expect(found.cpuNanoseconds == 1)
        #expect(found.memoryBytes == nil && found.diskBytes == nil && found.networkBytes == nil)
    }

    @Test("A figure that is missing in part, or overflows, is absent and costs no other figure")
    func partial() throws {
        let text = """
            {"read":"2026-11-23T10:50:06Z","cpu_stats":{"cpu_usage":{"total_usage":7}},\
            "blkio_stats":{"io_service_bytes_recursive":[{"op":"Read","value":18446744073709551615},\
            {"op":"Write","value":1},{"op":"Total","value":2},{"value":3}]},"networks":{"eth0":{"rx_bytes":5}}}
            """
        let found = try #require(try counters(text))
        #expect(found.cpuNanoseconds == 7)
        #expect(found.diskBytes == nil && found.networkBytes == nil)
    }

    @Test(
        "Hostile answers are errors, never figures",
        arguments: [
            "", "null", "[]", "7", "{", "{\"read\":1}", "{\"cpu_stats\":[]}",
            "{\"read\":\"2026-11-23T10:50:06Z\",\"cpu_stats\":{\"cpu_usage\":{\"total_usage\":-1}}}",
            "{\"read\":\"2026-11-23T10:50:06Z\",\"cpu_stats\":{\"cpu_usage\":{\"total_usage\":1e300}}}",
            "{\"read\":\"2026-11-23T10:50:06Z\",\"memory_stats\":{\"usage\":\"many\"}}",
            "{\"read\":\"2026-11-23T10:50:06Z\",\"networks\":{\"eth0\":{\"rx_bytes\":18446744073709551616}}}",
        ])
    func hostile(text: String) { #expect(throws: DecodingError.self) { try counters(text) } }

    @Test("Nesting without end is an error")
    func nesting() {
        for part in ["[", "{\"read\":", "{\"networks\":{\"a\":"] {
            #expect(throws: DecodingError.self) { try counters(String(repeating: part, count: 100_000)) }
        }
    }

    @Test("A recorded answer with any byte changed, cut off anywhere, never traps")
    func mutated() {
        for seed in UInt64(1)...3_000 {
            var random = SplitMix64(seed: seed)
            var bytes = Array((seed % 2 == 0 ? Recorded.version1 : Recorded.version2).utf8)
            for _ in 0..<random.next(in: 1...4) {
                let index = random.next(in: 0...bytes.count - 1)
                bytes[index] = UInt8(random.next(below: 256))
            }
            if random.next(in: 0...3) == 0 { bytes.removeLast(random.next(in: 0...bytes.count)) }
            guard let stats = try? JSON.decode(DockerStats.self, from: bytes) else { continue }
            _ = stats.counters(asked: 0, answered: 0)
        }
    }

    @Test("The engine's description")
    func info() throws {
        let found = try JSON.decode(DockerInfo.self, from: Array(Recorded.info.utf8)).description(pageSize: 16_384)
        #expect(
            found
                == EngineDescription(
                    processors: 4, memoryBytes: 8_324_292_608, architecture: "aarch64", kernel: "6.12.25+rpt-rpi-v8",
                    version: "26.1.5+dfsg1", storageDriver: "overlay2", experimental: true, pageSize: 16_384))
    }

    @Test("A list entry with nulls, and one whose identifier could lead elsewhere")
    func list() throws {
        let text = """
            [{"Id":"ab12","Names":null,"Labels":null},{"Id":"../../x","Names":["/x"],"Created":5,"State":"running",\
            "Labels":{"poise.app":"a"}}]
            """
        let found = try JSON.decode([DockerContainer].self, from: Array(text.utf8))
        #expect(found.map(\.isAddressable) == [true, false])
        #expect(found.map(\.name) == ["ab12", "x"])
        let reading = found[1].reading(nil)
        #expect(reading.created == 5 && reading.labels == ["poise.app": "a"] && reading.counters == nil)
    }
}

@Suite struct RFC3339Tests {
    @Test(
        "Moments that date(1) confirms",
        arguments: [
            ("1970-01-01T00:00:00Z", Int64(0)), ("1970-01-01T00:00:00.000000001Z", 1),
            ("2000-02-29T23:59:59.5Z", 951_868_799_500_000_000),
            ("2000-03-01T00:00:00Z", 951_868_800_000_000_000),
            ("2100-03-01T00:00:00Z", 4_107_542_400_000_000_000),
            ("2026-11-23T10:50:06.665053034Z", 1_795_431_006_665_053_034),
            ("2026-11-23T12:00:00+01:30", 1_795_429_800_000_000_000),
            ("2026-11-23T12:00:00-01:30", 1_795_440_600_000_000_000),
        ])
    func moments(text: String, expected: Int64) { #expect(RFC3339.nanoseconds(text) == expected) }

    @Test(
        "Anything else is no moment",
        arguments: [
            "", "0001-01-01T00:00:00Z", "2026-11-23", "2026-11-23T10:50:06", "2026-11-23 10:50:06Z",
            "2026-13-23T10:50:06Z", "2026-11-32T10:50:06Z", "2026-11-23T24:50:06Z", "2026-11-23T10:60:06Z",
            "2026-11-23T10:50:06.Z", "2026-11-23T10:50:06.1234567890Z", "2026-11-23T10:50:06Zx",
            "9999-12-31T23:59:59Z", "2026-11-23T10:50:06+1:30", "２０２６-11-23T10:50:06Z",
        ])
    func others(text: String) { #expect(RFC3339.nanoseconds(text) == nil) }
}
