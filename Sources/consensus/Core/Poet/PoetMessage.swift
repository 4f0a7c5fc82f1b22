import Contracts

/// What engines of `poet` say to each other.
enum PoetMessage: ByteCodable, Hashable {
    /// The time that my draw for this height gave me is over: I lead.
    case claim(height: UInt64, VRFProof)

    func encode(to writer: inout ByteWriter) {
        switch self {
        case .claim(let height, let proof):
            writer.integer(UInt8(1))
            writer.integer(height)
            writer.value(proof)
        }
    }

    init(from reader: inout ByteReader) throws {
        switch try reader.integer(UInt8.self) {
        case 1: self = .claim(height: try reader.integer(), try reader.value())
        case let other: throw ByteCodingError.invalid(what: "the type of a poet message", value: "\(other)")
        }
    }
}
