import Yams

/// A condition on a value, and how a message says it.
struct ConfigurationLimit<Value> {
    let text: String
    let accepts: (Value) -> Bool
}

extension ConfigurationLimit<Double> {
    private static func spell(_ value: Double) -> String { value.node.scalar?.string ?? "\(value)" }

    /// x ≥ bound.
    static func atLeast(_ bound: Double) -> Self { Self(text: "at least \(spell(bound))") { $0 >= bound } }
    /// x > bound.
    static func above(_ bound: Double) -> Self { Self(text: "above \(spell(bound))") { $0 > bound } }
    /// low ≤ x ≤ high.
    static func between(_ low: Double, _ high: Double) -> Self {
        Self(text: "from \(spell(low)) to \(spell(high))") { $0 >= low && $0 <= high }
    }
    /// low ≤ x < high.
    static func from(_ low: Double, below high: Double) -> Self {
        Self(text: "at least \(spell(low)) and below \(spell(high))") { $0 >= low && $0 < high }
    }
    /// low < x ≤ high.
    static func above(_ low: Double, to high: Double) -> Self {
        Self(text: "above \(spell(low)) and at most \(spell(high))") { $0 > low && $0 <= high }
    }
}

/// One key of the schema: its path inside `Root`, its documentation, and how it is read and written.
struct ConfigurationField<Root> {
    /// Dotted path from the root.
    let path: String
    /// Type and limits, as a message asks for them.
    let expectation: String
    /// What the key means, one sentence or two.
    let meaning: String
    /// Text for the default in the reference where it is not the value of a fresh `Root`.
    let defaultText: String?
    /// Whether the key must be in the file.
    let isRequired: Bool
    /// Where the integers of the value lie, if it is made of integers.
    let integers: ClosedRange<Int>?
    /// Decodes the node into the root. `place` is the full path.
    let read: (inout Root, Node, _ tree: ConfigurationTree, _ place: String) throws -> Void
    /// The root's value as YAML.
    let write: (Root) -> Node

    /// A key for a stored property, with what else a value sets (`then`), such as defaults of later keys.
    static func key<Value: ConfigurationValue>(
        _ path: String, _ property: WritableKeyPath<Root, Value>, limit: ConfigurationLimit<Value>? = nil,
        isRequired: Bool = false, defaultText: String? = nil, _ meaning: String,
        then: ((inout Root) -> Void)? = nil
    ) -> Self {
        let expectation = Value.expectation + (limit.map { " " + $0.text } ?? "")
        return Self(
            path: path, expectation: expectation, meaning: meaning, defaultText: defaultText, isRequired: isRequired,
            integers: nil,
            read: { root, node, tree, place in
                guard let value = Value(node: node), limit?.accepts(value) ?? true else {
                    throw tree.error(place, found: node.summary, expected: expectation)
                }
                root[keyPath: property] = value
                then?(&root)
            },
            write: { $0[keyPath: property].node })
    }

    /// A key for a stored property made of integers.
    static func key<Value: ConfigurationInteger>(
        _ path: String, _ property: WritableKeyPath<Root, Value>, in range: ClosedRange<Int>,
        defaultText: String? = nil, _ meaning: String
    ) -> Self {
        let expectation = Value.expectation(in: range)
        return Self(
            path: path, expectation: expectation, meaning: meaning, defaultText: defaultText, isRequired: false,
            integers: range,
            read: { root, node, tree, place in
                guard let value = Value(node: node, in: range) else {
                    throw tree.error(place, found: node.summary, expected: expectation)
                }
                root[keyPath: property] = value
            },
            write: { $0[keyPath: property].node })
    }

    /// A key for a list whose items have keys of their own.
    static func list<Item>(
        _ path: String, _ property: WritableKeyPath<Root, [Item]>, of fields: [ConfigurationField<Item>],
        empty: Item, _ meaning: String
    ) -> Self {
        let expectation = "a list of mappings"
        return Self(
            path: path, expectation: expectation, meaning: meaning, defaultText: nil, isRequired: true,
            integers: nil,
            read: { root, node, tree, place in
                guard let items = node.sequence else {
                    throw tree.error(place, found: node.summary, expected: expectation)
                }
                root[keyPath: property] = try items.enumerated().map { index, item in
                    var value = empty
                    try tree.decode(fields, into: &value, at: item, prefix: "\(place).\(index).")
                    return value
                }
            },
            write: { root in
                Node(root[keyPath: property].map { ConfigurationTree.encode(fields, of: $0) }, .implicit, .block)
            })
    }
}
