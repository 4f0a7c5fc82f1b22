/// Deviations from the rules, by which simulations show that their judge notices them. A service has none.
package struct Deviation: OptionSet, Sendable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Prevotes heed neither lockedValue nor lockedRound.
    package static let noLock = Deviation(rawValue: 1 << 0)
    /// One vote fewer decides.
    package static let quorumOffByOne = Deviation(rawValue: 1 << 1)
    /// A block's plan is believed.
    package static let planNotRecomputed = Deviation(rawValue: 1 << 2)
    /// A certificate is believed, whoever signed it.
    package static let wrongCertificate = Deviation(rawValue: 1 << 3)
    /// What a block's transactions say in others' names is believed.
    package static let ordersBelieved = Deviation(rawValue: 1 << 4)
}
