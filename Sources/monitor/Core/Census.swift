import Contracts

/// One container with its score, as it stands in one sample.
struct Measured {
    var reading: ContainerReading
    var score: Score
}

/// Who is who in one sample: the rows of the state matrix, and whose labels were not followed.
struct Census {
    /// What was not followed, of which container.
    struct Rejection {
        var container: ContainerReading
        var error: LabelError
    }

    static let serviceLimit = 16

    private(set) var device = Score()
    private(set) var apps: [AppScore] = []
    private(set) var services: [AppScore] = []
    private(set) var rejections: [Rejection] = []

    /// - Parameter containers: in ascending order of their identifiers, all with something in memory.
    init(_ containers: [Measured]) {
        device = Self.sum(containers.map(\.score))
        var claims: [(claim: Claim, measured: Measured)] = []
        for measured in containers {
            do throws(LabelError) {
                let role = try Role(labels: measured.reading.labels)
                // A frozen copy of an app is memory in use and not the app.
                guard measured.reading.state == "running", let claim = Claim(role, measured.reading) else { continue }
                claims.append((claim, measured))
            } catch {
                rejections.append(Rejection(container: measured.reading, error: error))
            }
        }
        claims.sort { $0.claim < $1.claim }
        var last: Claim?
        for (claim, measured) in claims {
            if let last, last.isService == claim.isService, last.name == claim.name {
                reject(measured, .duplicate, Self.superseded(claim, by: last))
                continue
            }
            last = claim
            let row = AppScore(app: claim.name, incarnation: claim.incarnation, score: measured.score)
            if claim.isService {
                if services.count < Self.serviceLimit {
                    services.append(row)
                } else {
                    reject(measured, .surplus, "is left out: at most \(Self.serviceLimit) services are reported")
                }
            } else if apps.count < LoadMatrix.appLimit {
                apps.append(row)
            } else {
                reject(measured, .surplus, "is left out: at most \(LoadMatrix.appLimit) apps are reported")
            }
        }
    }

    private mutating func reject(_ measured: Measured, _ fault: LabelFault, _ reason: String) {
        rejections.append(Rejection(container: measured.reading, error: LabelError(fault, reason)))
    }

    private static func superseded(_ claim: Claim, by winner: Claim) -> String {
        """
        is a second running copy of \(claim.name), incarnation \(claim.incarnation); \(quoted(winner.containerName)), \
        incarnation \(winner.incarnation), is reported
        """
    }

    /// The sum of the figures that were had; absent if none was, zero only if there is nothing to add.
    static func sum(_ scores: [Score]) -> Score {
        func total(_ figure: KeyPath<Score, Int?>) -> Int? {
            let had = scores.compactMap { $0[keyPath: figure] }
            return had.isEmpty && !scores.isEmpty ? nil : had.reduce(0, +)
        }
        return Score(cpu: total(\.cpu), ram: total(\.ram), disk: total(\.disk), network: total(\.network))
    }
}

/// A container's claim to a row, in the order in which claims are heard: by name, and of one name the highest
/// incarnation first, then the newest container, then the lowest identifier.
private struct Claim: Comparable {
    let isService: Bool
    let name: String
    let incarnation: UInt64
    let created: Int64
    let id: String
    let containerName: String

    init?(_ role: Role, _ reading: ContainerReading) {
        switch role {
        case .app(let name, let incarnation):
            isService = false
            self.name = name
            self.incarnation = incarnation
        case .service(let name):
            isService = true
            self.name = name
            incarnation = 0
        case .other:
            return nil
        }
        created = reading.created
        id = reading.id
        containerName = reading.name
    }

    static func < (a: Self, b: Self) -> Bool {
        if a.isService != b.isService { return b.isService }
        if a.name != b.name { return a.name < b.name }
        if a.incarnation != b.incarnation { return a.incarnation > b.incarnation }
        if a.created != b.created { return a.created > b.created }
        return a.id < b.id
    }
}
