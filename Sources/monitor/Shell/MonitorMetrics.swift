import Contracts
import MonitorCore
import Runtime

/// What monitor counts of itself.
struct MonitorMetrics: Sendable {
    private let samples: Metrics.Counter
    private let failures: [SampleFault: Metrics.Counter]
    private let labels: [LabelFault: Metrics.Counter]
    private let figures: [FigureFault: Metrics.Counter]
    private let lastDuration: Metrics.Gauge
    private let durations: Metrics.Counter
    private let apps: Metrics.Gauge
    private let services: Metrics.Gauge
    private let readers: Metrics.Gauge

    init(_ metrics: Metrics) {
        samples = metrics.counter("poise_monitor_samples_total", help: "State matrices taken.")
        failures = Dictionary(
            uniqueKeysWithValues: SampleFault.allCases.map { fault in
                (
                    fault,
                    metrics.counter(
                        "poise_monitor_sample_failures_total", help: "Samples that could not be taken.",
                        labels: ["reason": fault.rawValue])
                )
            })
        labels = Dictionary(
            uniqueKeysWithValues: LabelFault.allCases.map { fault in
                (
                    fault,
                    metrics.counter(
                        "poise_monitor_labels_rejected_total",
                        help: "Containers whose labels were not followed, once for each container and reason.",
                        labels: ["reason": fault.rawValue])
                )
            })
        figures = Dictionary(
            uniqueKeysWithValues: FigureFault.allCases.map { fault in
                (
                    fault,
                    metrics.counter(
                        "poise_monitor_figures_missing_total",
                        help: "Readings of one container that gave no figure though the engine has them as a rule.",
                        labels: ["reason": fault.rawValue])
                )
            })
        lastDuration = metrics.gauge(
            "poise_monitor_sample_duration_seconds", help: "How long the last sample took.")
        durations = metrics.counter(
            "poise_monitor_sample_seconds_total", help: "How long all samples together took.")
        apps = metrics.gauge("poise_monitor_apps", help: "Managed apps in the last sample.")
        services = metrics.gauge("poise_monitor_services", help: "Poise's own containers in the last sample.")
        readers = metrics.gauge("poise_monitor_feed_readers", help: "Connections that follow /load.")
    }

    func sampled(milliseconds: Int64) {
        lastDuration.set(Double(milliseconds) / 1_000)
        durations.increment(by: Double(milliseconds) / 1_000)
    }

    func published(_ matrix: LoadMatrix, readers count: Int) {
        samples.increment()
        apps.set(Double(matrix.apps.count))
        services.set(Double(matrix.services.count))
        readers.set(Double(count))
    }

    func failed(_ fault: SampleFault) { failures[fault]?.increment() }
    func rejected(_ fault: LabelFault) { labels[fault]?.increment() }
    func missed(_ fault: FigureFault, _ count: Int) { figures[fault]?.increment(by: Double(count)) }
}
