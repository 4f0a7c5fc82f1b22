/// What the engine `etcd` asks of the site's etcd: one call of its version 3 interface.
public struct StoreCall: Hashable, Sendable {
    public enum Request: Hashable, Sendable {
        /// A lease of so many seconds: LeaseGrant. → ``StoreReply/lease(_:seconds:)``
        case grant(seconds: Int64)
        /// LeaseKeepAlive. → ``StoreReply/lease(_:seconds:)``; 0 seconds if it has expired.
        case keepAlive(lease: Int64)
        /// In one transaction: puts the value under the key, bound to the lease, if there is no such key; else reads it.
        /// → ``StoreReply/entry(_:)``
        case campaign(key: String, value: [UInt8], lease: Int64)
        /// A linearizable read. → ``StoreReply/entry(_:)``
        case read(key: String)
        /// LeaseRevoke, which removes what is bound to it. → ``StoreReply/done``, also if there is no such lease.
        case revoke(lease: Int64)
        /// Removes the key if it was created by this revision. → ``StoreReply/done``, also if it wasn't.
        case remove(key: String, createRevision: UInt64)
    }

    /// Tells two askings of the same request apart: an answer counts from when it was asked for, and may come after
    /// the request was made again.
    public var number: UInt64
    public var request: Request

    public init(number: UInt64, _ request: Request) {
        self.number = number
        self.request = request
    }
}

public enum StoreReply: Hashable, Sendable {
    case lease(Int64, seconds: Int64)
    /// nil: there is no such key.
    case entry(StoreEntry?)
    case done
}

/// A key's value with the revision that created it: of two holders of a key, the later has the higher one.
public struct StoreEntry: Hashable, Sendable {
    public var value: [UInt8]
    public var createRevision: UInt64
    /// The lease with which the entry ends; 0 if it is bound to none.
    public var lease: Int64

    public init(value: [UInt8], createRevision: UInt64, lease: Int64) {
        self.value = value
        self.createRevision = createRevision
        self.lease = lease
    }
}
