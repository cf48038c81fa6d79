import Yams

/// A condition on a value, and how a message says it.
public struct ConfigurationLimit<Value> {
    /// Such as "above 0".
    public let text: String
    /// Whether a value meets it.
    public let accepts: (Value) -> Bool

    /// Creates a condition; messages say `text` after the type.
    public init(text: String, accepts: @escaping (Value) -> Bool) {
        self.text = text
        self.accepts = accepts
    }
}

extension ConfigurationLimit<Double> {
    private static func spell(_ value: Double) -> String { value.node.scalar?.string ?? "\(value)" }

    /// x ≥ bound.
    public static func atLeast(_ bound: Double) -> Self { Self(text: "at least \(spell(bound))") { $0 >= bound } }
    /// x > bound.
    public static func above(_ bound: Double) -> Self { Self(text: "above \(spell(bound))") { $0 > bound } }
    /// low ≤ x ≤ high.
    public static func between(_ low: Double, _ high: Double) -> Self {
        Self(text: "from \(spell(low)) to \(spell(high))") { $0 >= low && $0 <= high }
    }
    /// low ≤ x < high.
    public static func from(_ low: Double, below high: Double) -> Self {
        Self(text: "at least \(spell(low)) and below \(spell(high))") { $0 >= low && $0 < high }
    }
    /// low < x ≤ high.
    public static func above(_ low: Double, to high: Double) -> Self {
        Self(text: "above \(spell(low)) and at most \(spell(high))") { $0 > low && $0 <= high }
    }
}

/// What a run that has begun allows of a key.
public enum KeyChange: Sendable, Equatable {
    /// Another value would have changed what is computed already.
    case refused
    /// Any value: it changes no number.
    case free
    /// A length of a phase: another one while that is not over, and more of the last one.
    case longer
}

/// One key of a configuration: its path inside `Root`, its documentation, and how it is read and written.
///
/// What its closures hold is made with them and never changes.
public struct ConfigurationField<Root>: @unchecked Sendable {
    /// Dotted path from the root.
    package let path: String
    /// Type and limits, as a message asks for them.
    package let expectation: String
    /// What the key means, one sentence or two.
    package let meaning: String
    /// Text for the default in the reference where it is not the value of a fresh `Root`.
    package var defaultText: String?
    /// Whether the key must be in the file.
    package var isRequired = false
    /// Where the integers of the value lie, if it is made of integers.
    package var integers: ClosedRange<Int>?
    /// What a run that has begun allows of it.
    package var change = KeyChange.refused
    /// Keys of the items, where the value is a list of mappings, for the reference.
    package var items: [(path: String, expectation: String, defaultText: String, meaning: String)] = []
    /// Decodes the node into the root. `place` is the full path.
    package let read: (inout Root, Node, _ tree: ConfigurationTree, _ place: String) throws -> Void
    /// The root's value as YAML; nil leaves the key out of resolved files.
    package let write: (Root) -> Node?

    /// A key for a stored property, with what else a value sets (`then`), such as defaults of later keys.
    public static func key<Value: ConfigurationValue>(
        _ path: String, _ property: WritableKeyPath<Root, Value>, limit: ConfigurationLimit<Value>? = nil,
        isRequired: Bool = false, defaultText: String? = nil, _ meaning: String,
        then: ((inout Root) -> Void)? = nil
    ) -> Self {
        let expectation = Value.expectation + (limit.map { " " + $0.text } ?? "")
        return Self(
            path: path, expectation: expectation, meaning: meaning, defaultText: defaultText, isRequired: isRequired,
            read: { root, node, tree, place in
                guard let value = Value(node: node), limit?.accepts(value) ?? true else {
                    throw tree.error(place, node, expected: expectation) {
                        Value(node: $0).map { limit?.accepts($0) ?? true } ?? false
                    }
                }
                root[keyPath: property] = value
                then?(&root)
            },
            write: { $0[keyPath: property].node })
    }

    /// A key for a stored property made of integers.
    public static func key<Value: ConfigurationInteger>(
        _ path: String, _ property: WritableKeyPath<Root, Value>, in range: ClosedRange<Int>,
        defaultText: String? = nil, _ meaning: String
    ) -> Self {
        let expectation = Value.expectation(in: range)
        return Self(
            path: path, expectation: expectation, meaning: meaning, defaultText: defaultText, integers: range,
            read: { root, node, tree, place in
                guard let value = Value(node: node, in: range) else {
                    throw tree.error(place, node, expected: expectation) { Value(node: $0, in: range) != nil }
                }
                root[keyPath: property] = value
            },
            write: { $0[keyPath: property].node })
    }

    /// A key whose value is one of a few words that are known only at run time, such as the names in a registry.
    ///
    /// - Parameters:
    ///   - path: the key, relative to the root, with dots between levels.
    ///   - words: what may stand there; messages list them.
    ///   - isRequired: whether a file must have the key.
    ///   - defaultText: what the reference says that the value is without the key; nil for that of a fresh root.
    ///   - meaning: what the key does, for the reference.
    ///   - word: the root's present one; nil leaves the key out of resolved files.
    ///   - choose: sets one of the words.
    public static func choice(
        _ path: String, of words: [String], isRequired: Bool = false, defaultText: String? = nil, _ meaning: String,
        word: @escaping (Root) -> String?, choose: @escaping (inout Root, String) -> Void
    ) -> Self {
        let expectation = "one of " + words.joined(separator: ", ")
        return Self(
            path: path, expectation: expectation, meaning: meaning, defaultText: defaultText, isRequired: isRequired,
            read: { root, node, tree, place in
                // A resolved file says null where nothing was chosen.
                if node.isNull, !isRequired { return }
                guard let found = node.scalar?.string, words.contains(found) else {
                    throw tree.error(place, found: node.summary, expected: expectation)
                }
                choose(&root, found)
            },
            write: { word($0).map { Node($0) } })
    }

    /// A key for a list whose items have keys of their own.
    public static func list<Item>(
        _ path: String, _ property: WritableKeyPath<Root, [Item]>, of fields: [ConfigurationField<Item>],
        empty: Item, isRequired: Bool = true, _ meaning: String
    ) -> Self {
        let expectation = "a list of mappings"
        return Self(
            path: path, expectation: expectation, meaning: meaning, defaultText: "[]", isRequired: isRequired,
            items: fields.map { field in
                (
                    field.path, field.expectation,
                    field.isRequired ? "required" : field.defaultText ?? field.defaultLeaf(of: empty), field.meaning
                )
            },
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

    /// The same key, which a run that has begun lets change.
    ///
    /// - Parameter change: what it allows.
    public func allowing(_ change: KeyChange) -> Self {
        var field = self
        field.change = change
        return field
    }

    /// The value of a fresh root as YAML.
    package func defaultLeaf(of root: Root) -> String {
        write(root).flatMap { ConfigurationTree.leaves(of: $0).first?.1 } ?? ""
    }

    /// The same key of something that is a part of a larger whole.
    ///
    /// - Parameters:
    ///   - prefix: stands before the path.
    ///   - part: the part as it is; nil where this whole has none, and the key is then left out of resolved files.
    ///   - set: puts a changed part back.
    ///   - meaning: of this key of the whole, if that is another one.
    package func lifted<Whole>(
        _ prefix: String, part: @escaping (Whole) -> Root?, empty: @escaping () -> Root,
        isWritten: @escaping (Whole) -> Bool, set: @escaping (inout Whole, Root) -> Void, meaning: String? = nil
    ) -> ConfigurationField<Whole> {
        ConfigurationField<Whole>(
            path: prefix + path, expectation: expectation, meaning: meaning ?? self.meaning,
            defaultText: defaultText ?? defaultLeaf(of: empty()), isRequired: isRequired, integers: integers,
            change: change, items: items,
            read: { whole, node, tree, place in
                var root = part(whole) ?? empty()
                try read(&root, node, tree, place)
                set(&whole, root)
            },
            write: { whole in
                guard isWritten(whole), let root = part(whole) else { return nil }
                return write(root)
            })
    }
}
