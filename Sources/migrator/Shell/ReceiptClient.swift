import Contracts
import Logging
import Runtime
import Transport

/// Tells planner how placements and moves went. The core says each receipt again until a block shows it, so one that
/// is lost here is only late.
struct ReceiptClient: Sendable {
    private let client: HTTPClient
    private let socket: Endpoint
    private let metrics: MigratorMetrics
    private let log = Logger(label: "receipts")

    init(client: HTTPClient, runDirectory: String, metrics: MigratorMetrics) {
        self.client = client
        self.metrics = metrics
        socket = .unix("\(runDirectory)/planner.sock")
    }

    func post(_ receipt: Receipt) {
        Task {
            do {
                let request = ClientRequest("POST", socket, "/receipts", timeout: .seconds(5))
                try await client.send(request, json: receipt).successful()
                log.debug("\(receipt.app)/\(receipt.incarnation) \(receipt.outcome.rawValue) \(receipt.reason)")
            } catch {
                metrics.lostReceipt()
                log.debug("planner did not take a receipt of \(receipt.app): \(error)")
            }
        }
    }
}
