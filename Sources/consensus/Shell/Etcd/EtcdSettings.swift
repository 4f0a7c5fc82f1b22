import ArgumentParser
import Runtime
import Transport

/// What `consensus run` can be told of the site's etcd.
struct EtcdOptions: ParsableArguments {
    @Option(
        help: """
            Where the site's etcd is, with --election etcd: http(s)://HOST:PORT of each member, separated by commas \
            (POISE_ETCD_ENDPOINTS; default http://127.0.0.1:2379).
            """)
    var etcdEndpoints: String?

    @Option(
        help: "PEM file of the authorities that etcd's certificates are from (POISE_ETCD_CA; default the system's).")
    var etcdCa: String?

    @Option(help: "PEM file of the certificate to show etcd (POISE_ETCD_CERT).")
    var etcdCert: String?

    @Option(help: "PEM file of that certificate's key (POISE_ETCD_KEY).")
    var etcdKey: String?

    @Option(help: "The user to be in etcd (POISE_ETCD_USER).")
    var etcdUser: String?

    @Option(help: "File that holds that user's password and nothing else (POISE_ETCD_PASSWORD_FILE).")
    var etcdPasswordFile: String?
}

/// Where the site's etcd is and how to be let in, checked.
struct EtcdSettings: Sendable {
    struct Login: Sendable {
        var user: String
        /// Read anew at each login, so that a password can be changed while the process runs.
        var passwordFile: String

        func password() throws -> String { try EtcdSettings.password(in: passwordFile) }
    }

    static let endpointLimit = 16
    private static let fileLimit = 1 << 20

    var endpoints: [Endpoint]
    var tls = TLSFiles()
    var login: Login?

    init(endpoints: [Endpoint], tls: TLSFiles = TLSFiles(), login: Login? = nil) {
        self.endpoints = endpoints
        self.tls = tls
        self.login = login
    }

    /// - Throws: `SettingError`, also for a file that can't be read.
    init(_ options: EtcdOptions, _ settings: Settings) throws {
        endpoints =
            try settings.parsed("etcd-endpoints", flag: options.etcdEndpoints, Self.endpoints)
            ?? [.tcp(host: "127.0.0.1", port: 2_379)]
        tls.authorities = try settings.parsed("etcd-ca", flag: options.etcdCa, Self.pemFile)
        tls.certificate = try settings.parsed("etcd-cert", flag: options.etcdCert, Self.pemFile)
        tls.key = try settings.parsed("etcd-key", flag: options.etcdKey, Self.pemFile)
        let user = try settings.parsed("etcd-user", flag: options.etcdUser, Self.user)
        let passwordFile = try settings.parsed("etcd-password-file", flag: options.etcdPasswordFile) { path in
            _ = try Self.password(in: path)
            return path
        }
        try Self.together("POISE_ETCD_CERT", tls.certificate, "POISE_ETCD_KEY", tls.key)
        try Self.together("POISE_ETCD_USER", user, "POISE_ETCD_PASSWORD_FILE", passwordFile)
        if let user, let passwordFile { login = Login(user: user, passwordFile: passwordFile) }
        let isSecure = endpoints.contains { if case .https = $0 { true } else { false } }
        if tls != TLSFiles(), !isSecure {
            throw SettingError(
                """
                POISE_ETCD_CA, POISE_ETCD_CERT and POISE_ETCD_KEY are for https, and POISE_ETCD_ENDPOINTS has only \
                http: write https://HOST:PORT there, or unset them
                """)
        }
    }

    private static func together(_ first: String, _ a: String?, _ second: String, _ b: String?) throws {
        if (a == nil) != (b == nil) {
            throw SettingError(
                "\(a == nil ? second : first) is set and \(a == nil ? first : second) is not: set both or neither")
        }
    }

    static func endpoints(_ text: String) throws -> [Endpoint] {
        let entries = text.split(separator: ",").map { $0.filter { !$0.isWhitespace } }.filter { !$0.isEmpty }
        guard (1...endpointLimit).contains(entries.count) else {
            throw SettingError("it has \(entries.count) entries: allowed are 1 to \(endpointLimit)")
        }
        return try entries.map { entry in
            let parts = entry.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count == 3 || parts.count == 4 && parts[3].isEmpty, parts[1].isEmpty,
                ["http:", "https:"].contains(parts[0]),
                case .tcp(let host, let port)? = try? Endpoint(parsing: String(parts[2]), defaultPort: 2_379)
            else {
                throw SettingError(
                    "\"\(entry.prefix(300))\" is no endpoint: allowed is http://HOST:PORT or https://HOST:PORT")
            }
            return parts[0] == "https:" ? .https(host: host, port: port) : .tcp(host: host, port: port)
        }
    }

    private static func user(_ text: String) throws -> String {
        guard text.utf8.count <= 256 else {
            throw SettingError("it has \(text.utf8.count) bytes: at most 256 are allowed")
        }
        return text
    }

    private static func pemFile(_ path: String) throws -> String {
        let bytes = try content(of: path, "a PEM file")
        guard String(decoding: bytes, as: UTF8.self).contains("-----BEGIN ") else {
            throw SettingError("\(path) is no PEM file: it has no line -----BEGIN …")
        }
        return path
    }

    /// Without the line's end that editors write.
    fileprivate static func password(in path: String) throws -> String {
        let bytes = try content(of: path, "a file with the password")
        var text = Substring(String(decoding: bytes, as: UTF8.self))
        if text.last?.isNewline == true { text.removeLast() }
        guard (1...1_024).contains(text.utf8.count), !text.contains(where: \.isNewline) else {
            throw SettingError("\(path) must hold the password alone, in one line of 1 to 1024 bytes")
        }
        return String(text)
    }

    private static func content(of path: String, _ what: String) throws -> [UInt8] {
        guard let bytes = try DurableFile(path: path).read(limit: fileLimit) else {
            throw SettingError("there is no file \(path): allowed is the path of \(what) that this service may read")
        }
        return bytes
    }
}
