import Contracts
import Logging
import PlannerCore

/// Reads a stored chain from its genesis, or from the newest snapshot, to its last block, with one block in memory at a time.
enum ChainReplay {
    /// - Returns: nil if no genesis is stored or not all its members have signed it.
    /// - Throws: `StorageError` for what doesn't fit: the file was changed from outside, or by another version.
    static func chain(
        genesis: [UInt8]?, store: ChainStore, reader: ChainReader, log: Logger
    ) throws(StorageError) -> Chain? {
        guard let genesis else { return nil }
        let record: FoundingRecord
        do {
            record = try FoundingRecord(encoded: genesis)
        } catch {
            throw StorageError("the stored genesis can't be read: \(error)")
        }
        guard record.isComplete else { return nil }
        let isWhole = try reader.heights()?.lowerBound == 1
        if let snapshot = try store.snapshot() {
            do throws(ChainFault) {
                return try extend(try Chain(snapshot: snapshot.bytes, founding: record), reader)
            } catch {
                guard isWhole else { throw unusable(error) }
                log.warning("the stored snapshot can't be used: \(error); reading the whole chain")
            }
        }
        do throws(ChainFault) {
            return try extend(try Chain(genesis: genesis), reader)
        } catch {
            throw unusable(error)
        }
    }

    /// The chain up to and with the block of this height, for whoever only reads it.
    /// - Returns: nil if older blocks are gone, or that block isn't there yet.
    /// - Throws: `StorageError`, `ChainFault`.
    static func chain(upTo height: UInt64, _ reader: ChainReader) throws -> Chain? {
        guard let genesis = try reader.genesis() else { return nil }
        var chain = try Chain(genesis: genesis)
        if let snapshot = try reader.snapshot(), snapshot.height <= height {
            chain = try Chain(snapshot: snapshot.bytes, founding: chain.founding)
        }
        var next = chain.state.height + 1
        while next <= height, case let piece = try reader.blocks(from: next, limit: 64, bytes: 4 << 20), !piece.isEmpty
        {
            for block in piece where block.height <= height {
                guard block.height == chain.state.height + 1 else { return nil }
                try chain.append(block, trusting: true)
            }
            next = chain.state.height + 1
        }
        return chain.state.height == height ? chain : nil
    }

    private static func unusable(_ fault: ChainFault) -> StorageError {
        if fault.refusal?.reason == .recoveryOfAnother || fault.refusal?.reason == .anotherGenesis {
            return StorageError(
                "the operator has had the chain go on without this device's last blocks (\(fault)). To bring the device back, "
                    + PlannerMachine.wayBack)
        }
        return StorageError(
            "the stored chain doesn't hold: \(fault). Move the chain's files away and start again; the other nodes send the blocks"
        )
    }

    private static func extend(_ start: Chain, _ reader: ChainReader) throws(ChainFault) -> Chain {
        var chain = start
        do {
            try reader.forEachBlock(from: chain.state.height + 1) { block throws(StorageError) in
                do throws(ChainFault) {
                    try chain.append(block, trusting: true)
                } catch {
                    throw StorageError("\(error)")
                }
            }
        } catch {
            throw ChainFault(height: chain.state.height + 1, error.description)
        }
        return chain
    }
}
