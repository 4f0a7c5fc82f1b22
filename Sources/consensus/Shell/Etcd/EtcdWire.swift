import ConsensusCore
import Contracts

// The JSON of etcd's gateway, as far as an election needs it. Bytes are base 64, whole numbers are texts, and what is 0
// or empty is left out.

/// A whole number of 64 bits.
struct WireNumber: Codable, Sendable {
    var value: Int64

    init(_ value: Int64) { self.value = value }

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let number = try? container.decode(Int64.self) {
            value = number
        } else {
            let text = try container.decode(String.self)
            guard let number = Int64(text) else {
                throw DecodingError.dataCorruptedError(
                    in: container, debugDescription: "expected a number, found \"\(text.prefix(40))\"")
            }
            value = number
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(String(value))
    }
}

/// A lease, granted or kept alive; asked for with the same names.
struct WireLease: Codable, Sendable {
    var ID: WireNumber?
    var TTL: WireNumber?

    init(id: Int64? = nil, seconds: Int64? = nil) {
        ID = id.map { WireNumber($0) }
        TTL = seconds.map { WireNumber($0) }
    }
}

/// One line of the answer to a keep-alive.
struct WireStreamed: Decodable, Sendable {
    var result: WireLease
}

struct WireRange: Encodable, Sendable {
    var key: Base64Bytes
}

struct WireRangeAnswer: Decodable, Sendable {
    struct Entry: Decodable, Sendable {
        var create_revision: WireNumber
        var value: Base64Bytes?
        var lease: WireNumber?
    }

    var kvs: [Entry]?

    var entry: StoreEntry? {
        kvs?.first.map {
            StoreEntry(
                value: $0.value?.bytes ?? [], createRevision: UInt64(clamping: $0.create_revision.value),
                lease: $0.lease?.value ?? 0)
        }
    }
}

/// A transaction about one key: if it was created by a revision (0: if there is none), then this, else that.
struct WireTransaction: Encodable, Sendable {
    struct Comparison: Encodable, Sendable {
        var key: Base64Bytes
        var target = "CREATE"
        var result = "EQUAL"
        var create_revision: WireNumber
    }

    struct Put: Encodable, Sendable {
        var key: Base64Bytes
        var value: Base64Bytes
        var lease: WireNumber
    }

    struct Operation: Encodable, Sendable {
        var request_put: Put?
        var request_range: WireRange?
        var request_delete_range: WireRange?
    }

    var compare: [Comparison]
    var success: [Operation]
    var failure: [Operation]

    /// Puts the value if there is no such key; reads it in any case.
    static func campaign(_ key: String, _ value: [UInt8], lease: Int64) -> Self {
        let key = Base64Bytes(Array(key.utf8))
        let read = Operation(request_range: WireRange(key: key))
        let put = Operation(request_put: Put(key: key, value: Base64Bytes(value), lease: WireNumber(lease)))
        return Self(
            compare: [Comparison(key: key, create_revision: WireNumber(0))], success: [put, read], failure: [read])
    }

    static func remove(_ key: String, createRevision: UInt64) -> Self {
        let key = Base64Bytes(Array(key.utf8))
        let revision = WireNumber(Int64(clamping: createRevision))
        return Self(
            compare: [Comparison(key: key, create_revision: revision)],
            success: [Operation(request_delete_range: WireRange(key: key))], failure: [])
    }
}

struct WireTransactionAnswer: Decodable, Sendable {
    struct Response: Decodable, Sendable {
        var response_range: WireRangeAnswer?
    }

    var responses: [Response]?

    /// What the transaction has read; nil if it has read nothing.
    var range: WireRangeAnswer? { responses?.compactMap(\.response_range).first }
}

struct WireLogin: Encodable, Sendable {
    var name: String
    var password: String
}

struct WireToken: Decodable, Sendable {
    var token: String
}

/// What went wrong, with gRPC's code for it.
struct WireProblem: Decodable, Sendable {
    private struct Streamed: Decodable {
        var grpc_code: Int?
        var message: String?
    }

    private enum CodingKeys: String, CodingKey { case code, message, error }

    static let notFound = 5
    static let permissionDenied = 7
    static let unavailable = 14
    static let unauthenticated = 16

    var code: Int
    var message: String

    /// A stream's problems are nested; versions differ in whether the others have `message`, `error` or both.
    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let streamed = try? container.decode(Streamed.self, forKey: .error)
        code = try container.decodeIfPresent(Int.self, forKey: .code) ?? streamed?.grpc_code ?? 2
        let text = try? container.decode(String.self, forKey: .error)
        message = try container.decodeIfPresent(String.self, forKey: .message) ?? streamed?.message ?? text ?? ""
    }
}
