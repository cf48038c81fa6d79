import AdaShareSchema
import AdaShareSupport
import Yams

/// The keys of a published file as they are read: which have been, and which are left.
struct PublishedKeys {
    let tree: ConfigurationTree
    private var taken: Set<String> = []

    init(_ tree: ConfigurationTree) { self.tree = tree }

    /// What stands at a dotted path; nil for nothing.
    func node(_ path: String) -> Node? {
        var place: Node? = tree.root
        for name in path.split(separator: ".") {
            place = place?.mapping?.first { $0.key.scalar?.string == String(name) }?.value
        }
        return place?.isNull == true ? nil : place
    }

    /// What stands there, which then is not left.
    mutating func take(_ path: String) -> Node? {
        taken.insert(path)
        return node(path)
    }

    mutating func take<Value>(
        _ path: String, _ expected: String, _ read: (Node) -> Value?
    ) throws -> Value? {
        guard let node = take(path) else { return nil }
        guard let value = read(node) else { throw tree.error(path, found: node.summary, expected: expected) }
        return value
    }

    mutating func number(_ path: String) throws -> Double? { try take(path, "a number") { Double(node: $0) } }

    mutating func integer(_ path: String, in range: ClosedRange<Int> = .fromZero) throws -> Int? {
        try take(path, Int.expectation(in: range)) { Int(node: $0, in: range) }
    }

    mutating func word(_ path: String) throws -> String? { try take(path, "a text") { $0.scalar?.string } }

    mutating func words(_ path: String) throws -> [String]? {
        try take(path, "a list of texts") { node in
            let words = (node.sequence ?? []).compactMap { $0.scalar?.string }
            return words.isEmpty || words.count != node.sequence?.count ? nil : words
        }
    }

    /// A list with a number for each task.
    mutating func numbers(_ path: String, count: Int) throws -> [Double]? {
        try take(path, "\(count) numbers, one for each task") { node in
            let values = (node.sequence ?? []).compactMap { Double(node: $0) }
            return values.count == count && node.sequence?.count == count ? values : nil
        }
    }

    /// A list with a number of outputs for each task.
    mutating func integers(_ path: String, count: Int) throws -> [Int]? {
        try take(path, "\(count) numbers, one for each task, each \(Int.expectation(in: .fromOne))") { node in
            let values = (node.sequence ?? []).compactMap { Int(node: $0, in: .fromOne) }
            return values.count == count && node.sequence?.count == count ? values : nil
        }
    }

    /// Python's True is true here.
    mutating func flag(_ path: String) throws -> Bool? {
        try take(path, "True or False") { node in
            switch node.plain?.lowercased() {
            case "true": true
            case "false": false
            default: nil
            }
        }
    }

    /// A value without which there is no translation.
    func required<Value>(_ path: String, _ value: Value?, _ expected: String) throws -> Value {
        guard let value else { throw tree.error(path, found: "nothing", expected: expected) }
        return value
    }

    /// Paths that nobody has taken, in the file's order; of a section that is taken as a whole, none.
    var left: [String] {
        func paths(_ node: Node, _ prefix: String) -> [String] {
            (node.mapping ?? [:]).flatMap { key, value -> [String] in
                let path = prefix + (key.scalar?.string ?? key.summary)
                if taken.contains(path) { return [] }
                guard value.mapping != nil else { return [path] }
                return paths(value, path + ".")
            }
        }
        return paths(tree.root, "")
    }
}
