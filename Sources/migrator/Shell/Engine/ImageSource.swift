import Contracts
import Logging
import MigratorCore
import Transport

/// Where a fresh app's image comes from: this engine, a device of the site, or the image's registry.
struct ImageSource: Sendable {
    let engine: DockerEngine
    let client: HTTPClient

    /// Sees to it that the image is here. Devices are asked before the registry: they are near, and they run what
    /// this site runs, also where a registry has newer content under the same name.
    ///
    /// - Returns: why the image can't be had; nil if it is here.
    func provide(_ image: String, peers: [PlacedNode]) async throws -> String? {
        if try await engine.image(image) != nil { return nil }
        var asked: [String] = []
        for peer in peers {
            guard let address = peer.migratorAddress else { continue }
            do {
                try await fetch(image, from: try Endpoint(parsing: address, defaultPort: MigratorSettings.defaultPort))
                return nil
            } catch let error where !(error is CancellationError) {
                asked.append("\(peer.name): \(Self.short(error))")
            }
        }
        do {
            try await engine.pull(image)
            return nil
        } catch let problem as Problem {
            let devices = asked.isEmpty ? "no other device could be asked" : asked.joined(separator: "; ")
            return "image \(image) exists nowhere: \(devices); its registry: \(problem.detail)"
        }
    }

    private func fetch(_ image: String, from peer: Endpoint) async throws {
        let path = "/images?name=\(DockerEngine.escaped(image))"
        let request = ClientRequest("GET", peer, path, timeout: nil, stall: .seconds(60))
        let response = try await client.stream(request).successful()
        try await engine.load(response.body)
        guard try await engine.image(image) != nil else {
            throw Problem(500, "wrong-image", "what was sent holds no image of that name")
        }
    }

    private static func short(_ error: any Error) -> String { String("\(error)".prefix(160)) }
}
