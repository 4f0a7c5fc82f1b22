import CSodium

/// libsodium, told once to choose the fastest code that this processor can run.
enum Sodium {
    private static let ready = sodium_init() >= 0

    /// Call before any other function of libsodium.
    static func prepare() { precondition(ready, "libsodium can't be initialised") }
}
