import ConsensusCore
import FoundationEssentials
import Runtime
import Testing
import Transport

@testable import consensus

struct EtcdSettingsTests {
    private static let pem = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"

    private static func settings(_ environment: [String: String], _ arguments: [String] = []) throws -> EtcdSettings? {
        let environment = environment.merging(["POISE_ELECTION": "etcd"]) { given, _ in given }
        return try ConsensusSettings(
            try ConsensusOptions.parse(arguments), try Settings(config: nil, environment: environment)
        ).etcd
    }

    private static func refusal(_ environment: [String: String]) throws -> String {
        try #require(throws: SettingError.self) { try settings(environment) }.description
    }

    /// Runs `body` with a directory of files of these contents.
    private static func withFiles(_ files: [String: String], _ body: (String) throws -> Void) throws {
        let directory = try EtcdServer.makeDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        for (name, text) in files { try DurableFile(path: "\(directory)/\(name)").write(Array(text.utf8)) }
        try body(directory)
    }

    @Test func theDefaultIsThisMachines() throws {
        let settings = try #require(try Self.settings([:]))
        #expect(settings.endpoints == [.tcp(host: "127.0.0.1", port: 2_379)])
        #expect(settings.tls == TLSFiles() && settings.login == nil)
    }

    @Test func anotherEngineReadsNothingOfIt() throws {
        #expect(try Self.settings(["POISE_ELECTION": "raft", "POISE_ETCD_ENDPOINTS": "nonsense"]) == nil)
    }

    @Test func endpointsAreReadInOrder() throws {
        let settings = try #require(
            try Self.settings(["POISE_ETCD_ENDPOINTS": "https://a.example:1, http://[::1]:2/,https://b"]))
        #expect(
            settings.endpoints == [
                .https(host: "a.example", port: 1), .tcp(host: "::1", port: 2), .https(host: "b", port: 2_379),
            ])
        #expect(settings.endpoints.map(\.description) == ["https://a.example:1", "[::1]:2", "https://b:2379"])
        #expect(try Self.settings([:], ["--etcd-endpoints", "http://c:3"])?.endpoints == [.tcp(host: "c", port: 3)])
    }

    @Test(arguments: ["a:1", "ftp://a:1", "http://", "http://a:0", "http://a:1/path", "http://u@a:1", "http:/a:1"])
    func whatIsNoEndpointIsNamed(text: String) throws {
        #expect(
            try Self.refusal(["POISE_ETCD_ENDPOINTS": "http://good:1,\(text)"])
                == "POISE_ETCD_ENDPOINTS: \"\(text)\" is no endpoint: allowed is http://HOST:PORT or https://HOST:PORT")
    }

    @Test func thereAreOneToSixteenEndpoints() throws {
        let many = (1...17).map { "http://h:\($0)" }.joined(separator: ",")
        #expect(
            try Self.refusal(["POISE_ETCD_ENDPOINTS": many])
                == "POISE_ETCD_ENDPOINTS: it has 17 entries: allowed are 1 to 16")
        #expect(
            try Self.refusal(["POISE_ETCD_ENDPOINTS": " , "])
                == "POISE_ETCD_ENDPOINTS: it has 0 entries: allowed are 1 to 16")
    }

    @Test func filesAreReadAtTheStart() throws {
        try Self.withFiles(["ca": Self.pem, "cert": Self.pem, "key": Self.pem, "password": "a b\n"]) { path throws in
            let settings = try #require(
                try Self.settings([
                    "POISE_ETCD_ENDPOINTS": "https://a", "POISE_ETCD_CA": "\(path)/ca",
                    "POISE_ETCD_CERT": "\(path)/cert", "POISE_ETCD_KEY": "\(path)/key", "POISE_ETCD_USER": "poise",
                    "POISE_ETCD_PASSWORD_FILE": "\(path)/password",
                ]))
            #expect(
                settings.tls
                    == TLSFiles(authorities: "\(path)/ca", certificate: "\(path)/cert", key: "\(path)/key"))
            let login = try #require(settings.login)
            let password = try login.password()
            #expect(login.user == "poise" && password == "a b")
        }
    }

    @Test func aFileOfNoUseIsNamed() throws {
        try Self.withFiles(["text": "hello", "lines": "a\nb\n", "empty": "\n"]) { path throws in
            #expect(
                try Self.refusal(["POISE_ETCD_CA": "\(path)/none"])
                    == "POISE_ETCD_CA: there is no file \(path)/none: allowed is the path of a PEM file that this service "
                    + "may read")
            #expect(
                try Self.refusal(["POISE_ETCD_KEY": path]) == "POISE_ETCD_KEY: can't read \(path): Is a directory")
            #expect(
                try Self.refusal(["POISE_ETCD_CERT": "\(path)/text"])
                    == "POISE_ETCD_CERT: \(path)/text is no PEM file: it has no line -----BEGIN …")
            for name in ["lines", "empty"] {
                #expect(
                    try Self.refusal(["POISE_ETCD_USER": "poise", "POISE_ETCD_PASSWORD_FILE": "\(path)/\(name)"])
                        == "POISE_ETCD_PASSWORD_FILE: \(path)/\(name) must hold the password alone, in one line of 1 to "
                        + "1024 bytes")
            }
        }
    }

    @Test func whatGoesTogetherIsSetTogether() throws {
        try Self.withFiles(["pem": Self.pem, "password": "secret"]) { path throws in
            #expect(
                try Self.refusal(["POISE_ETCD_ENDPOINTS": "https://a", "POISE_ETCD_CERT": "\(path)/pem"])
                    == "POISE_ETCD_CERT is set and POISE_ETCD_KEY is not: set both or neither")
            #expect(
                try Self.refusal(["POISE_ETCD_PASSWORD_FILE": "\(path)/password"])
                    == "POISE_ETCD_PASSWORD_FILE is set and POISE_ETCD_USER is not: set both or neither")
            #expect(try Self.refusal(["POISE_ETCD_CA": "\(path)/pem"]).hasPrefix("POISE_ETCD_CA, POISE_ETCD_CERT and "))
        }
    }
}
