import CCurl
import CCurlOptions
import Contracts
import Glibc
import Synchronization

/// libcurl's thread, for as long as somebody can still use it: the client, or the reader of an answer.
final class CurlLoop: Sendable {
    private let thread = CurlThread()

    deinit { thread.stop() }

    func add(_ transfer: Transfer) { thread.command(.add(transfer)) }
    func unpause(_ transfer: Transfer) { thread.command(.unpause(transfer)) }
    func cancel(_ transfer: Transfer) { thread.command(.cancel(transfer)) }
}

/// The one thread on which libcurl works. Others hand it commands and wake it.
private final class CurlThread: @unchecked Sendable {
    enum Command {
        case add(Transfer)
        case unpause(Transfer)
        case cancel(Transfer)
    }

    private struct Inbox {
        var commands: [Command] = []
        var stopped = false
    }

    /// Connections to one server at most; further transfers wait for one to be free.
    private static let connectionsPerServer = 128
    private static let ready = {
        // Told to leave signals alone, libcurl doesn't keep a TLS library's writes to a closed connection from raising one.
        signal(SIGPIPE, SIG_IGN)
        return curl_global_init(Int(CURL_GLOBAL_DEFAULT))
    }()

    private let multi: UnsafeMutableRawPointer
    private let inbox = Mutex(Inbox())
    /// Used by this thread alone.
    private var transfers: [UnsafeMutableRawPointer: Transfer] = [:]

    init() {
        guard Self.ready == CURLE_OK, let multi = curl_multi_init() else {
            preconditionFailure("libcurl has no memory for its first handle")
        }
        self.multi = multi
        poise_curl_multi_set_long(multi, CURLMOPT_MAX_HOST_CONNECTIONS, Self.connectionsPerServer)
        start()
    }

    func command(_ command: Command) {
        inbox.withLock { inbox in
            inbox.commands.append(command)
            curl_multi_wakeup(multi)
        }
    }

    /// The last word of the loop's owner: no command can follow.
    func stop() {
        // The thread frees libcurl's handle once it has seen `stopped`, so it must not see it before the wake-up is over.
        inbox.withLock { inbox in
            inbox.stopped = true
            curl_multi_wakeup(multi)
        }
    }

    private func start() {
        var thread = pthread_t()
        let argument = Unmanaged.passRetained(self).toOpaque()
        let status = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<CurlThread>.fromOpaque(argument).takeRetainedValue().run()
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
            curl_multi_poll(multi, nil, 0, endStalled(), nil)
        }
        for transfer in transfers.values { end(transfer, .failure(CancellationError())) }
        curl_multi_cleanup(multi)
    }

    /// Performs what was commanded; false once nobody can command any more.
    private func obey() -> Bool {
        let (commands, stopped) = inbox.withLock { inbox in
            defer { inbox.commands = [] }
            return (inbox.commands, inbox.stopped)
        }
        for command in commands {
            switch command {
            case .add(let transfer):
                transfers[transfer.easy] = transfer
                transfer.touch(at: Self.now())
                if curl_multi_add_handle(multi, transfer.easy) != CURLM_OK {
                    end(transfer, .failure(HTTPClientError.invalidRequest("libcurl is out of memory")))
                }
            case .unpause(let transfer):
                guard transfers[transfer.easy] != nil else { continue }
                transfer.touch(at: Self.now())
                curl_easy_pause(transfer.easy, CURLPAUSE_CONT)
            case .cancel(let transfer):
                if transfers[transfer.easy] != nil { end(transfer, .failure(CancellationError())) }
            }
        }
        return !stopped
    }

    private func collect() {
        var left: Int32 = 0
        while let message = curl_multi_info_read(multi, &left) {
            guard message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle,
                let transfer = transfers[easy]
            else { continue }
            let code = message.pointee.data.result
            end(transfer, code == CURLE_OK ? .success(()) : .failure(Self.error(code, transfer)))
        }
    }

    /// Ends the transfers on which no byte has flowed for too long, and says for how many milliseconds none will be due.
    ///
    /// libcurl's own low-speed limit can't tell a heartbeat of one byte every few seconds from silence.
    private func endStalled() -> Int32 {
        let now = Self.now()
        var rest: Int64 = 60_000
        for transfer in transfers.values {
            guard let due = transfer.stallsAt(now: now) else { continue }
            if due <= now {
                end(transfer, .failure(HTTPClientError.timedOut(transfer.endpoint)))
            } else {
                rest = min(rest, due - now)
            }
        }
        return Int32(rest)
    }

    private func end(_ transfer: Transfer, _ result: Result<Void, any Error>) {
        curl_multi_remove_handle(multi, transfer.easy)
        transfers[transfer.easy] = nil
        transfer.finish(result)
    }

    private static func error(_ code: CURLcode, _ transfer: Transfer) -> HTTPClientError {
        var system = 0
        poise_curl_get_long(transfer.easy, CURLINFO_OS_ERRNO, &system)
        var words = String(cString: curl_easy_strerror(code))
        // Only of TLS it says more than the code does.
        if case .https = transfer.endpoint, transfer.errorText[0] != 0 { words = String(cString: transfer.errorText) }
        switch code {
        case CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_HOST:
            return .unreachable(
                transfer.endpoint, system == 0 ? words : String(cString: strerror(Int32(truncatingIfNeeded: system))))
        case CURLE_OPERATION_TIMEDOUT: return .timedOut(transfer.endpoint)
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CACERT_BADFILE,
            CURLE_SSL_ISSUER_ERROR, CURLE_SSL_CIPHER:
            return .untrusted(transfer.endpoint, words)
        default: return .broken(transfer.endpoint, words)
        }
    }

    /// Milliseconds of the monotonic clock.
    private static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
    }
}
