import CSQLite

/// Why the chain could not be stored or read. Ends the process: a planner that can't remember its votes must not vote.
struct StorageError: Error, Equatable, CustomStringConvertible {
    /// What failed, why, and what to do next.
    var description: String

    init(_ description: String) { self.description = description }
}

/// One SQLite connection, as far as the chain needs it. Not for use by two threads at once.
final class SQLite {
    private let path: String
    private var handle: OpaquePointer?

    /// - Parameters:
    ///   - readOnly: opens what is there and changes nothing.
    ///   - isImmutable: that nobody else changes it either.
    init(path: String, readOnly: Bool, isImmutable: Bool = false) throws(StorageError) {
        self.path = path
        var flags = (readOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) | SQLITE_OPEN_NOMUTEX
        var name = path
        if isImmutable {
            flags |= SQLITE_OPEN_URI
            name = "file:\(Self.escaped(path))?immutable=1"
        }
        let status = sqlite3_open_v2(name, &handle, flags, nil)
        // Also after a failure the handle holds the reason.
        guard status == SQLITE_OK else {
            let error = failure(status, "open")
            sqlite3_close_v2(handle)
            handle = nil
            throw error
        }
        sqlite3_extended_result_codes(handle, 1)
        sqlite3_busy_timeout(handle, 5_000)
    }

    deinit { sqlite3_close_v2(handle) }

    /// A path as it stands in a URI.
    private static func escaped(_ path: String) -> String {
        let digits = Array("0123456789ABCDEF")
        return path.utf8.reduce(into: "") { text, byte in
            let scalar = UnicodeScalar(byte)
            if scalar.isASCII, scalar.properties.isAlphabetic || "0123456789/-._~".unicodeScalars.contains(scalar) {
                text.unicodeScalars.append(scalar)
            } else {
                text += "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
            }
        }
    }

    /// Runs statements that return nothing of interest.
    func execute(_ sql: String) throws(StorageError) {
        let status = sqlite3_exec(handle, sql, nil, nil, nil)
        guard status == SQLITE_OK else { throw failure(status, "change") }
    }

    /// Runs one statement to its end.
    func run(_ sql: String, _ values: SQLiteValue...) throws(StorageError) {
        let statement = try prepare(sql, values)
        while try statement.step() {}
    }

    /// The first row of a query, read by `row`; nil if there is none.
    func first<T>(
        _ sql: String, _ values: SQLiteValue..., row: (SQLiteStatement) throws(StorageError) -> T
    ) throws(StorageError) -> T? {
        let statement = try prepare(sql, values)
        return try statement.step() ? try row(statement) : nil
    }

    func prepare(_ sql: String, _ values: [SQLiteValue]) throws(StorageError) -> SQLiteStatement {
        var statement: OpaquePointer?
        let status = sqlite3_prepare_v2(handle, sql, -1, &statement, nil)
        guard status == SQLITE_OK, let statement else { throw failure(status, "read") }
        let prepared = SQLiteStatement(statement, of: self)
        for (index, value) in values.enumerated() { try prepared.bind(value, at: Int32(index + 1)) }
        return prepared
    }

    /// Runs `body` as one transaction: all of it is durable when this returns, or none of it.
    func transaction(_ body: () throws(StorageError) -> Void) throws(StorageError) {
        try execute("BEGIN IMMEDIATE")
        do {
            try body()
            try execute("COMMIT")
        } catch {
            // SQLite has rolled back already after some failures, and then says so: the first error is the one to tell.
            sqlite3_exec(handle, "ROLLBACK", nil, nil, nil)
            throw error
        }
    }

    func failure(_ status: Int32, _ attempt: String) -> StorageError {
        let text = handle.flatMap { sqlite3_errmsg($0) }.map { String(cString: $0) } ?? "no memory"
        let remedy =
            switch status & 0xFF {
            case SQLITE_FULL: "the disk is full: free space on it and start again"
            case SQLITE_CORRUPT, SQLITE_NOTADB:
                "the file is damaged: check the disk, move the file away and start again; the other nodes send the blocks"
            case SQLITE_READONLY, SQLITE_CANTOPEN, SQLITE_PERM, SQLITE_AUTH:
                "check that the directory exists and belongs to the user that runs planner"
            case SQLITE_BUSY, SQLITE_LOCKED: "another process holds it: is a second planner running on this directory?"
            case SQLITE_IOERR: "the disk failed: check it, and that it isn't full"
            default: "check the disk and the file"
            }
        return StorageError("could not \(attempt) the chain in \(path): \(text) (SQLite \(status)); \(remedy)")
    }
}

enum SQLiteValue {
    case integer(Int64)
    case blob([UInt8])
}

/// A prepared statement, positioned on a row after `step` returned true.
final class SQLiteStatement {
    private let statement: OpaquePointer
    /// Keeps the connection open as long as the statement lives.
    private let connection: SQLite

    fileprivate init(_ statement: OpaquePointer, of connection: SQLite) {
        self.statement = statement
        self.connection = connection
    }

    deinit { sqlite3_finalize(statement) }

    fileprivate func bind(_ value: SQLiteValue, at index: Int32) throws(StorageError) {
        let status: Int32
        switch value {
        case .integer(let number): status = sqlite3_bind_int64(statement, index, number)
        case .blob(let bytes):
            // SQLITE_TRANSIENT: SQLite copies the bytes before this returns.
            let copied = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
            status = bytes.withUnsafeBytes {
                // A nil pointer would bind NULL in place of an empty blob.
                $0.isEmpty
                    ? sqlite3_bind_zeroblob(statement, index, 0)
                    : sqlite3_bind_blob64(statement, index, $0.baseAddress, UInt64($0.count), copied)
            }
        }
        guard status == SQLITE_OK else { throw connection.failure(status, "change") }
    }

    /// Whether there is a further row.
    func step() throws(StorageError) -> Bool {
        switch sqlite3_step(statement) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        case let status: throw connection.failure(status, sqlite3_stmt_readonly(statement) != 0 ? "read" : "change")
        }
    }

    func isNull(_ column: Int32) -> Bool { sqlite3_column_type(statement, column) == SQLITE_NULL }

    func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(statement, column) }

    func blob(_ column: Int32) -> [UInt8] {
        let count = Int(sqlite3_column_bytes(statement, column))
        guard count > 0, let bytes = sqlite3_column_blob(statement, column) else { return [] }
        return Array(UnsafeRawBufferPointer(start: bytes, count: count))
    }
}
