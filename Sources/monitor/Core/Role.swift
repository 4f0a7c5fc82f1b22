import Contracts

/// What a container is to Poise, by its labels.
enum Role: Hashable {
    /// `poise.app`: to be placed and moved.
    case app(name: String, incarnation: UInt64)
    /// `poise.service`: one of Poise's own.
    case service(name: String)
    /// Part of the device's load and nothing else.
    case other

    static let appLabel = "poise.app"
    static let incarnationLabel = "poise.incarnation"
    static let serviceLabel = "poise.service"

    /// - Throws: ``LabelError``, if the labels contradict themselves or are out of range.
    init(labels: [String: String]) throws(LabelError) {
        switch (labels[Self.appLabel], labels[Self.serviceLabel]) {
        case (nil, nil):
            self = .other
        case (_?, _?):
            throw LabelError(
                .contradiction, "is labelled both \(Self.appLabel) and \(Self.serviceLabel); remove one of them")
        case (let name?, nil):
            guard AppSpecification.isValid(name: name) else { throw Self.invalid(.app, Self.appLabel, name) }
            self = .app(name: name, incarnation: try Self.incarnation(labels[Self.incarnationLabel]))
        case (nil, let name?):
            guard AppSpecification.isValid(name: name) else { throw Self.invalid(.service, Self.serviceLabel, name) }
            self = .service(name: name)
        }
    }

    private static func incarnation(_ text: String?) throws(LabelError) -> UInt64 {
        guard let text else { return 0 }
        // UInt64 alone would also take a leading +.
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt64(text) else {
            throw LabelError(
                .incarnation,
                "has the label \(incarnationLabel)=\(quoted(text)); it must be a number from 0 to \(UInt64.max)")
        }
        return number
    }

    private static func invalid(_ fault: LabelFault, _ label: String, _ name: String) -> LabelError {
        LabelError(
            fault,
            """
            has the label \(label)=\(quoted(name)); it must be 1 to \(AppSpecification.nameLimit) of a-z 0-9 - _ . \
            and begin with a letter or digit
            """)
    }
}

/// Labels that are not followed, with the reason for people.
struct LabelError: Error, Hashable {
    var fault: LabelFault
    /// Continues a sentence that begins with the container.
    var reason: String

    init(_ fault: LabelFault, _ reason: String) {
        self.fault = fault
        self.reason = reason
    }
}

/// A text from outside, short and with its control characters escaped, as fits into a line of a log.
func quoted(_ text: String) -> String {
    let limit = 80
    let start = String(text.unicodeScalars.prefix(limit))
    return start.debugDescription + (text.unicodeScalars.dropFirst(limit).isEmpty ? "" : "…")
}
