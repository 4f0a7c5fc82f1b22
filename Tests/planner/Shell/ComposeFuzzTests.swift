import Contracts
import Machine
import Testing

@testable import planner

@Suite struct ComposeFuzzTests {
    private static let sample = Array(
        """
        name: site
        x-a: &a {restart: always}
        services:
          web:
            <<: *a
            image: nginx:1
            command: sh -c "a b"
            environment: [A=1, "B=2"]
            labels: {poise.move: live}
            volumes: [data:/d:ro, {type: tmpfs, target: /t}]
            ports: [8080:80, 9000-9002:1-3/udp, {target: 1, published: 2}]
            deploy: {resources: {limits: {cpus: "0.5", memory: 64m}}}
          db: {image: redis, cpus: 1, user: "1:1", hostname: h, working_dir: /w}
        volumes: {data: }
        """.utf8)

    /// Whatever is typed is either apps that survive their own encoding or a refusal with reasons; both bounded.
    @Test(arguments: 0..<60 as Range<UInt64>) func mutatedFilesAreReadOrRefused(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let marks = Array(":-[]{}&*a!|>'\"%@`#?,.$/0159\n\t \u{0}".utf8) + [0xC3, 0xA9, 0xFF]
        for _ in 0..<100 {
            var bytes = Self.sample
            for _ in 0..<random.next(in: 1...6) {
                let place = random.next(in: 0...bytes.count - 1)
                let mark = marks[random.next(in: 0...marks.count - 1)]
                switch random.next(below: 5) {
                case 0: bytes.remove(at: place)
                case 1: bytes.insert(mark, at: place)
                case 2: bytes[place] = mark
                case 3: bytes.removeSubrange(place..<min(bytes.count, place + random.next(in: 1...60)))
                default:
                    let end = min(bytes.count, place + random.next(in: 1...60))
                    bytes.insert(contentsOf: bytes[place..<end], at: random.next(in: 0...bytes.count))
                }
                if bytes.isEmpty { bytes = [0x20] }
            }
            do {
                let apps = try ComposeFile.read(bytes, name: "site.yaml")
                for app in apps { #expect(try AppSpecification(encoded: app.encoded) == app, "seed \(seed)") }
                #expect(!apps.isEmpty && apps.count <= ComposeFile.appLimit, "seed \(seed)")
            } catch let refusal as ComposeRefusal {
                #expect((1...ComposeProblems.shown + 1).contains(refusal.problems.count), "seed \(seed)")
            }
        }
    }
}
