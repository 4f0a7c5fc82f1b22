import Glibc

/// The seeds of a sweep. `POISE_SEEDS=20 swift test` sweeps twenty times as many.
func seeds(_ count: UInt64) -> Range<UInt64> {
    let factor = getenv("POISE_SEEDS").flatMap { UInt64(String(cString: $0)) } ?? 1
    return 0..<count * max(1, min(factor, 10_000))
}
