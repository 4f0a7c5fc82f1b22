import Glibc
import Transport

/// The address by which others on the network reach this device.
enum OwnAddress {
    /// The local address from which `peer` would be reached, as the routing table has it. Nothing is sent: a UDP
    /// socket's connect only chooses the route.
    ///
    /// - Returns: nil if the peer's name can't be resolved or there is no route, as before the network is up.
    static func towards(_ peer: Endpoint) -> String? {
        guard case .tcp(let host, let port) = peer else { return nil }
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, String(port), &hints, &found) == 0, let found else { return nil }
        defer { freeaddrinfo(found) }
        let handle = socket(found.pointee.ai_family, Int32(SOCK_DGRAM.rawValue), 0)
        guard handle >= 0 else { return nil }
        defer { close(handle) }
        guard connect(handle, found.pointee.ai_addr, found.pointee.ai_addrlen) == 0 else { return nil }
        var local = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        let status = withUnsafeMutablePointer(to: &local) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                guard getsockname(handle, address, &length) == 0 else { return Int32(-1) }
                return getnameinfo(address, length, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
            }
        }
        guard status == 0 else { return nil }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
