import Contracts
import Identity

/// How an app's containers are called and labelled on every device.
enum ContainerNames {
    static let appLabel = "poise.app"
    static let incarnationLabel = "poise.incarnation"
    static let specificationLabel = "poise.spec"
    static let siteLabel = "poise.site"
    static let isolatedLabel = "poise.isolated"
    static let asidePrefix = "poise-superseded-"

    static func placed(_ app: String) -> String { "poise-app-\(app)" }
    static func setAside(_ app: String, _ incarnation: UInt64) -> String { "\(asidePrefix)\(app)-\(incarnation)" }
}

extension DockerBlueprint {
    /// The container of an app. Docker is never to start it again by itself: after a checkpoint that would make a
    /// second copy.
    ///
    /// - Parameter image: the image's ID, where that is known better than by the specification's name.
    init(_ specification: AppSpecification, incarnation: UInt64, site: String, image: String? = nil) {
        Image = image ?? specification.image
        Hostname = specification.hostname ?? specification.name
        Entrypoint = specification.entrypoint
        Cmd = specification.command
        Env = specification.environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        User = specification.user
        WorkingDir = specification.workingDirectory
        Labels = specification.labels
        Labels[ContainerNames.appLabel] = specification.name
        Labels[ContainerNames.incarnationLabel] = "\(incarnation)"
        Labels[ContainerNames.siteLabel] = site
        Labels[ContainerNames.isolatedLabel] = specification.isolated.rawValue
        Labels[ContainerNames.specificationLabel] =
            Digest(of: specification.encoded, domain: "poise/specification/2").description
        let app = specification.name
        let host = HostSettings(
            NanoCpus: specification.cpuMillicores.map { Int64($0) * 1_000_000 },
            Memory: specification.memoryBytes.map(Int64.init),
            PortBindings: Dictionary(
                grouping: specification.ports, by: { "\($0.target)/\($0.transport)" }
            ).mapValues { ports in ports.map { PortBinding(HostPort: "\($0.published)") } },
            Mounts: specification.volumes.map { volume in
                Mount(
                    Type: volume.kind.rawValue, Source: volume.kind == .tmpfs ? nil : volume.source,
                    Target: volume.target, ReadOnly: volume.readOnly,
                    VolumeOptions: volume.kind == .volume
                        ? Mount.VolumeOptions(Labels: [ContainerNames.appLabel: app, ContainerNames.siteLabel: site])
                        : nil)
            },
            Devices: specification.devices.map {
                Device(PathOnHost: $0.source, PathInContainer: $0.target, CgroupPermissions: $0.permissions)
            })
        HostConfig = host
        ExposedPorts = host.PortBindings.mapValues { _ in Empty() }
    }
}
