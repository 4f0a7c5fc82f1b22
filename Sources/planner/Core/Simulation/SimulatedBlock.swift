/// What happened in one block of a simulation. Loads are in ppm of a node, over the nodes that are present.
public struct SimulatedBlock: Codable, Sendable, Equatable {
    public var block: Int
    public var arrived = 0
    public var admitted = 0
    public var completed = 0
    /// Apps that were not admitted yet, and admitted ones without a node, after the plan.
    public var waiting = 0
    public var pending = 0
    public var running = 0
    public var moves = 0
    /// Moves to the node that the app last moved away from.
    public var returns = 0
    /// The sum of the moved apps' demands.
    public var movedPpm = 0
    /// Nodes above 1,000,000.
    public var overloaded = 0
    public var sumPpm = 0
    /// Beyond 64 bits where failures leave few nodes with the apps of thousands.
    public var sumsqPpm2: UInt128 = 0
    public var minPpm = 0
    public var maxPpm = 0
    public var stdPpm = 0
    /// FNV-1a, 64 bits, over (app, node) of running apps in ascending order of app, each a little-endian u32.
    public var assignFnv64 = ""

    public static let header =
        "block,arrived,admitted,completed,waiting,pending,running,moves,returns,moved_ppm,overloaded,sum_ppm,sumsq_ppm2,min_ppm,max_ppm,std_ppm,assign_fnv64"

    public var line: String {
        let counts = [block, arrived, admitted, completed, waiting, pending, running, moves, returns]
        let loads = [minPpm, maxPpm, stdPpm]
        return (counts + [movedPpm, overloaded, sumPpm]).map(String.init).joined(separator: ",") + ",\(sumsqPpm2),"
            + loads.map(String.init).joined(separator: ",") + "," + assignFnv64
    }

    enum CodingKeys: String, CodingKey {
        case block, arrived, admitted, completed, waiting, pending, running, moves, returns, overloaded
        case movedPpm = "moved_ppm"
        case sumPpm = "sum_ppm"
        case sumsqPpm2 = "sumsq_ppm2"
        case minPpm = "min_ppm"
        case maxPpm = "max_ppm"
        case stdPpm = "std_ppm"
        case assignFnv64 = "assign_fnv64"
    }

    init(block: Int) { self.block = block }

    mutating func measure(_ loads: [Int64]) {
        let count = UInt128(loads.count)
        sumPpm = Int(loads.reduce(0, +))
        sumsqPpm2 = loads.reduce(0) { $0 + UInt128($1) * UInt128($1) }
        minPpm = Int(loads.min() ?? 0)
        maxPpm = Int(loads.max() ?? 0)
        overloaded = loads.count { $0 > 1_000_000 }
        guard count > 0 else { return }
        let spread = count * sumsqPpm2 - UInt128(sumPpm) * UInt128(sumPpm)
        stdPpm = Int(Self.squareRoot(spread) / count)
    }

    /// The largest number whose square is not above `value` (Newton's method in integers).
    static func squareRoot(_ value: UInt128) -> UInt128 {
        guard value > 1 else { return value }
        var root = UInt128(1) << ((128 - UInt128(value.leadingZeroBitCount) + 1) / 2)
        while true {
            let next = (root + value / root) / 2
            if next >= root { return root }
            root = next
        }
    }
}

/// One line of a simulation's plan.
public struct SimulatedStep: Codable, Sendable, Equatable {
    public enum Kind: String, Codable, Sendable {
        case place, move
        /// A move to the node that the app last moved away from.
        case `return`
    }

    public var block: Int
    public var kind: Kind
    public var app: Int
    /// nil for a placement.
    public var from: Int?
    public var to: Int

    public static let header = "block,kind,app,from,to"

    public var line: String { "\(block),\(kind.rawValue),\(app),\(from.map { "\($0)" } ?? ""),\(to)" }
}

/// FNV-1a with 64 bits (Fowler, Noll, Vo; RFC 9923).
struct FNV64 {
    private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

    mutating func add(_ number: UInt32) {
        for shift in stride(from: UInt32(0), to: 32, by: 8) {
            value = (value ^ UInt64(UInt8(truncatingIfNeeded: number >> shift))) &* 0x0000_0100_0000_01B3
        }
    }

    var text: String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
