import ArgumentParser
import Contracts
import Glibc
import Identity
import PlannerCore
import Runtime
import Transport

/// Where the operator's key is: 64 hex digits, the seed of an Ed25519 key, that only its owner may read.
///
/// No service reads it. It is for whoever runs the site, and may be kept off the devices: an order can be made anywhere.
struct OperatorKeyFile {
    static let usual = "/etc/poise/operator/key"

    let path: String

    /// - Throws: `ValueProblem` that says what to do, `FileError`.
    func read() throws -> SigningKey {
        let bytes: [UInt8]?
        do { bytes = try DurableFile(path: path).read(limit: 4_096) } catch let error as FileError {
            throw ValueProblem("the operator's key can't be read", "\(error)")
        }
        guard let bytes else {
            throw ValueProblem(
                "there is no operator's key at \(path)",
                "name its file with --operator-key (POISE_OPERATOR_KEY), or make one for a new site: planner operator create"
            )
        }
        let text = String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace }
        guard let seed = Hex.decode(text), let key = SigningKey(seed: seed) else {
            throw ValueProblem("\(path) holds no operator's key", "it should be 64 hex digits")
        }
        return key
    }

    /// Makes a new key. One that is there stays.
    /// - Throws: `ValueProblem` if there is one, `FileError`.
    func create() throws -> SigningKey {
        guard access(path, F_OK) != 0 else {
            throw ValueProblem(
                "\(path) is there already",
                "show its public half with `planner operator show`, or choose another file with --operator-key")
        }
        let directory = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        guard directory.isEmpty || access(directory, W_OK) == 0 else {
            throw ValueProblem(
                "\(path) can't be written: there is no directory \(directory), or it isn't yours",
                "make it (install -d -m 700 \(directory)), or choose another file with --operator-key")
        }
        let seed = Entropy.bytes(SigningKey.seedCount)
        guard let key = SigningKey(seed: seed) else { throw ValueProblem("no key can be made", "try again") }
        try DurableFile(path: path).write(Array((Hex.encode(seed) + "\n").utf8))
        return key
    }
}

/// The option of commands that order something in the operator's name.
struct OperatorOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The file of the operator's key (POISE_OPERATOR_KEY; default \(OperatorKeyFile.usual)).", valueName: "file"
        ))
    var operatorKey: String?

    func file(_ settings: Settings) throws -> OperatorKeyFile {
        OperatorKeyFile(
            path: try settings.string("operator-key", flag: operatorKey, default: OperatorKeyFile.usual))
    }
}

/// Gives orders to the site in the operator's name, through this device's planner.
struct Orders {
    let client: LocalClient
    let key: SigningKey

    init(_ client: LocalClient, _ options: OperatorOptions, _ settings: Settings) throws {
        self.client = client
        key = try options.file(settings).read()
    }

    /// Signs and brings one order.
    /// - Throws: `Problem` as planner tells it, `ServiceUnreachable`.
    func send(_ act: Order.Act, for head: HeadView) async throws {
        let order = Order(genesis: head.genesis, sequence: WallClock.microseconds(), act: act)
        let signed = SignedOrder(order: order, signature: key.sign(order.signedBytes))
        let body = OrderRequest(order: Base64Bytes(signed.encoded))
        try await client.send("POST", "/orders", body: try JSON.encode(body))
    }
}

extension HeadView {
    /// - Throws: `ValueProblem` if `key` is not that of the site's operator.
    func check(_ key: SigningKey) throws(ValueProblem) {
        guard operatorKey == key.publicKey else {
            throw ValueProblem("this is not the operator's key of \(site)", "its public half should be \(operatorKey)")
        }
    }
}

/// The body of `POST /orders`.
struct OrderRequest: Codable, Sendable {
    /// The encoding of a signed order.
    var order: Base64Bytes
}

extension WallClock {
    /// Microseconds since 1970: no two orders of one operator are signed in the same one.
    static func microseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(max(0, time.tv_sec)) * 1_000_000 + UInt64(max(0, time.tv_nsec)) / 1_000
    }
}
