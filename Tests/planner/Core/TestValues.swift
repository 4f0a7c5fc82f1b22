import Contracts

extension Capacity {
    static let test = Capacity(
        cpuMillicores: 2_000, ramBytes: 1 << 30, diskBytesPerSecond: 1 << 20, networkBytesPerSecond: 1 << 20)
}

extension Facts {
    static let test = Facts(
        architecture: "aarch64", kernel: "6.12", engineVersion: "28", storageDriver: "overlay2", checkpoints: true,
        pageSize: 4_096)
}

extension AppSpecification {
    static func test(_ name: String) -> AppSpecification { AppSpecification(name: name, image: "counter:1") }
}
