import CCurl
import CCurlOptions
import Contracts
import Glibc
import Synchronization

/// The one thread on which libcurl works. Others hand it commands and wake it.
final class CurlLoop: @unchecked Sendable {
    private enum Command {
        case add(Transfer)
        case unpause(Transfer)
        case cancel(Transfer)
        case stop
    }

    private let multi: UnsafeMutableRawPointer
    private let commands = Mutex<[Command]>([])
    /// Used by the loop's thread alone.
    private var transfers: [UnsafeMutableRawPointer: Transfer] = [:]

    init() {
        curl_global_init(Int(CURL_GLOBAL_DEFAULT))
        guard let multi = curl_multi_init() else { preconditionFailure("libcurl has no memory for its first handle") }
        self.multi = multi
        start()
    }

    func add(_ transfer: Transfer) { command(.add(transfer)) }
    func unpause(_ transfer: Transfer) { command(.unpause(transfer)) }
    func cancel(_ transfer: Transfer) { command(.cancel(transfer)) }
    func stop() { command(.stop) }

    private func command(_ command: Command) {
        commands.withLock { $0.append(command) }
        curl_multi_wakeup(multi)
    }

    private func start() {
        var thread = pthread_t()
        let argument = Unmanaged.passRetained(self).toOpaque()
        let status = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<CurlLoop>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, argument)
        precondition(status == 0, "the system has no thread for libcurl (error \(status))")
        pthread_detach(thread)
    }

    private func run() {
        while obey() {
            var running: Int32 = 0
            curl_multi_perform(multi, &running)
            collect()
            curl_multi_poll(multi, nil, 0, 1_000, nil)
        }
        for transfer in transfers.values {
            curl_multi_remove_handle(multi, transfer.easy)
            transfer.finish(.failure(CancellationError()))
        }
        curl_multi_cleanup(multi)
    }

    /// Performs what was commanded; false after `stop`.
    private func obey() -> Bool {
        let commands = commands.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
        for command in commands {
            switch command {
            case .add(let transfer):
                transfers[transfer.easy] = transfer
                let status = curl_multi_add_handle(multi, transfer.easy)
                if status != CURLM_OK {
                    end(transfer, .failure(HTTPClientError.invalidRequest("libcurl is out of memory")))
                }
            case .unpause(let transfer):
                if transfers[transfer.easy] != nil { curl_easy_pause(transfer.easy, CURLPAUSE_CONT) }
            case .cancel(let transfer):
                if transfers[transfer.easy] != nil { end(transfer, .failure(CancellationError())) }
            case .stop:
                return false
            }
        }
        return true
    }

    private func collect() {
        var left: Int32 = 0
        while let message = curl_multi_info_read(multi, &left) {
            guard message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle,
                let transfer = transfers[easy]
            else { continue }
            let code = message.pointee.data.result
            end(transfer, code == CURLE_OK ? .success(()) : .failure(Self.error(code, transfer.endpoint)))
        }
    }

    private func end(_ transfer: Transfer, _ result: Result<Void, any Error>) {
        curl_multi_remove_handle(multi, transfer.easy)
        transfers[transfer.easy] = nil
        transfer.finish(result)
    }

    private static func error(_ code: CURLcode, _ endpoint: Endpoint) -> HTTPClientError {
        let words = String(cString: curl_easy_strerror(code))
        switch code {
        case CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_HOST: return .unreachable(endpoint, words)
        case CURLE_OPERATION_TIMEDOUT: return .timedOut(endpoint)
        default: return .broken(endpoint, words)
        }
    }
}
