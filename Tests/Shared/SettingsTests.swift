import Machine
import Runtime
import Testing

@Suite struct SettingsTests {
    private let directory: TemporaryDirectory
    private var path: String { "\(directory.path)/poise.yaml" }

    init() throws { directory = try TemporaryDirectory() }

    private func settings(_ yaml: String? = nil, _ environment: [String: String] = [:]) throws -> Settings {
        guard let yaml else { return try Settings(config: nil, environment: environment) }
        try DurableFile(path: path).write(Array(yaml.utf8))
        return try Settings(config: path, environment: environment)
    }

    private func sentence(_ body: () throws -> some Any) -> String {
        do { return "none; it gave \(try body())" } catch {
            #expect(error is SettingError)
            return "\(error)"
        }
    }

    @Test func aFlagComesBeforeTheEnvironmentBeforeTheFileBeforeTheDefault() throws {
        let yaml = "report-interval-ms: 3\nname: file\n"
        let environment = ["POISE_REPORT_INTERVAL_MS": "2", "POISE_NAME": "environment"]
        let key = "report-interval-ms"
        let both = try settings(yaml, environment)
        #expect(try both.integer(key, flag: 1, default: 4, in: 0...9) == 1)
        #expect(try both.integer(key, default: 4, in: 0...9) == 2)
        #expect(try settings(yaml).integer(key, default: 4, in: 0...9) == 3)
        #expect(try settings().integer(key, default: 4, in: 0...9) == 4)
        #expect(try both.string("name", flag: "flag", default: "default") == "flag")
        #expect(try both.string("name", default: "default") == "environment")
        #expect(try settings(yaml).string("name", default: "default") == "file")
        #expect(try settings().string("name", default: "default") == "default")
        #expect(try settings().optional("name") == nil)
        #expect(try settings().optionalInteger(key, in: 0...9) == nil)
    }

    @Test func anEmptyVariableIsNotSet() throws {
        let settings = try settings("name: file", ["POISE_NAME": "", "POISE_PEERS": "", "POISE_EXPECT": ""])
        #expect(try settings.string("name", default: "default") == "file")
        #expect(try settings.list("peers") == [])
        #expect(try settings.optionalInteger("expect", in: 1...9) == nil)
        #expect(try settings.required("name", purpose: "p") == "file")
    }

    @Test func listsAreCutAtCommas() throws {
        #expect(try settings(nil, ["POISE_PEERS": " a, b ,,c,"]).list("peers") == ["a", "b", "c"])
        #expect(try settings("peers: [a, 'b', 7701]").list("peers") == ["a", "b", "7701"])
        #expect(try settings("peers: a,b").list("peers") == ["a", "b"])
        #expect(try settings("peers: []").list("peers") == [])
        #expect(try settings("peers:").list("peers") == [])
        #expect(try settings(nil, ["POISE_PEERS": "x"]).list("peers", flag: "y") == ["y"])
    }

    @Test func everyWrongValueIsNamedWithWhereItStandsAndWhatIsAllowed() throws {
        let environment = ["POISE_COUNT": "12x", "POISE_MODE": "fast", "POISE_PEERS": "a,b,c"]
        let set = try settings("size: 10\nnested: {a: 1}\nlist: [[1]]\nwhen: soon\n", environment)
        #expect(
            sentence { try set.integer("count", default: 1, in: 1...9) }
                == "POISE_COUNT is \"12x\": allowed are whole numbers from 1 to 9")
        #expect(
            sentence { try set.integer("count", flag: 10, default: 1, in: 1...9) }
                == "--count is \"10\": allowed are whole numbers from 1 to 9")
        #expect(
            sentence { try set.integer("size", default: 1, in: 1...9) }
                == "size (\(path), line 1) is \"10\": allowed are whole numbers from 1 to 9")
        #expect(
            sentence { try set.choice("mode", default: "slow", of: ["slow", "steady"]) }
                == "POISE_MODE is \"fast\": allowed is slow, steady")
        #expect(sentence { try set.list("peers", limit: 2) } == "POISE_PEERS has 3 entries: at most 2 are allowed")
        #expect(
            sentence { try set.string("nested", default: "") }
                == "nested (\(path), line 2): expected a single value, found a map")
        #expect(
            sentence { try set.list("list") }
                == "list (\(path), line 3): expected a list of single values, found a list")
        #expect(
            sentence { try set.required("name", purpose: "the others know this device by it") }
                == "POISE_NAME (or --name) is not set: the others know this device by it")
        #expect(
            sentence { try set.parsed("when") { throw SettingError("\"\($0)\" is no time") } }
                == "when (\(path), line 4): \"soon\" is no time")
    }

    @Test func whatADevicesOwnerSaysOfIt() throws {
        let set = try settings(
            nil, ["POISE_LABELS": "floor=1, camera=,a.b=x=y", "POISE_DEVICES": "/dev/video0,/dev/i2c-1,/dev/i2c-1"])
        #expect(try set.labels() == ["floor": "1", "camera": "", "a.b": "x=y"])
        #expect(try set.devices() == ["/dev/i2c-1", "/dev/video0"])
        #expect(try set.labels(flag: "floor=2") == ["floor": "2"])
        #expect(try settings("labels: [floor=1]\ndevices:\n- /dev/a/b\n").devices() == ["/dev/a/b"])
        #expect(try settings().labels() == [:] && settings().devices() == [])
        func fault(_ labels: String, _ devices: String = "") -> String {
            sentence {
                let set = try settings(nil, ["POISE_LABELS": labels, "POISE_DEVICES": devices])
                return (try set.labels(), try set.devices())
            }
        }
        for label in ["floor", "Floor=1", "=1", "-a=1"] {
            #expect(
                fault(label)
                    == "POISE_LABELS: \"\(label)\" is no label: allowed is KEY=VALUE, where the key has 1 to 63 of a-z, 0-9, "
                    + "hyphen, underscore and dot, and begins with a letter or digit")
        }
        #expect(fault("a=1,a=2") == "POISE_LABELS: label a stands twice in \"a=1,a=2\": keep one of them")
        #expect(fault("a=" + String(repeating: "x", count: 256)).hasSuffix("allowed are 255 bytes at most"))
        #expect(
            fault((0..<65).map { "a\($0)=" }.joined(separator: ","))
                == "POISE_LABELS: 65 labels: at most 64 are allowed")
        for device in ["dev/a", "/dev/", "/dev/a/../b", "/dev//a", "/etc/a", "/dev/a:b", "/dev/a b", "/dev/é"] {
            #expect(
                fault("", device).hasPrefix("POISE_DEVICES: \"\(device)\" is no device: allowed are absolute paths"))
        }
        #expect(
            fault("", (0..<65).map { "/dev/a\($0)" }.joined(separator: ","))
                == "POISE_DEVICES: 65 devices: at most 64 are allowed")
    }

    @Test func aFileThatIsNoMapOfSettingsIsRefused() throws {
        #expect(
            sentence { try Settings(config: "/nowhere.yaml", environment: [:]) }
                == "the settings file /nowhere.yaml does not exist")
        #expect(sentence { try settings("- a\n") } == "\(path): expected a map of settings, found a list")
        #expect(sentence { try settings("a: [") }.hasPrefix("\(path): line 2: "))
        #expect(
            sentence { try settings("a: 1\na: 2\n") } == "\(path): line 2: `a` stands here again, first in line 1")
        #expect(throws: FileError.self) { try Settings(config: directory.path, environment: [:]) }
        #expect(try settings("").optional("a") == nil)
        #expect(try settings("# nothing\n").optional("a") == nil)
    }

    @Test func aMisspeltSettingIsFound() throws {
        let set = try settings("name: a\nreport-intervall-ms: 5\nstrategy: paper\n")
        _ = try set.string("name", default: "")
        _ = try set.integer("report-interval-ms", default: 1, in: 1...9)
        #expect(
            sentence { try set.rejectUnknown(except: ["strategy"]) }
                == "\(path): there is no setting called report-intervall-ms; there are: name, report-interval-ms, strategy"
        )
        _ = try set.optional("report-intervall-ms")
        try set.rejectUnknown(except: ["strategy"])
    }

    @Test(arguments: 0..<40 as Range<UInt64>) func whateverIsSetIsTakenOrRefusedWithASentence(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let marks = Array("abz019-+_:,.#'\"[]{}&* \t\n\u{0}é\u{1F980}")
        for _ in 0..<25 {
            func text() -> String {
                String((0..<random.next(in: 0...12)).map { _ in marks[random.next(in: 0...marks.count - 1)] })
            }
            let value = text()
            do {
                let set = try settings(
                    "name: \(text())\ncount: \(text())\n", random.next(below: 2) == 0 ? ["POISE_COUNT": value] : [:])
                let (count, names) = (try set.optionalInteger("count", in: -5...5), try set.list("name", limit: 3))
                #expect(count.map((-5...5).contains) ?? true, "seed \(seed)")
                #expect(names.count <= 3 && !names.contains(""), "seed \(seed)")
            } catch let error as SettingError {
                #expect(error.description.count > 10, "seed \(seed)")
            }
        }
    }
}
