// What Docker's engine answers, as far as the migrator reads it. The names are the API's.

struct DockerContainerSummary: Decodable {
    struct Port: Decodable {
        var PublicPort: UInt16?
        var `Type`: String
    }

    var Id: String
    var Names: [String]
    var Labels: [String: String]
    var State: String
    var Status: String
    var Ports: [Port]?
}

struct DockerContainer: Decodable {
    struct State: Decodable {
        var Status: String
        var Running: Bool
        var Paused: Bool
        var ExitCode: Int
        var Error: String
    }

    struct Config: Decodable {
        var Labels: [String: String]?
    }

    struct GraphDriver: Decodable {
        var Name: String
        var Data: [String: String]?
    }

    struct Mount: Decodable {
        var `Type`: String
        var Name: String?
        var Source: String
        var Destination: String
        var Driver: String?
    }

    var Id: String
    var Name: String
    var State: State
    /// The ID of the image's configuration.
    var Image: String
    var Config: Config
    var GraphDriver: GraphDriver
    var Mounts: [Mount]
}

struct DockerImage: Decodable {
    struct RootFS: Decodable { var Layers: [String]? }
    var Id: String
    var RootFS: RootFS
    var Size: Int64?
}

struct DockerImageSummary: Decodable { var Id: String }

struct DockerVolume: Decodable {
    var Name: String
    var Driver: String
    var Labels: [String: String]?
    var Mountpoint: String
}

struct DockerVolumes: Decodable { var Volumes: [DockerVolume]? }

struct DockerCreated: Decodable { var Id: String }

struct DockerInfo: Decodable {
    var ServerVersion: String
    var Driver: String
    var DockerRootDir: String
    var ExperimentalBuild: Bool
    var SecurityOptions: [String]?
}

struct DockerVersion: Decodable {
    var Version: String
    var ApiVersion: String
}

/// A line of the streams that `/images/load` and `/images/create` answer: errors come in them with status 200.
struct DockerProgress: Decodable {
    struct Detail: Decodable { var message: String }
    var errorDetail: Detail?
    var error: String?
}

/// The body of `POST /containers/create`.
struct DockerBlueprint: Encodable {
    struct Empty: Encodable {}

    struct PortBinding: Encodable { var HostPort: String }

    struct Mount: Encodable {
        struct VolumeOptions: Encodable { var Labels: [String: String] }
        var `Type`: String
        var Source: String?
        var Target: String
        var ReadOnly: Bool
        var VolumeOptions: VolumeOptions?
    }

    struct RestartPolicy: Encodable { var Name = "no" }

    struct Device: Encodable {
        var PathOnHost: String
        var PathInContainer: String
        var CgroupPermissions: String
    }

    struct HostSettings: Encodable {
        var RestartPolicy = DockerBlueprint.RestartPolicy()
        var NanoCpus: Int64?
        var Memory: Int64?
        var PortBindings: [String: [PortBinding]]
        var Mounts: [Mount]
        var Devices: [Device]
    }

    var Image: String
    var Hostname: String
    var Entrypoint: [String]?
    var Cmd: [String]?
    var Env: [String]
    var Labels: [String: String]
    var User: String?
    var WorkingDir: String?
    var ExposedPorts: [String: Empty]
    var HostConfig: HostSettings
}
