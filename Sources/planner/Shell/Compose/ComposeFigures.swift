/// Sizes and processor shares as Compose writes them, in integers: what a site agrees on must not depend on rounding.
enum ComposeFigures {
    /// Docker refuses less.
    static let leastMemory = 6 << 20
    static let mostMemory = 1 << 50
    /// 1,024 cores.
    static let mostMillicores = 1_024_000

    /// Thousandths of a core from a decimal number of cores: `0.5`, `2`, `1.25`.
    static func millicores(_ text: String) throws(ValueProblem) -> Int {
        guard let number = Decimal(text), number.digits <= 3 else {
            throw ValueProblem(
                "`\(text)` is no number of cores",
                "write a decimal number with at most three digits after the point, as 0.5")
        }
        guard let millicores = number.times(1_000), (1...mostMillicores).contains(millicores) else {
            throw ValueProblem("`\(text)` cores are out of range", "allowed are 0.001 to \(mostMillicores / 1_000)")
        }
        return millicores
    }

    /// Bytes from a number with a unit of 1024: `512m`, `1.5g`, `64MB`, `1GiB`, `1073741824`.
    static func bytes(_ text: String) throws(ValueProblem) -> Int {
        let lower = text.lowercased()
        let digits = lower.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let units = ["": 0, "b": 0, "k": 10, "m": 20, "g": 30, "t": 40]
        var unit = lower.dropFirst(digits.count)
        for suffix in ["ib", "b"] where unit.count > suffix.count && unit.hasSuffix(suffix) {
            unit = unit.dropLast(suffix.count)
            break
        }
        guard let number = Decimal(String(digits)), let shift = units[String(unit)] else {
            throw ValueProblem("`\(text)` is no size", "write bytes, or a number with k, m or g, as 512m")
        }
        guard let bytes = number.times(1 << shift), (leastMemory...mostMemory).contains(bytes) else {
            throw ValueProblem("size `\(text)` is out of range", "allowed are 6m to 1024t")
        }
        return bytes
    }

    /// A decimal number as integers: `value` × 10^−`digits`.
    private struct Decimal {
        var value: Int
        var digits: Int

        /// - Returns: nil for what isn't digits with at most one point, or has more than 18 digits.
        init?(_ text: String) {
            let parts = text.split(separator: ".", omittingEmptySubsequences: false)
            guard (1...2).contains(parts.count) else { return nil }
            let all = parts.joined()
            guard (1...18).contains(all.utf8.count), all.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let value = Int(all)
            else { return nil }
            self.value = value
            digits = parts.count == 2 ? parts[1].utf8.count : 0
        }

        /// The product with `factor`, rounded down; nil if it is too large.
        func times(_ factor: Int) -> Int? {
            var divisor = 1
            for _ in 0..<digits { divisor *= 10 }
            let product = value.multipliedFullWidth(by: factor)
            guard product.high < divisor else { return nil }
            let (quotient, _) = divisor.dividingFullWidth(product)
            return quotient
        }
    }
}
