import Glibc

/// A clock that only goes forward, also while the device is suspended; it means nothing on another device or after a reboot.
public enum MonotonicClock {
    public static func nowMilliseconds() -> Int64 { milliseconds(CLOCK_BOOTTIME) }
}

/// The time of day, which people and other devices can set wrong.
public enum WallClock {
    /// Milliseconds since 1970-01-01 UTC.
    public static func nowMilliseconds() -> Int64 { milliseconds(CLOCK_REALTIME) }
}

private func milliseconds(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
}

/// Randomness from the operating system: for keys, and for the seeds that cores are started with.
public enum Entropy {
    public static func bytes(_ count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }

    public static func seed() -> UInt64 {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }
}
