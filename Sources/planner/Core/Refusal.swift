/// Why a block, a certificate or a transaction is not accepted. The reason is for machines: metrics count by it.
public struct Refusal: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Reason: String, Sendable, CaseIterable {
        // Form
        case undecodableBlock = "undecodable-block"
        case blockTooLarge = "block-too-large"
        // Header against the parent's state
        case anotherGenesis = "another-genesis"
        case wrongHeight = "wrong-height"
        case wrongParent = "wrong-parent"
        case wrongParentSignature = "wrong-parent-signature"
        case builderNotMember = "builder-not-a-member"
        case badBuilderSignature = "bad-builder-signature"
        case termBelowParent = "term-below-parent"
        case timeNotAfterParent = "time-not-after-parent"
        case timeTooFarAhead = "time-too-far-ahead"
        case badDraw = "bad-draw"
        case wrongBodyHash = "wrong-body-hash"
        case wrongPlan = "wrong-plan"
        case wrongMembersHash = "wrong-members-hash"
        case wrongStateRoot = "wrong-state-root"
        // Messages in the body
        case wrongMessageKind = "wrong-message-kind"
        case senderNotMember = "sender-not-a-member"
        case badMessageSignature = "bad-message-signature"
        case undecodableMessage = "undecodable-message"
        case messageTooLarge = "message-too-large"
        case replayedMessage = "replayed-message"
        case outOfOrder = "messages-out-of-order"
        case tooManyMessages = "too-many-messages"
        // Orders, and changes of members
        case badOrderSignature = "bad-order-signature"
        case replayedOrder = "replayed-order"
        case badParameters = "bad-parameters"
        case badInvitation = "bad-invitation"
        case invitationExpired = "invitation-expired"
        case invitationUsed = "invitation-used"
        case nameTaken = "name-taken"
        case alreadyMember = "already-a-member"
        case tooManyMembers = "too-many-members"
        case alreadyLeaving = "already-leaving"
        case lastMember = "last-member"
        case badEvidence = "bad-evidence"
        // Recoveries
        case badRecovery = "bad-recovery"
        case recoveryOfAnother = "recovery-of-another-block"
        // Transactions against the state
        case appExists = "app-exists"
        case emptySubmission = "empty-submission"
        case tooManyApps = "too-many-apps"
        case unknownNode = "unknown-node"
        case nodeUnfit = "node-unfit"
        case unknownApp = "unknown-app"
        case receiptWithoutEffect = "receipt-without-effect"
        // Certificates
        case certificateBelowQuorum = "certificate-below-quorum"
        case certificateOutOfOrder = "certificate-out-of-order"
        case certificateOfAStranger = "certificate-of-a-stranger"
        case badCertificateSignature = "bad-certificate-signature"
        case certificateForAnother = "certificate-for-another-block"
        // Snapshots
        case undecodableSnapshot = "undecodable-snapshot"
        case snapshotTooLarge = "snapshot-too-large"
        case snapshotOfAnotherBlock = "snapshot-of-another-block"
        case incompleteGenesis = "incomplete-genesis"
        case linkOutOfOrder = "link-out-of-order"
        // Fresh proposals only: what a node's own clock, feed and election say
        case notTheLeader = "not-the-leader"
        case notTheProposer = "not-the-proposer"
        case absenceContradicted = "absence-contradicted"
        case timeAheadOfClock = "time-ahead-of-clock"
        case timeBehindClock = "time-behind-clock"
        case transactionLeftOut = "transaction-left-out"
    }

    public var reason: Reason
    /// The particulars, for people.
    public var detail: String

    public init(_ reason: Reason, _ detail: String) {
        self.reason = reason
        self.detail = detail
    }

    public var description: String { "\(reason.rawValue): \(detail)" }
}
