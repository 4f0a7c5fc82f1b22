/// A service's core: a value that turns events into effects.
///
/// A core performs no input or output and reads no clock: time and seeds arrive in events or in its initial
/// state, and timers are effects. The same events in the same order therefore always give the same effects,
/// which is what the simulation replays.
///
/// Contract of whoever runs it: effects are performed in order, and an effect that persists is durable before
/// the next one starts. A core relies on this to vote only after it has remembered its vote.
public protocol StateMachine: Sendable {
    associatedtype Event: Sendable
    associatedtype Effect: Sendable

    /// Takes one event and says what must now be done, in order.
    mutating func step(_ event: Event) -> [Effect]
}
