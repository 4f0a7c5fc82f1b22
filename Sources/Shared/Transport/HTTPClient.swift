import CCurl
import CCurlOptions
import Contracts

/// An HTTP/1.1 client on libcurl, for Unix sockets, TCP and TLS. Connections are kept and used again.
///
/// Every transfer is bounded in time or watched for stalls, and in memory: bodies flow with back-pressure both ways.
/// Cancelling the task that waits ends the transfer.
public final class HTTPClient: Sendable {
    private let loop = CurlLoop()

    public init() {}

    /// Sends a request and reads its answer whole.
    ///
    /// - Throws: ``HTTPClientError``, also for an answer larger than the request allows; `CancellationError`.
    public func send(_ request: ClientRequest) async throws -> ClientResponse {
        try await whole(try await stream(request), of: request)
    }

    /// Sends `json` as the request's body.
    public func send(_ request: ClientRequest, json: some Encodable) async throws -> ClientResponse {
        var request = request
        request.body = try JSON.encode(json)
        request.headers.append((name: "Content-Type", value: "application/json"))
        return try await send(request)
    }

    /// Sends a request; its answer's body is read as it comes, also after this client is gone.
    public func stream(_ request: ClientRequest) async throws -> StreamingResponse {
        let transfer = try begin(request, uploading: false)
        return try await answer(to: transfer)
    }

    /// Sends a request whose body is `chunks`, chunked, as fast as the other side takes it.
    ///
    /// A server that refuses (status 300 and above) may answer early: the rest is then not sent.
    /// - Throws: what `chunks` throws, too. If it throws or the task is cancelled, the transfer is broken off, so that
    ///   the other side can't take part of a body for the whole.
    public func upload<Chunks: AsyncSequence & Sendable>(
        _ request: ClientRequest, from chunks: Chunks
    ) async throws -> ClientResponse where Chunks.Element == [UInt8] {
        let transfer = try begin(request, uploading: true)
        let loop = loop
        return try await withThrowingTaskGroup(of: UploadPart.self) { group in
            group.addTask {
                do {
                    for try await chunk in chunks where !chunk.isEmpty {
                        guard await transfer.write(chunk, unpause: { loop.unpause(transfer) }) else { return .sent }
                    }
                    // A cancelled source may end as if it were complete.
                    try Task.checkCancellation()
                } catch { return .failed(error) }
                transfer.endUpload { loop.unpause(transfer) }
                return .sent
            }
            group.addTask {
                let response = try await self.answer(to: transfer)
                // libcurl stops sending by itself, but not while it waits for more to send.
                if response.status >= 300 { loop.unpause(transfer) }
                return .answered(try await self.whole(response, of: request))
            }
            // Ends the transfer, too, unless it is complete.
            defer { group.cancelAll() }
            while let part = try await group.next() {
                switch part {
                case .sent: continue
                case .failed(let error): throw error
                case .answered(let response): return response
                }
            }
            throw CancellationError()
        }
    }

    private enum UploadPart: Sendable {
        case sent
        case failed(any Error)
        case answered(ClientResponse)
    }

    private func whole(_ response: StreamingResponse, of request: ClientRequest) async throws -> ClientResponse {
        var body: [UInt8] = []
        for try await chunk in response.body {
            body += chunk
            if body.count > request.responseLimit {
                throw HTTPClientError.responseTooLarge(request.endpoint, limit: request.responseLimit)
            }
        }
        return ClientResponse(status: response.status, headers: response.headers, body: body)
    }

    private func answer(to transfer: Transfer) async throws -> StreamingResponse {
        let hold = TransferHold(transfer: transfer, loop: loop)
        let head = try await withTaskCancellationHandler {
            try await transfer.head()
        } onCancel: {
            hold.cancel()
        }
        return StreamingResponse(status: head.status, headers: head.headers, body: ResponseChunks(hold: hold))
    }

    private func begin(_ request: ClientRequest, uploading: Bool) throws -> Transfer {
        guard let easy = curl_easy_init() else { throw HTTPClientError.invalidRequest("libcurl is out of memory") }
        let transfer = Transfer(
            endpoint: request.endpoint, easy: easy, stallLimit: request.stall.map(\.wholeMilliseconds))
        try Self.check(request)
        Self.configure(transfer, request, uploading: uploading)
        loop.add(transfer)
        return transfer
    }

    private static func check(_ request: ClientRequest) throws {
        guard request.path.hasPrefix("/"), request.path.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x23 }) else {
            throw HTTPClientError.invalidRequest(
                "\"\(request.path.prefix(200))\" is no path: it must begin with / and be percent-encoded")
        }
        if case .unix(let path) = request.endpoint, path.utf8.count > 107 || path.isEmpty {
            throw HTTPClientError.invalidRequest("a socket's path has 1 to 107 bytes, and this has not: \(path)")
        }
        for (name, value) in request.headers + [(name: request.method, value: "")] {
            guard !name.isEmpty, name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x3A }) else {
                throw HTTPClientError.invalidRequest("\"\(name.prefix(200))\" is no name of a header or method")
            }
            guard value.utf8.allSatisfy({ $0 >= 0x20 || $0 == 0x09 }) else {
                throw HTTPClientError.invalidRequest("the header \(name) has a control character in its value")
            }
        }
    }

    private static func configure(_ transfer: Transfer, _ request: ClientRequest, uploading: Bool) {
        let easy = transfer.easy
        address(transfer, request)
        poise_curl_set_long(easy, CURLOPT_NOSIGNAL, 1)
        poise_curl_set_long(easy, CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        poise_curl_set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, 3_000)
        poise_curl_set_long(easy, CURLOPT_TCP_NODELAY, 1)
        poise_curl_set_long(easy, CURLOPT_BUFFERSIZE, uploading || request.timeout == nil ? 262_144 : 65_536)
        if let timeout = request.timeout {
            poise_curl_set_long(easy, CURLOPT_TIMEOUT_MS, Int(timeout.wholeMilliseconds))
        }
        poise_curl_set_long(easy, CURLOPT_PATH_AS_IS, 1)
        // A body that is read as it goes can't be sent again should a kept connection prove dead.
        if uploading { poise_curl_set_long(easy, CURLOPT_FRESH_CONNECT, 1) }
        for (name, value) in request.headers + [(name: "Expect", value: "")] {
            transfer.headerList = curl_slist_append(transfer.headerList, "\(name):\(value.isEmpty ? "" : " " + value)")
        }
        setBody(transfer, request, uploading: uploading)
        poise_curl_set_list(easy, CURLOPT_HTTPHEADER, transfer.headerList)
        // The loop holds the transfer for as long as libcurl may call back, so the pointer needs no count of its own.
        let context = Unmanaged.passUnretained(transfer).toOpaque()
        poise_curl_set_pointer(easy, CURLOPT_ERRORBUFFER, transfer.errorText)
        poise_curl_set_pointer(easy, CURLOPT_HEADERDATA, context)
        poise_curl_set_pointer(easy, CURLOPT_WRITEDATA, context)
        poise_curl_set_pointer(easy, CURLOPT_READDATA, context)
        poise_curl_set_receiver(easy, CURLOPT_HEADERFUNCTION, onHeader)
        poise_curl_set_receiver(easy, CURLOPT_WRITEFUNCTION, onBody)
        poise_curl_set_sender(easy, onSend)
    }

    private static func address(_ transfer: Transfer, _ request: ClientRequest) {
        let easy = transfer.easy
        switch request.endpoint {
        case .unix(let path):
            poise_curl_set_text(easy, CURLOPT_UNIX_SOCKET_PATH, path)
            poise_curl_set_text(easy, CURLOPT_URL, "http://poise" + request.path)
            poise_curl_set_text(easy, CURLOPT_PROTOCOLS_STR, "http")
        case .tcp:
            poise_curl_set_text(easy, CURLOPT_URL, "http://\(request.endpoint)" + request.path)
            poise_curl_set_text(easy, CURLOPT_PROTOCOLS_STR, "http")
        case .https:
            poise_curl_set_text(easy, CURLOPT_URL, "\(request.endpoint)" + request.path)
            poise_curl_set_text(easy, CURLOPT_PROTOCOLS_STR, "https")
            poise_curl_set_long(easy, CURLOPT_SSL_VERIFYPEER, 1)
            poise_curl_set_long(easy, CURLOPT_SSL_VERIFYHOST, 2)
            poise_curl_set_long(easy, CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
            if let path = request.tls.authorities {
                poise_curl_set_text(easy, CURLOPT_CAINFO, path)
                // Whoever names authorities means these alone.
                poise_curl_set_text(easy, CURLOPT_CAPATH, nil)
            }
            if let path = request.tls.certificate { poise_curl_set_text(easy, CURLOPT_SSLCERT, path) }
            if let path = request.tls.key { poise_curl_set_text(easy, CURLOPT_SSLKEY, path) }
        }
        // A proxy from the environment must never see the site's traffic.
        poise_curl_set_text(easy, CURLOPT_PROXY, "")
    }

    private static func setBody(_ transfer: Transfer, _ request: ClientRequest, uploading: Bool) {
        let easy = transfer.easy
        if uploading {
            poise_curl_set_long(easy, CURLOPT_UPLOAD, 1)
            poise_curl_set_long(easy, CURLOPT_UPLOAD_BUFFERSIZE, 262_144)
        } else if !request.body.isEmpty || ["POST", "PUT"].contains(request.method) {
            poise_curl_set_long(easy, CURLOPT_POST, 1)
            _ = request.body.withUnsafeBytes { poise_curl_set_body(easy, $0.baseAddress, curl_off_t($0.count)) }
            if request.body.isEmpty { poise_curl_set_body(easy, "", 0) }
            if !request.headers.contains(where: { $0.name.lowercased() == "content-type" }) {
                transfer.headerList = curl_slist_append(transfer.headerList, "Content-Type: application/octet-stream")
            }
        } else if request.method == "HEAD" {
            poise_curl_set_long(easy, CURLOPT_NOBODY, 1)
        }
        poise_curl_set_text(easy, CURLOPT_CUSTOMREQUEST, request.method)
    }
}

private let onHeader: curl_write_callback = { bytes, size, count, context in
    guard let bytes, let context else { return 0 }
    let line = UnsafeRawBufferPointer(start: bytes, count: size * count)
    var text = String(decoding: line, as: UTF8.self)[...]
    while text.last?.isNewline == true { text.removeLast() }
    Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue().receivedHeader(String(text))
    return size * count
}

private let onBody: curl_write_callback = { bytes, size, count, context in
    guard let bytes, let context else { return 0 }
    let taken = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
        .received(UnsafeRawBufferPointer(start: bytes, count: size * count))
    return taken ? size * count : Int(CURL_WRITEFUNC_PAUSE)
}

private let onSend: curl_read_callback = { buffer, size, count, context in
    guard let buffer, let context else { return Int(CURL_READFUNC_ABORT) }
    let filled = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
        .fill(UnsafeMutableRawBufferPointer(start: buffer, count: size * count))
    return filled ?? Int(CURL_READFUNC_PAUSE)
}

extension Duration {
    /// At least 1, at most a day's.
    fileprivate var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        guard seconds < 86_400 else { return 86_400_000 }
        return max(1, seconds * 1_000 + attoseconds / 1_000_000_000_000_000)
    }
}
