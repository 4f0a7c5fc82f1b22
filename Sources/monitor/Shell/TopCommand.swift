import ArgumentParser
import Contracts
import Runtime
import Transport
import UnixSignals

struct TopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top", abstract: "Show what the apps and the device use, live, until Ctrl-C.",
        discussion: """
            On a terminal the table is drawn anew at each sample; into a file or a pipe the tables follow each other. If \
            the service is restarted, the display waits for it.
            """)

    @OptionGroup var common: CommonOptions
    @Flag(help: "Print each matrix as a line of JSON, in parts per million.")
    var json = false

    func run() async throws {
        let local = try LocalClient("monitor", common)
        // Before the screen is taken: whether there is a service at all.
        try await local.send("GET", "/openapi.yaml")
        let json = json
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await Self.display(local, json: json) }
            group.addTask {
                for await _ in await UnixSignalsSequence(trapping: .sigint, .sigterm) { return }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private static func display(_ local: LocalClient, json: Bool) async throws {
        let screen = Screen(isTerminal: json ? false : nil)
        screen.open()
        defer { screen.close() }
        while true {
            let request = ClientRequest("GET", .unix(local.socket), "/load", timeout: nil, stall: .seconds(15))
            do {
                for try await line in try await local.client.stream(request).successful().lines() {
                    let matrix: LoadMatrix = try JSON.decode(from: line)
                    if json {
                        screen.append(String(decoding: line, as: UTF8.self))
                    } else {
                        let shown = LoadTable(matrix: matrix)
                        screen.show("\(shown.table.text)\n\n\(shown.legend)")
                    }
                }
            } catch let error as HTTPClientError {
                if !json { screen.show("\(error).\nWaiting for the service; Ctrl-C ends.") }
            }
            try await Task.sleep(for: .seconds(1))
        }
    }
}
