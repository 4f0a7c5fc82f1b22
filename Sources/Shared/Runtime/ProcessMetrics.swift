import Contracts
import Glibc

/// What a process costs, read when it is asked for.
struct ProcessMetrics: Sendable {
    private let metrics: Metrics
    private let began = MonotonicClock.nowMilliseconds()

    init(metrics: Metrics, service: String) {
        self.metrics = metrics
        metrics.gauge(
            "poise_build_info", help: "1, with the version as a label.",
            labels: ["service": service, "version": poiseVersion]
        ).set(1)
    }

    func refresh() {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1_000_000 }
        metrics.gauge("poise_process_cpu_seconds", help: "Processor time used, user and system.")
            .set(seconds(usage.ru_utime) + seconds(usage.ru_stime))
        metrics.gauge("poise_process_resident_bytes", help: "Resident memory, shared pages included.")
            .set(Double(Self.residentBytes() ?? Int(usage.ru_maxrss) * 1_024))
        metrics.gauge("poise_process_uptime_seconds", help: "Time since the service started.")
            .set(Double(MonotonicClock.nowMilliseconds() - began) / 1_000)
    }

    private static func residentBytes() -> Int? {
        guard let bytes = (try? DurableFile(path: "/proc/self/statm").read()) ?? nil else { return nil }
        let fields = String(decoding: bytes, as: UTF8.self).split(separator: " ")
        guard fields.count > 1, let pages = Int(fields[1]) else { return nil }
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }
}
