import Contracts
import Glibc
import MigratorCore
import Runtime
import Transport

/// The journal on disk.
struct JournalStore: Sendable {
    private let file: DurableFile

    init(stateDirectory: String) { file = DurableFile(path: "\(stateDirectory)/journal.json") }

    /// - Throws: ``SettingError`` if it can't be understood. Acting without it could double an app.
    func read() throws -> Journal {
        guard let bytes = try file.read() else { return Journal() }
        do { return try JSON.decode(Journal.self, from: bytes) } catch {
            let reason = (error as? DecodingError)?.place ?? "\(error)"
            throw SettingError(
                "the journal \(file.path) can't be read (\(reason)). Moves under way are written in it: look at "
                    + "`docker ps -a` for copies of apps before you move it away and start again")
        }
    }

    func write(_ journal: Journal) throws { try file.write(try JSON.encode(journal)) }
}

/// The time between two starts of the engine.
enum Boot {
    /// The system's own name of its run, and the age of Docker's socket, which Docker makes anew when it starts.
    static func name(dockerSocket: String) throws -> String {
        let bytes = try DurableFile(path: "/proc/sys/kernel/random/boot_id").read() ?? []
        let system = String(decoding: bytes, as: UTF8.self).split(separator: "\n").first ?? ""
        var status = stat()
        guard stat(dockerSocket, &status) == 0 else { throw FileError("look at Docker's socket", dockerSocket) }
        return "\(system)/\(status.st_ino)/\(status.st_mtim.tv_sec)"
    }
}
