import Contracts

/// Turns monitor's samples into what a report says: their mean since the last report.
struct ReportBuilder: Sendable {
    private struct Row: Hashable {
        var app: String
        var incarnation: UInt64
    }

    private var samples: [LoadMatrix] = []
    /// In how many samples without a gap each app was seen at its incarnation.
    private var streaks: [Row: Int] = [:]
    private var latest: LoadMatrix?
    /// When the newest sample came.
    private(set) var sampledAt: Int64?

    /// Takes a sample.
    /// - Throws: ``ByteCodingError`` if a report could not carry it.
    mutating func add(_ sample: LoadMatrix, now: Int64) throws {
        let sample = try LoadMatrix(encoded: sample.encoded)
        var continued: [Row: Int] = [:]
        for row in sample.apps.map({ Row(app: $0.app, incarnation: $0.incarnation) }) {
            continued[row] = streaks[row, default: 0] + 1
        }
        streaks = continued
        if samples.count == GossipLimits.samples { samples.removeFirst() }
        samples.append(sample)
        sampledAt = now
    }

    /// The load to report now. Without a recent sample there is none: a node that can't see itself must look
    /// absent to the others, not as it was.
    mutating func load(now: Int64) -> LoadMatrix? {
        guard let sampledAt, now - sampledAt < GossipLimits.sampleAge else {
            samples = []
            latest = nil
            return nil
        }
        guard let newest = samples.last else { return latest }
        var mean = newest
        mean.device = Self.mean(samples.map(\.device))
        // One sample of a new placement is half a start and would be planned by as if it were the app's demand.
        mean.apps = means(of: newest.apps, in: \.apps).filter {
            streaks[Row(app: $0.app, incarnation: $0.incarnation), default: 0] >= 2
        }
        mean.services = means(of: newest.services, in: \.services)
        samples = []
        latest = mean
        return mean
    }

    private func means(of rows: [AppScore], in list: (LoadMatrix) -> [AppScore]) -> [AppScore] {
        var scores: [Row: [Score]] = [:]
        for sample in samples {
            for row in list(sample) {
                scores[Row(app: row.app, incarnation: row.incarnation), default: []].append(row.score)
            }
        }
        return rows.map { row in
            var row = row
            row.score = Self.mean(scores[Row(app: row.app, incarnation: row.incarnation)] ?? [])
            return row
        }
    }

    /// The mean of the figures that are there, each rounded to the nearest; nil where none is.
    static func mean(_ scores: [Score]) -> Score {
        func mean(_ figures: [Int]) -> Int? {
            figures.isEmpty ? nil : (figures.reduce(0, +) + figures.count / 2) / figures.count
        }
        return Score(
            cpu: mean(scores.compactMap(\.cpu)), ram: mean(scores.compactMap(\.ram)),
            disk: mean(scores.compactMap(\.disk)), network: mean(scores.compactMap(\.network)))
    }
}
