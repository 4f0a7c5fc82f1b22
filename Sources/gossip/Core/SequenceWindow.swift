/// Which of a sender's last sequences were taken, so that none is taken twice (the window of RFC 4303, section
/// 3.4.3, at 1,024 numbers).
///
/// It begins with the first number it sees: what a sender sent before this node came up can't be told from news.
struct SequenceWindow: Sendable {
    enum Verdict { case fresh, replayed, stale }

    private static let words = Int(GossipLimits.sequenceWindow) / 64

    private var newest: UInt64?
    /// The bit of number n is bit `n % 64` of word `n / 64 % words`.
    private var taken = [UInt64](repeating: 0, count: Self.words)

    mutating func take(_ sequence: UInt64) -> Verdict {
        guard let newest else {
            self.newest = sequence
            mark(sequence)
            return .fresh
        }
        if sequence > newest {
            forget(from: newest, to: sequence)
            self.newest = sequence
            mark(sequence)
            return .fresh
        }
        guard newest - sequence < GossipLimits.sequenceWindow else { return .stale }
        guard taken[word(sequence)] & bit(sequence) == 0 else { return .replayed }
        mark(sequence)
        return .fresh
    }

    /// Clears the places of the numbers in `(old, new]`.
    private mutating func forget(from old: UInt64, to new: UInt64) {
        if new - old >= GossipLimits.sequenceWindow {
            taken = [UInt64](repeating: 0, count: Self.words)
            return
        }
        for sequence in (old + 1)...new { taken[word(sequence)] &= ~bit(sequence) }
    }

    private mutating func mark(_ sequence: UInt64) { taken[word(sequence)] |= bit(sequence) }
    private func word(_ sequence: UInt64) -> Int { Int(sequence / 64 % UInt64(Self.words)) }
    private func bit(_ sequence: UInt64) -> UInt64 { 1 << (sequence % 64) }
}
