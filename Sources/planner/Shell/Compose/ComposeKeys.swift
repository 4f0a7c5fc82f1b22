/// What to say of the keys that Poise doesn't keep. A key that is dropped in silence would start an app that isn't
/// the one described, so each is an error.
enum ComposeKeys {
    static let service = [
        "command", "cpus", "deploy", "devices", "entrypoint", "environment", "hostname", "image", "labels", "mem_limit",
        "ports",
        "restart", "tmpfs", "user", "volumes", "working_dir",
    ]
    static let top = ["name", "services", "version", "volumes"]

    /// - Parameter known: the keys that are kept there.
    static func remedy(for key: String, known: [String]) -> String {
        if let advice = advice[key] { return advice }
        if let close = known.first(where: { distance(key, $0) <= 2 }) { return "did you mean `\(close)`?" }
        return "remove it; what is kept here: \(known.joined(separator: ", "))"
    }

    private static let advice: [String: String] = [
        "build": "build the image and name it with `image:`",
        "container_name": "remove it; a container is named after its app, which is the service's key",
        "depends_on": "remove it; apps start independently and may move, so let each retry until the other answers",
        "networks": "remove it; an app has its device's bridge network, and is reached by published `ports:`",
        "network_mode": "remove it; an app has its device's bridge network, and is reached by published `ports:`",
        "healthcheck": "remove it; the image's own health check still runs",
        "env_file": "write the variables under `environment:`; the file isn't on the devices",
        "secrets": "put the file on each device and mount it under `volumes:`, or use `environment:`",
        "configs": "put the file on each device and mount it under `volumes:`",
        "privileged": "remove it; apps run without the host's privileges so that they can be moved",
        "devices": "write it as the service's own `devices:`",
        "placement": "write it under `deploy:`",
        "constraints": "write it under `deploy:`, `placement:`",
        "preferences": "remove it; the site spreads apps by what they use",
        "node": "write `deploy: {placement: {constraints: [node.hostname==NAME]}}`, or the label `poise.pin`",
        "scale": "submit one service for each copy, each with a name of its own",
        "replicas": "submit one service for each copy, each with a name of its own",
        "extends": "write the service out, or use a YAML anchor (`<<: *name`)",
        "include": "submit each file by itself",
        "profiles": "remove it; every service of the file is submitted",
        "platform": "name an image for the devices' architecture",
        "expose": "remove it, or publish the port under `ports:`",
        "links": "remove it; an app is reached by published `ports:`",
        "init": "use an image whose first process reaps its children",
        "logging": "remove it; logs are kept as the device's engine is set to",
        "reservations": "use `limits:`; apps are placed by what they are measured to use",
    ]

    /// The number of single-character edits between two keys (Levenshtein).
    private static func distance(_ a: String, _ b: String) -> Int {
        let a = Array(a.utf8.prefix(32))
        let b = Array(b.utf8.prefix(32))
        var row = Array(0...b.count)
        for i in 0..<a.count {
            var diagonal = row[0]
            row[0] = i + 1
            for j in 0..<b.count {
                let replaced = diagonal + (a[i] == b[j] ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(replaced, row[j] + 1, row[j + 1] + 1)
            }
        }
        return row[b.count]
    }
}
