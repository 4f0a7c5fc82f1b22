/// The apps of a site by name.
///
/// The records lie side by side, for plans go through all of them in every block: going through a dictionary of values as large
/// as these copies each of them, which takes longer than planning. Their order is that of arrival until one is
/// removed, when the last takes its place. It differs between nodes that have come to a state by different ways, so no
/// decision may depend on it.
public struct AppTable: Sendable, Equatable, ExpressibleByDictionaryLiteral {
    public private(set) var values: ContiguousArray<AppRecord> = []
    private var places: [String: Int] = [:]

    public init() {}

    /// - Precondition: each name once.
    public init(dictionaryLiteral elements: (String, AppRecord)...) {
        for (name, record) in elements { self[name] = record }
    }

    public var count: Int { values.count }
    public var isEmpty: Bool { values.isEmpty }

    /// In ascending order.
    public var names: [String] { places.keys.sorted() }

    /// In ascending order of name.
    public var ascending: [AppRecord] { names.compactMap { self[$0] } }

    public subscript(name: String) -> AppRecord? {
        get { places[name].map { values[$0] } }
        set {
            guard let newValue else { return remove(name) }
            if let place = places[name] {
                values[place] = newValue
            } else {
                places[name] = values.count
                values.append(newValue)
            }
        }
    }

    private mutating func remove(_ name: String) {
        guard let place = places.removeValue(forKey: name) else { return }
        let last = values.removeLast()
        guard place < values.count else { return }
        values[place] = last
        places[last.name] = place
    }

    public static func == (a: AppTable, b: AppTable) -> Bool {
        a.count == b.count && a.values.allSatisfy { b[$0.name] == $0 }
    }
}
