import Datasets
import Models
import Operators
import Yams

/// A value that a key of the configuration can have.
protocol ConfigurationValue {
    /// What a message asks for, such as "an integer".
    static var expectation: String { get }
    /// Decodes the value; `nil` if the node is of another type.
    init?(node: Node)
    /// The value as YAML.
    var node: Node { get }
}

/// A value made of integers. A key that has one says from where to where they go, so that no sum, product or count of
/// bytes made of them overflows later: without limits there is no way to declare one.
protocol ConfigurationInteger {
    /// What a message asks for, such as "an integer from 1 to 9".
    static func expectation(in range: ClosedRange<Int>) -> String
    /// Decodes the value; `nil` if the node is of another type or out of range.
    init?(node: Node, in range: ClosedRange<Int>)
    /// The value as YAML.
    var node: Node { get }
}

extension ClosedRange<Int> {
    /// Iterations and the like: a few of them can be added, two of them multiplied.
    static var fromZero: Self { 0...Int(Int32.max) }
    /// The same, at least one.
    static var fromOne: Self { 1...Int(Int32.max) }
    /// Seeds, with which nothing is computed but random numbers.
    static var seeds: Self { 0...Int.max }

    fileprivate var text: String { "from \(lowerBound) to \(upperBound)" }
}

/// A value that is one of a few words.
protocol ConfigurationChoice: ConfigurationValue, CaseIterable, RawRepresentable where RawValue == String {}

extension ConfigurationChoice {
    static var expectation: String { "one of " + allCases.map(\.rawValue).joined(separator: ", ") }
    init?(node: Node) {
        guard let word = node.scalar?.string else { return nil }
        self.init(rawValue: word)
    }
    var node: Node { Node(rawValue) }
}

extension BackboneKind: ConfigurationChoice {}
extension HeadKind: ConfigurationChoice {}
extension ModelPrecision: ConfigurationChoice {}
extension RegulariserForm: ConfigurationChoice {}
extension CostForm: ConfigurationChoice {}
extension AugmentationKind: ConfigurationChoice {}
extension SceneClasses: ConfigurationChoice {}

extension Int: ConfigurationInteger {
    static func expectation(in range: ClosedRange<Int>) -> String { "an integer \(range.text)" }
    init?(node: Node, in range: ClosedRange<Int>) {
        guard let value = node.plain.flatMap({ Int($0) }), range.contains(value) else { return nil }
        self = value
    }
    var node: Node { Node(String(self)) }
}

extension Double: ConfigurationValue {
    static var expectation: String { "a number" }
    init?(node: Node) {
        guard let text = node.plain, let value = Double(text), value.isFinite else { return nil }
        self = value
    }
    /// A whole number is written without ".0".
    var node: Node { Node(Int(exactly: self).map(String.init) ?? "\(self)") }
}

extension Bool: ConfigurationValue {
    static var expectation: String { "true or false" }
    init?(node: Node) {
        switch node.plain {
        case "true": self = true
        case "false": self = false
        default: return nil
        }
    }
    var node: Node { Node(self ? "true" : "false") }
}

extension String: ConfigurationValue {
    static var expectation: String {
        "a text (in quotes if it looks like a number or is a word such as yes, no, on, off, y, n)"
    }
    init?(node: Node) {
        guard let scalar = node.scalar else { return nil }
        if let plain = node.plain, Double(plain) != nil || Self.words.contains(plain.lowercased()) { return nil }
        self = scalar.string
    }
    var node: Node {
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
    static var expectation: String { "a list, each " + Element.expectation + "," }
    init?(node: Node) {
        guard let items = node.sequence else { return nil }
        let values = items.compactMap { Element(node: $0) }
        guard values.count == items.count else { return nil }
        self = values
    }
    var node: Node { Node(map(\.node), .implicit, .flow) }
}

extension Optional: ConfigurationValue where Wrapped: ConfigurationValue {
    static var expectation: String { Wrapped.expectation }
    init?(node: Node) {
        if node.isNull {
            self = Self.none
        } else {
            guard let value = Wrapped(node: node) else { return nil }
            self = .some(value)
        }
    }
    var node: Node { self?.node ?? Node("null") }
}

extension Optional: ConfigurationInteger where Wrapped: ConfigurationInteger {
    static func expectation(in range: ClosedRange<Int>) -> String { Wrapped.expectation(in: range) }
    init?(node: Node, in range: ClosedRange<Int>) {
        if node.isNull {
            self = Self.none
        } else {
            guard let value = Wrapped(node: node, in: range) else { return nil }
            self = .some(value)
        }
    }
    var node: Node { self?.node ?? Node("null") }
}

extension ImageSize: ConfigurationInteger {
    static func expectation(in range: ClosedRange<Int>) -> String {
        "[height, width] or one number, in pixels \(range.text)"
    }
    init?(node: Node, in range: ClosedRange<Int>) {
        if let side = Int(node: node, in: range) {
            self.init(height: side, width: side)
        } else {
            guard let items = node.sequence, items.count == 2, let height = Int(node: items[0], in: range),
                let width = Int(node: items[1], in: range)
            else { return nil }
            self.init(height: height, width: width)
        }
    }
    var node: Node { Node([height.node, width.node], .implicit, .flow) }
}

extension ClassWeights: ConfigurationValue {
    static var expectation: String { "a list of numbers of at least 0, the path of a file, or null" }
    init?(node: Node) {
        if node.isNull {
            self = .equal
        } else if let items = node.sequence {
            let values = items.compactMap { Double(node: $0) }
            guard values.count == items.count, values.allSatisfy({ $0 >= 0 }) else { return nil }
            self = .values(values)
        } else {
            guard let path = String(node: node), !path.isEmpty else { return nil }
            self = .file(path)
        }
    }
    var node: Node {
        switch self {
        case .equal: Node("null")
        case .values(let values): Node(values.map(\.node), .implicit, .flow)
        case .file(let path): path.node
        }
    }
}

extension AlternationLength: ConfigurationInteger {
    static func expectation(in range: ClosedRange<Int>) -> String { "epoch, or a number of iterations \(range.text)" }
    init?(node: Node, in range: ClosedRange<Int>) {
        if node.plain == "epoch" {
            self = .epoch
        } else {
            guard let count = Int(node: node, in: range) else { return nil }
            self = .iterations(count)
        }
    }
    var node: Node {
        switch self {
        case .epoch: Node("epoch")
        case .iterations(let count): count.node
        }
    }
}

extension Node {
    /// A mapping without keys.
    static var emptyMapping: Node { .mapping(Mapping([])) }

    /// The text of an unquoted scalar.
    var plain: String? {
        guard let scalar, scalar.style == .plain || scalar.style == .any else { return nil }
        return scalar.string
    }

    /// Whether this is YAML's null.
    var isNull: Bool {
        guard let plain else { return false }
        return plain.isEmpty || plain == "~" || plain.lowercased() == "null"
    }

    /// What a message says was found.
    var summary: String {
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
