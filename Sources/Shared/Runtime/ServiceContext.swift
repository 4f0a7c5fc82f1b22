import Contracts
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Transport

/// What a route knows of the request's connection.
public struct ServiceContext: RequestContext {
    public var coreContext: CoreRequestContextStorage
    /// The connection: a feed watches it, so that a reader that stopped reading doesn't fill the memory.
    public let channel: any Channel

    public init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
    }

    /// A part of the route's path.
    /// - Throws: ``Problem`` 400.
    public func parameter(_ name: String) throws -> String {
        guard let text = parameters.get(name) else {
            throw Problem(400, "invalid-path", "the path has no readable {\(name)}")
        }
        return text
    }
}

public typealias ServiceRouter = Router<ServiceContext>

extension Request {
    /// The whole body, bounded.
    /// - Throws: ``Problem`` 413 if it is larger.
    public func bytes(limit: Int) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        for try await buffer in body {
            bytes += buffer.readableBytesView
            guard bytes.count <= limit else {
                throw Problem(413, "body-too-large", "the body has more than \(limit) bytes")
            }
        }
        return bytes
    }

    /// The body as JSON.
    /// - Throws: ``Problem`` 400 that names the place of what is wrong, or 413.
    public func json<T: Decodable>(_ type: T.Type = T.self, limit: Int = 1 << 20) async throws -> T {
        let bytes = try await bytes(limit: limit)
        do { return try JSON.decode(type, from: bytes) } catch let error as DecodingError {
            throw Problem(400, "invalid-json", error.place)
        }
    }

    /// A number of the query.
    /// - Throws: ``Problem`` 400 if it is outside `range`.
    public func integer(_ name: String, default fallback: Int, in range: ClosedRange<Int>) throws -> Int {
        guard let text = uri.queryParameters[Substring(name)] else { return fallback }
        guard let value = Int(text), range.contains(value) else {
            throw Problem(
                400, "invalid-query", "\(name) is \"\(text)\": allowed is \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    /// A text of the query, if it is there.
    public func text(_ name: String) -> String? {
        uri.queryParameters[Substring(name)].map(String.init)
    }
}

extension DecodingError {
    /// What is wrong and where in the document.
    public var place: String {
        switch self {
        case .keyNotFound(let key, let context): "\(Self.path(context)) lacks \"\(key.stringValue)\""
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            "\(Self.path(context)): \(context.debugDescription)"
        @unknown default: "the body is not the JSON that is expected here"
        }
    }

    private static func path(_ context: Context) -> String {
        let keys = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? ".\($0.stringValue)" }
        return "$" + keys.joined()
    }
}

extension Response {
    /// `value` as JSON.
    public static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
        Response(status: status, type: "application/json", bytes: try JSON.encode(value))
    }

    public static func empty(_ status: HTTPResponse.Status = .noContent) -> Response { Response(status: status) }

    /// A problem as RFC 9457 wants it.
    public static func problem(_ problem: Problem) -> Response {
        var problem = problem
        // It may have come from another device, and a status outside 0 to 999 is a trap.
        if !(400..<600).contains(problem.status) { problem.status = 500 }
        let bytes = (try? JSON.encode(problem)) ?? Array(problem.detail.utf8)
        return Response(status: .init(code: problem.status), type: "application/problem+json", bytes: bytes)
    }

    public init(status: HTTPResponse.Status = .ok, type: String, bytes: [UInt8]) {
        self.init(
            status: status, headers: [.contentType: type], body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }
}

/// Turns whatever a route throws into problem details, and counts these.
struct AnswerMiddleware: RouterMiddleware {
    let metrics: Metrics
    /// What every answer carries, besides its own.
    let headers: KeyValuePairs<String, String>
    private let log = Logger(label: "http")

    func handle(
        _ request: Request, context: ServiceContext, next: (Request, ServiceContext) async throws -> Response
    ) async throws -> Response {
        var response: Response
        do { response = try await next(request, context) } catch {
            let problem = problem(of: error, request)
            metrics.counter(
                "poise_http_problems_total", help: "Requests answered with a problem, by its code.",
                labels: ["problem": problem.code]
            ).increment()
            response = .problem(problem)
        }
        for (name, value) in headers {
            if let name = HTTPField.Name(name) { response.headers[name] = value }
        }
        return response
    }

    private func problem(of error: any Error, _ request: Request) -> Problem {
        switch error {
        case let problem as Problem: return problem
        case let error as HTTPError where error.status == .notFound:
            return Problem(404, "not-found", "there is no \(request.method) \(request.uri.path) here")
        case let error as HTTPError:
            return Problem(error.status.code, "http-\(error.status.code)", error.body ?? error.status.reasonPhrase)
        case is NIOTooManyBytesError: return Problem(413, "body-too-large", "the body is too large")
        default:
            log.error("\(request.method) \(request.uri.path): \(error)")
            return Problem(500, "internal-error", "\(error)")
        }
    }
}
