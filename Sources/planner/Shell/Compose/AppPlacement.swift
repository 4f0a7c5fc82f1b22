import Contracts

/// Where an app may run, as people write it: for Compose files and for flags alike.
enum AppPlacement {
    /// `node.labels.floor==2`
    static func constrain(_ text: String, _ app: inout AppSpecification) throws(ValueProblem) {
        do throws(PlacementConstraint.Fault) {
            try add(PlacementConstraint(parsing: text), to: &app)
        } catch {
            throw ValueProblem(error.what, error.remedy)
        }
        try checkCount(of: app)
    }

    /// The label `poise.pin`: the name of the only device that may run the app.
    static func pin(to name: String, _ app: inout AppSpecification) throws(ValueProblem) {
        guard AppSpecification.isValid(name: name) else {
            throw ValueProblem(
                "label `poise.pin` is `\(name.prefix(80))`",
                "write a device's name; `planner nodes` lists those there are")
        }
        add(PlacementConstraint(.hostname, name), to: &app)
        try checkCount(of: app)
    }

    /// `/dev/x`, `/dev/x:/dev/y` or `/dev/x:/dev/y:rw`
    static func device(_ text: String, _ app: inout AppSpecification) throws(ValueProblem) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard (1...3).contains(parts.count) else {
            throw ValueProblem(
                "`\(text.prefix(80))` is no device", "write /dev/x, /dev/x:/dev/y or /dev/x:/dev/y:rw")
        }
        let device = DeviceMapping(
            source: parts[0], target: parts.count > 1 ? parts[1] : nil, permissions: parts.count > 2 ? parts[2] : "rwm")
        guard DeviceMapping.isValid(source: device.source) else {
            throw ValueProblem(
                "device `\(text.prefix(80))` is no path under /dev/", "write /dev/x, /dev/x:/dev/y or /dev/x:/dev/y:rw")
        }
        guard DeviceMapping.isValid(target: device.target) else {
            throw ValueProblem(
                "device `\(text.prefix(80))` has no path in the container",
                "write an absolute path without `..`, as /dev/y")
        }
        guard DeviceMapping.isValid(permissions: device.permissions) else {
            throw ValueProblem(
                "device `\(text.prefix(80))` has the permissions `\(device.permissions.prefix(20))`",
                "write r, w and m (mknod), each once at most")
        }
        guard !app.devices.contains(where: { $0.target == device.target }) else {
            throw ValueProblem("two devices at `\(device.target)`", "keep one of them")
        }
        app.devices.append(device)
        guard app.devices.count <= DeviceMapping.limit else {
            throw ValueProblem("\(app.devices.count) devices", "an app has at most \(DeviceMapping.limit)")
        }
    }

    private static func add(_ constraint: PlacementConstraint, to app: inout AppSpecification) {
        if !app.constraints.contains(constraint) { app.constraints.append(constraint) }
    }

    private static func checkCount(of app: AppSpecification) throws(ValueProblem) {
        guard app.constraints.count <= PlacementConstraint.limit else {
            throw ValueProblem(
                "\(app.constraints.count) constraints", "an app has at most \(PlacementConstraint.limit)")
        }
    }
}
