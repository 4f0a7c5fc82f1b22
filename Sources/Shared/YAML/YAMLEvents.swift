import CYAML

/// libyaml's parser as a pull of Swift values.
final class YAMLEvents {
    enum Kind {
        case documentStart
        case scalar(String, quoted: Bool)
        case alias(String)
        case listStart, listEnd
        case mapStart, mapEnd
        case end
        case other
    }

    struct Event {
        var kind: Kind
        var anchor: String?
        /// From 1.
        var line: Int
    }

    // On the heap: libyaml keeps a pointer from the parser to itself and one to the input.
    private let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
    private let input: UnsafeMutableBufferPointer<UInt8>

    init(_ bytes: [UInt8]) throws(YAMLProblem) {
        input = .allocate(capacity: bytes.count)
        _ = input.initialize(from: bytes)
        guard yaml_parser_initialize(parser) == 1 else {
            input.deallocate()
            parser.deallocate()
            throw YAMLProblem(line: 0, reason: "there is no memory for a YAML parser")
        }
        yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
        yaml_parser_set_input_string(parser, input.baseAddress, input.count)
    }

    deinit {
        yaml_parser_delete(parser)
        parser.deallocate()
        input.deallocate()
    }

    func next() throws(YAMLProblem) -> Event {
        var event = yaml_event_t()
        guard yaml_parser_parse(parser, &event) == 1 else { throw problem }
        defer { yaml_event_delete(&event) }
        let line = Int(event.start_mark.line) + 1
        switch event.type {
        case YAML_NO_EVENT, YAML_STREAM_END_EVENT: return Event(kind: .end, line: line)
        case YAML_DOCUMENT_START_EVENT: return Event(kind: .documentStart, line: line)
        case YAML_ALIAS_EVENT:
            return Event(kind: .alias(text(event.data.alias.anchor) ?? ""), line: line)
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            try refuse(tag: scalar.tag, line: line)
            let bytes = UnsafeBufferPointer(start: scalar.value, count: scalar.length)
            return Event(
                kind: .scalar(
                    String(decoding: bytes, as: UTF8.self), quoted: scalar.style != YAML_PLAIN_SCALAR_STYLE),
                anchor: text(scalar.anchor), line: line)
        case YAML_SEQUENCE_START_EVENT:
            try refuse(tag: event.data.sequence_start.tag, line: line)
            return Event(kind: .listStart, anchor: text(event.data.sequence_start.anchor), line: line)
        case YAML_SEQUENCE_END_EVENT: return Event(kind: .listEnd, line: line)
        case YAML_MAPPING_START_EVENT:
            try refuse(tag: event.data.mapping_start.tag, line: line)
            return Event(kind: .mapStart, anchor: text(event.data.mapping_start.anchor), line: line)
        case YAML_MAPPING_END_EVENT: return Event(kind: .mapEnd, line: line)
        default: return Event(kind: .other, line: line)
        }
    }

    private func refuse(tag: UnsafeMutablePointer<yaml_char_t>?, line: Int) throws(YAMLProblem) {
        guard let tag = text(tag) else { return }
        throw YAMLProblem(line: line, reason: "the tag `\(tag)` isn't supported; write the value without it")
    }

    private func text(_ pointer: UnsafeMutablePointer<yaml_char_t>?) -> String? {
        pointer.map { String(cString: $0) }
    }

    private var problem: YAMLProblem {
        let parser = parser.pointee
        let reason = parser.problem.map { String(cString: $0) } ?? "it isn't YAML"
        let context = parser.context.map { String(cString: $0) + ": " } ?? ""
        return YAMLProblem(line: Int(parser.problem_mark.line) + 1, reason: context + reason)
    }
}
