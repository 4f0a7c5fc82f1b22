/// Moments as Docker writes them: `2026-05-01T12:00:00.123456789Z` (RFC 3339, nanoseconds).
enum RFC3339 {
    /// Nanoseconds since 1970-01-01 UTC.
    ///
    /// - Returns: nil for any other text, and for the zero time (year 1) by which Docker says that it has none.
    static func nanoseconds(_ text: String) -> Int64? {
        var input = Array(text.utf8)[...]
        guard let year = number(&input, digits: 4), take(&input, "-"), let month = number(&input, digits: 2),
            take(&input, "-"), let day = number(&input, digits: 2), take(&input, "T"),
            let hour = number(&input, digits: 2), take(&input, ":"), let minute = number(&input, digits: 2),
            take(&input, ":"), let second = number(&input, digits: 2),
            (1_970...2_261).contains(year), (1...12).contains(month), (1...31).contains(day),
            hour < 24, minute < 60, second <= 60, let fraction = fraction(&input), let offset = offset(&input),
            input.isEmpty
        else { return nil }
        let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute - offset) * 60 + second
        return seconds * 1_000_000_000 + fraction
    }

    private static func take(_ input: inout ArraySlice<UInt8>, _ character: Unicode.Scalar) -> Bool {
        guard input.first == UInt8(ascii: character) else { return false }
        input.removeFirst()
        return true
    }

    private static func number(_ input: inout ArraySlice<UInt8>, digits: Int) -> Int64? {
        let field = input.prefix(digits)
        guard field.count == digits, field.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        input = input.dropFirst(digits)
        return field.reduce(0) { $0 * 10 + Int64($1 - 0x30) }
    }

    /// Nanoseconds; 0 where no fraction is written.
    private static func fraction(_ input: inout ArraySlice<UInt8>) -> Int64? {
        guard take(&input, ".") else { return 0 }
        let digits = input.prefix { (0x30...0x39).contains($0) }
        guard (1...9).contains(digits.count) else { return nil }
        input = input.dropFirst(digits.count)
        return digits.reduce(Int64(0)) { $0 * 10 + Int64($1 - 0x30) } * power(10, 9 - digits.count)
    }

    /// Minutes east of UTC.
    private static func offset(_ input: inout ArraySlice<UInt8>) -> Int64? {
        if take(&input, "Z") { return 0 }
        let sign: Int64 = input.first == UInt8(ascii: "-") ? -1 : 1
        guard take(&input, "+") || take(&input, "-"), let hours = number(&input, digits: 2), take(&input, ":"),
            let minutes = number(&input, digits: 2)
        else { return nil }
        return sign * (hours * 60 + minutes)
    }

    private static func power(_ base: Int64, _ exponent: Int) -> Int64 {
        (0..<exponent).reduce(1) { product, _ in product * base }
    }

    /// Days since 1970-01-01 of the Gregorian calendar, counted in years that begin in March, so that the leap day
    /// is the last of its year.
    private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let marchYear = month > 2 ? year : year - 1
        let monthFromMarch = (month + 9) % 12
        let dayOfYear = (153 * monthFromMarch + 2) / 5 + day - 1
        return 365 * marchYear + marchYear / 4 - marchYear / 100 + marchYear / 400 + dayOfYear - 719_468
    }
}
