import Yams

/// A value that a key of the configuration can have.
public protocol ConfigurationValue {
    /// What a message asks for, such as "an integer".
    static var expectation: String { get }
    /// Decodes the value; `nil` if the node is of another type.
    init?(node: Node)
    /// The value as YAML.
    var node: Node { get }
}

/// A value made of integers. A key that has one says from where to where they go, so that no sum, product or count of
/// bytes made of them overflows later: without limits there is no way to declare one.
public protocol ConfigurationInteger {
    /// What a message asks for, such as "an integer from 1 to 9".
    static func expectation(in range: ClosedRange<Int>) -> String
    /// Decodes the value; `nil` if the node is of another type or out of range.
    init?(node: Node, in range: ClosedRange<Int>)
    /// The value as YAML.
    var node: Node { get }
}

extension ClosedRange<Int> {
    /// Iterations and the like: a few of them can be added, two of them multiplied.
    public static var fromZero: Self { 0...Int(Int32.max) }
    /// The same, at least one.
    public static var fromOne: Self { 1...Int(Int32.max) }
    /// Seeds, with which nothing is computed but random numbers.
    public static var seeds: Self { 0...Int.max }

    package var text: String { "from \(lowerBound) to \(upperBound)" }
}

/// A value that is one of a few words.
public protocol ConfigurationChoice: ConfigurationValue, CaseIterable, RawRepresentable where RawValue == String {}

extension ConfigurationChoice {
    public static var expectation: String { "one of " + allCases.map(\.rawValue).joined(separator: ", ") }
    public init?(node: Node) {
        guard let word = node.scalar?.string else { return nil }
        self.init(rawValue: word)
    }
    public var node: Node { Node(rawValue) }
}

extension Int: ConfigurationInteger {
    public static func expectation(in range: ClosedRange<Int>) -> String { "an integer \(range.text)" }
    public init?(node: Node, in range: ClosedRange<Int>) {
        guard let value = node.plain.flatMap({ Int($0) }), range.contains(value) else { return nil }
        self = value
    }
    public var node: Node { Node(String(self)) }
}

extension Double: ConfigurationValue {
    public static var expectation: String { "a number" }
    public init?(node: Node) {
        guard let text = node.plain, let value = Double(text), value.isFinite else { return nil }
        self = value
    }
    /// A whole number is written without ".0".
    public var node: Node { Node(Int(exactly: self).map(String.init) ?? "\(self)") }
}

extension Bool: ConfigurationValue {
    public static var expectation: String { "true or false" }
    public init?(node: Node) {
        switch node.plain {
        case "true": self = true
        case "false": self = false
        default: return nil
        }
    }
    public var node: Node { Node(self ? "true" : "false") }
}

extension String: ConfigurationValue {
    public static var expectation: String {
        "a text (in quotes if it looks like a number or is a word such as yes, no, on, off, y, n)"
    }
    public init?(node: Node) {
        guard let scalar = node.scalar else { return nil }
        if let plain = node.plain, Double(plain) != nil || Self.words.contains(plain.lowercased()) { return nil }
        self = scalar.string
    }
    public var node: Node {
        let isSafe = unicodeScalars.allSatisfy {
            $0.isASCII && ($0.properties.isAlphabetic || "0123456789_./-".unicodeScalars.contains($0))
        }
        let startsSafe =
            unicodeScalars.first.map { $0.properties.isAlphabetic || "_./".unicodeScalars.contains($0) } ?? false
        let isNumber = Double(self) != nil || Self.words.contains(lowercased())
        return Node(self, .implicit, isSafe && startsSafe && !isNumber ? .any : .doubleQuoted)
    }
    /// Plain words that YAML readers take for something else than text.
    private static let words: Set<String> = ["", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n"]
}

extension Array: ConfigurationValue where Element: ConfigurationValue {
    public static var expectation: String { "a list, each " + Element.expectation + "," }
    public init?(node: Node) {
        guard let items = node.sequence else { return nil }
        let values = items.compactMap { Element(node: $0) }
        guard values.count == items.count else { return nil }
        self = values
    }
    public var node: Node { Node(map(\.node), .implicit, .flow) }
}

extension Optional: ConfigurationValue where Wrapped: ConfigurationValue {
    public static var expectation: String { Wrapped.expectation }
    public init?(node: Node) {
        if node.isNull {
            self = Self.none
        } else {
            guard let value = Wrapped(node: node) else { return nil }
            self = .some(value)
        }
    }
    public var node: Node { self?.node ?? Node("null") }
}

extension Optional: ConfigurationInteger where Wrapped: ConfigurationInteger {
    public static func expectation(in range: ClosedRange<Int>) -> String { Wrapped.expectation(in: range) }
    public init?(node: Node, in range: ClosedRange<Int>) {
        if node.isNull {
            self = Self.none
        } else {
            guard let value = Wrapped(node: node, in: range) else { return nil }
            self = .some(value)
        }
    }
    public var node: Node { self?.node ?? Node("null") }
}

extension Node {
    /// A mapping without keys.
    package static var emptyMapping: Node { .mapping(Mapping([])) }

    /// The text of an unquoted scalar.
    package var plain: String? {
        guard let scalar, scalar.style == .plain || scalar.style == .any else { return nil }
        return scalar.string
    }

    /// Whether this is YAML's null.
    package var isNull: Bool {
        guard let plain else { return false }
        return plain.isEmpty || plain == "~" || plain.lowercased() == "null"
    }

    /// What a message says was found.
    package var summary: String {
        switch self {
        case .mapping: return "a mapping"
        case .sequence(let items):
            let scalars = items.compactMap { $0.scalar?.string }
            return scalars.count == items.count && items.count <= 4
                ? "[" + scalars.joined(separator: ", ") + "]" : "a list of \(items.count)"
        case .scalar(let scalar):
            if isNull { return "nothing" }
            let line = scalar.string.split(whereSeparator: \.isNewline).joined(separator: " ")
            let short = line.count > 60 ? line.prefix(60) + "…" : line[...]
            let isNumber = plain.flatMap(Double.init) != nil || plain == "true" || plain == "false"
            return isNumber ? String(short) : "'\(short)'"
        case .alias: return "an alias"
        }
    }
}
