import Machine
import Runtime
import Testing

@Suite struct MetricsTests {
    @Test func isReadBackByTheFormatsRules() throws {
        let metrics = Metrics()
        let refused = metrics.counter("poise_refused_total", help: "Refused.", labels: ["reason": "size"])
        refused.increment()
        refused.increment(by: 2)
        metrics.counter("poise_refused_total", help: "Refused.", labels: ["reason": "age"]).increment(by: 0.5)
        _ = metrics.counter("poise_idle_total", help: "Nothing yet.")
        metrics.gauge("poise_load_ratio", help: "Two\nlines \\ and \"quotes\".", labels: ["a": "1", "b": "2"]).set(
            -0.25)
        let families = try PrometheusText.parse(metrics.render())
        #expect(families.keys.sorted() == ["poise_idle_total", "poise_load_ratio", "poise_refused_total"])
        #expect(families["poise_idle_total"]?.samples.map(\.value) == [0])
        #expect(families["poise_refused_total"]?.kind == "counter")
        let samples = families["poise_refused_total"]?.samples ?? []
        #expect(
            Dictionary(uniqueKeysWithValues: samples.map { ($0.labels, $0.value) }) == [
                ["reason": "size"]: 3, ["reason": "age"]: 0.5,
            ])
        #expect(families["poise_load_ratio"]?.help == "Two\\nlines \\\\ and \"quotes\".")
        #expect(families["poise_load_ratio"]?.samples.first?.labels == ["a": "1", "b": "2"])
        #expect(families["poise_load_ratio"]?.samples.first?.value == -0.25)
        #expect(metrics.render() == metrics.render())
    }

    @Test(arguments: [
        "", "plain", "\"", "\\", "\\n", "\n", "\r\n", "a\nb\r\nc", "e\u{301}", "\u{1F469}\u{200D}\u{1F467}", "\u{0}",
        "}", "a=\"b\"",
    ])
    func anyTextCanBeALabel(_ text: String) throws {
        let metrics = Metrics()
        metrics.counter("poise_x_total", help: "X.", labels: ["reason": text]).increment()
        let sample = try PrometheusText.parse(metrics.render())["poise_x_total"]?.samples.first
        #expect(sample?.labels["reason"].map { Array($0.utf8) } == Array(text.utf8))
        #expect(sample?.value == 1)
    }

    @Test(arguments: 0..<50 as Range<UInt64>) func anyTextsAndFiguresAreReadBack(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let scalars: [Unicode.Scalar] = [
            "\n", "\r", "\"", "\\", "{", "}", ",", "=", " ", "a", "é", "\u{301}", "\u{2028}",
        ]
        let metrics = Metrics()
        var expected: [[UInt8]: Double] = [:]
        for _ in 0..<20 {
            var text = String.UnicodeScalarView()
            for _ in 0..<random.next(in: 0...8) { text.append(scalars[random.next(in: 0...scalars.count - 1)]) }
            let label = Array(String(text).precomposed.utf8)
            let value = Double(bitPattern: random.next())
            metrics.gauge("poise_y", help: "Y.", labels: ["t": String(decoding: label, as: UTF8.self)]).set(value)
            expected[label] = value
        }
        let samples = try PrometheusText.parse(metrics.render())["poise_y"]?.samples ?? []
        #expect(samples.count == expected.count, "seed \(seed)")
        for sample in samples {
            let value = try #require(expected[Array((sample.labels["t"] ?? "").utf8)], "seed \(seed)")
            #expect(sample.value == value || sample.value.isNaN && value.isNaN, "seed \(seed)")
        }
    }

    @Test func extremeFiguresAreWrittenAsPrometheusReadsThem() throws {
        let metrics = Metrics()
        for (name, value) in [
            ("poise_a", Double.infinity), ("poise_b", -.infinity), ("poise_c", .nan), ("poise_d", 1e15),
            ("poise_e", -0.0), ("poise_f", 123_456_789_012_345),
        ] {
            metrics.gauge(name, help: "A figure.").set(value)
        }
        let text = metrics.render()
        for line in [
            "poise_a +Inf\n", "poise_b -Inf\n", "poise_c NaN\n", "poise_d 1000000000000000.0\n", "poise_e 0\n",
            "poise_f 123456789012345\n",
        ] {
            #expect(text.contains(line), "\(text)")
        }
    }

    @Test func countsOfManyTasksAddUp() async {
        let metrics = Metrics()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<500 { metrics.counter("poise_z_total", help: "Z.").increment() }
                }
            }
        }
        #expect(metrics.render().contains("\npoise_z_total 4000\n"))
    }
}

extension String {
    /// A text of which no two canonically equal ones exist: without combining marks.
    fileprivate var precomposed: String { String(unicodeScalars.filter { $0 != "\u{301}" }.map(Character.init)) }
}

@Suite struct TableTests {
    @Test func alignsItsColumns() {
        let table = Table(["NODE", "LOAD"], [["pi1", "5 %"], ["pi-eleven", "100 %"]], rightAligned: [1])
        #expect(table.text == "NODE        LOAD\npi1          5 %\npi-eleven  100 %")
        #expect(Table(["A"], []).text == "A")
        #expect(Table(["A", "B"], [["", ""]]).text == "A  B\n")
    }

    @Test func anyRowsCanBeShown() {
        #expect(Table(["A", "B"], [["1"], ["1", "2", "3"], []]).text == "A  B\n1\n1  2\n")
        #expect(Table([], [["1"]]).text == "\n")
    }

    @Test func namesCannotCommandTheTerminal() {
        let text = Table(["NODE"], [["\u{1B}[2Jpi\r\n1\u{202E}\u{9B}1m\u{7F}"]]).text
        #expect(text == "NODE\n?[2Jpi??1??1m?")
    }
}
