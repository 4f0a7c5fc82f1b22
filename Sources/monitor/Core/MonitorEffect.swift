import Contracts

public enum MonitorEffect: Hashable, Sendable {
    public enum Severity: Sendable { case info, warning }

    /// Read the engine and answer with ``MonitorEvent/sampled(_:)`` or ``MonitorEvent/failed(_:reason:)``.
    case sample(describingEngine: Bool)
    /// The newest state matrix, for everyone who follows.
    case publish(LoadMatrix)
    /// The matrix published last is no longer to be given to anyone: nothing is better than stale.
    case withdraw
    /// Fire ``MonitorEvent/due(now:)`` after so many milliseconds. There is one timer.
    case arm(afterMilliseconds: Int64)
    /// An attempt to take a sample failed.
    case countFailure(SampleFault)
    /// Labels of one container were not followed; said once for each container and fault.
    case countLabel(LabelFault)
    /// So many figures of this sample are absent that could have been there.
    case countFigures(FigureFault, Int)
    case log(Severity, String)
}

/// Why no sample could be taken.
public enum SampleFault: String, Hashable, Sendable, CaseIterable {
    /// Nobody answers on the engine's socket.
    case unreachable
    case timeout
    /// The exchange began and didn't end.
    case broken
    /// The engine answered with an error.
    case refused
    /// The engine's answer isn't what it documents.
    case malformed
    /// The device's totals aren't known.
    case unmeasurable
}

/// Why a container's labels are not followed.
public enum LabelFault: String, Hashable, Sendable, CaseIterable {
    case app
    case service
    case incarnation
    /// Both an app and a service.
    case contradiction
    /// Another running container has the same name and a higher claim.
    case duplicate
    /// The state matrix has no room for it.
    case surplus
}

/// Why a container's figures are absent though the engine has them as a rule.
public enum FigureFault: String, Hashable, Sendable, CaseIterable {
    /// A counter went backwards: the container was restarted or restored.
    case reset
    /// More than the device has.
    case implausible
    /// The engine listed the container and didn't answer for it.
    case unread
}
