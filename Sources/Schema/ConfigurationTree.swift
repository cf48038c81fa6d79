import AdaShareSupport
import Yams

/// The YAML tree of a configuration, with the overrides applied, and the walk that decodes it by a list of fields.
package struct ConfigurationTree {
    /// Name of the file in errors.
    package let file: String
    /// The root mapping.
    package private(set) var root: Node
    /// Options by the path that they set.
    private var options: [String: String] = [:]

    /// Parses the text and applies the `path=value` overrides.
    ///
    /// - Parameter abbreviated: sections by path that may be one word, and the key whose value that word then is.
    package init(yaml: String, file: String, overrides: [String], abbreviated: [String: String] = [:]) throws {
        self.file = file
        root = try Self.compose(yaml, file: file, place: nil) ?? .emptyMapping
        if root.isNull { root = .emptyMapping }
        expand(abbreviated)
        for override in overrides {
            let before = options
            try apply(override)
            expand(abbreviated)
            // One word chooses the kind; what other options have said of the section stays.
            for (name, kind) in abbreviated where override.hasPrefix("\(name)=") && isOnly(kind, in: name) {
                for (path, option) in before.sorted(by: { $0.key < $1.key })
                where path.hasPrefix("\(name).") && path != "\(name).\(kind)" { try apply(option) }
            }
        }
    }

    private func isOnly(_ key: String, in section: String) -> Bool {
        let value = Self.find(section, in: root)
        return value?.mapping?.count == 1 && value?.mapping?.first?.key.scalar?.string == key
    }

    /// Writes out sections that are one word.
    private mutating func expand(_ abbreviated: [String: String]) {
        for (section, key) in abbreviated {
            guard let value = Self.find(section, in: root), value.scalar != nil, !value.isNull else { continue }
            root = Self.replacing(section.split(separator: ".")[...], in: root) { Node([(Node(key), $0)]) }
        }
    }

    /// What stands at a dotted path.
    private static func find(_ path: String, in node: Node) -> Node? {
        path.split(separator: ".").reduce(Node?.some(node)) { node, name in
            node?.mapping?.first { $0.key.scalar?.string == String(name) }?.value
        }
    }

    private static func replacing(_ path: ArraySlice<Substring>, in node: Node, _ change: (Node) -> Node) -> Node {
        guard let name = path.first, let mapping = node.mapping else { return change(node) }
        return Node(
            mapping.map { key, value in
                (key, key.scalar?.string == String(name) ? replacing(path.dropFirst(), in: value, change) : value)
            })
    }

    /// An error at a key; a value from an override is blamed on the option, not on the file.
    package func error(_ path: String, found: String, expected: String) -> InputError {
        InputError(file: source(of: path), place: path, found: found, expected: expected)
    }

    /// An error at a value that is not accepted; of a list the first element that is not, where others are.
    ///
    /// - Parameter accepts: whether a value would be.
    package func error(
        _ path: String, _ node: Node, expected: String, accepts: (Node) -> Bool
    ) -> InputError {
        guard let items = node.sequence, !items.isEmpty else {
            return error(path, found: node.summary, expected: expected)
        }
        let wrong = items.indices.filter { !accepts(Node([items[$0]], .implicit, .flow)) }
        guard let first = wrong.first, wrong.count < items.count else {
            return error(path, found: node.summary, expected: expected)
        }
        return error(
            path, found: "\(items[first].summary) as element \(first) of \(items.count), from 0", expected: expected)
    }

    private func source(of path: String) -> String {
        let option = options.first { path == $0.key || path.hasPrefix($0.key + ".") }
        return option.map { "--set \($0.value)" } ?? file
    }

    // MARK: - Decoding

    /// Reads every field that the mapping `node` holds and refuses keys that no field knows.
    package func decode<Root>(
        _ fields: [ConfigurationField<Root>], into root: inout Root, at node: Node, prefix: String
    ) throws {
        try refuseUnknown(paths: fields.map(\.path), at: node, prefix: prefix, section: "")
        let places = Self.places(in: node)
        for field in fields {
            if let place = places[field.path] {
                try field.read(&root, place, self, prefix + field.path)
            } else if field.isRequired {
                throw error(prefix + field.path, found: "nothing", expected: field.expectation)
            }
        }
    }

    /// What stands at every dotted path, found in one walk: fields are many.
    private static func places(in node: Node) -> [String: Node] {
        var places: [String: Node] = [:]
        func add(_ node: Node, below path: String) {
            guard let mapping = node.mapping else { return }
            for (key, value) in mapping {
                guard let name = key.scalar?.string, !name.contains(".") else { continue }
                places[path + name] = places[path + name] ?? value
                add(value, below: path + name + ".")
            }
        }
        add(node, below: "")
        return places
    }

    private func refuseUnknown(paths: [String], at node: Node, prefix: String, section: String) throws {
        if node.isNull && !(prefix + section).isEmpty { return }
        let known = orderedUnique(
            paths.filter { $0.hasPrefix(section) }.map {
                String($0.dropFirst(section.count).prefix { $0 != "." })
            })
        guard let mapping = node.mapping else {
            let path = String((prefix + section).dropLast())
            throw InputError(
                file: path.isEmpty ? file : source(of: path), place: path.isEmpty ? nil : path, found: node.summary,
                expected: "a mapping with the keys " + known.joined(separator: ", "))
        }
        for (key, value) in mapping {
            let name = key.scalar?.string ?? key.summary
            let path = section + name
            if paths.contains(path) { continue }
            if known.contains(name) {
                try refuseUnknown(paths: paths, at: value, prefix: prefix, section: path + ".")
                continue
            }
            let sibling = nearest(to: name, in: known) ?? ""
            // The same word in another section is a misplaced key, unless a misspelt sibling is as likely.
            let elsewhere = paths.first { $0.split(separator: ".").last.map(String.init) == name }
            let near = editDistance(name, sibling) <= 2 ? section + sibling : elsewhere ?? section + sibling
            throw error(
                prefix + path, found: "an unknown key", expected: "a known one; the nearest is \(prefix)\(near)")
        }
    }

    private func orderedUnique(_ names: [String]) -> [String] {
        var seen: Set<String> = []
        return names.filter { seen.insert($0).inserted }
    }

    // MARK: - Encoding

    /// The root's values as nested mappings, in the order of the fields.
    package static func encode<Root>(_ fields: [ConfigurationField<Root>], of root: Root) -> Node {
        fields.reduce(into: .emptyMapping) { tree, field in
            guard let value = field.write(root) else { return }
            insert(value, at: field.path.split(separator: ".").map(String.init)[...], into: &tree)
        }
    }

    /// Puts a value at a path, below mappings that are made where there are none.
    package static func insert(_ value: Node, at path: ArraySlice<String>, into tree: inout Node) {
        guard let name = path.first else {
            tree = value
            return
        }
        var pairs = (tree.mapping ?? [:]).map { ($0.key, $0.value) }
        let index = pairs.firstIndex { $0.0.scalar?.string == name } ?? pairs.count
        if index == pairs.count { pairs.append((Node(name), .emptyMapping)) }
        insert(value, at: path.dropFirst(), into: &pairs[index].1)
        tree = Node(pairs)
    }

    /// All scalars and flow lists with their dotted paths, in order.
    package static func leaves(of node: Node, path: String = "") -> [(String, String)] {
        func join(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }
        switch node {
        case .mapping(let mapping):
            return mapping.flatMap { leaves(of: $0.value, path: join($0.key.scalar?.string ?? "")) }
        case .sequence(let items) where items.style == .block:
            return items.enumerated().flatMap { leaves(of: $1, path: join(String($0))) }
        case .sequence(let items):
            return [(path, "[" + items.map { $0.scalar?.string ?? "" }.joined(separator: ", ") + "]")]
        case .scalar(let scalar): return [(path, scalar.string)]
        case .alias: return []
        }
    }
}

// MARK: - Overrides

extension ConfigurationTree {
    /// Of a file: no configuration is as long.
    private static let mostBytes = 1 << 22
    /// Parts of a path: far more than any key has, few enough for the stack.
    private static let maximumDepth = 32

    /// Applies one `path=value`; the value is YAML.
    private mutating func apply(_ option: String) throws {
        let parts = option.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let names = parts[0].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, names.allSatisfy({ !$0.isEmpty }) else {
            throw InputError(
                file: "--set \(option)", found: "'\(option)'", expected: "path=value, such as training.batch=8")
        }
        guard names.count <= Self.maximumDepth else {
            throw InputError(
                file: "--set", found: "a path of \(names.count) parts", expected: "at most \(Self.maximumDepth)")
        }
        options[parts[0]] = option
        let value = try Self.compose(parts[1], file: "--set \(option)", place: parts[0]) ?? Node("")
        try set(value, at: names[...], path: parts[0], in: &root)
    }

    private func set(_ value: Node, at names: ArraySlice<String>, path: String, in node: inout Node) throws {
        guard let name = names.first else {
            node = value
            return
        }
        if var items = node.sequence {
            guard let index = Int(name), items.indices.contains(index) else {
                throw error(path, found: "'\(name)'", expected: "an index of a list of \(items.count), from 0")
            }
            try set(value, at: names.dropFirst(), path: path, in: &items[index])
            node = .sequence(items)
        } else if node.mapping != nil || node.isNull {
            var pairs = (node.mapping ?? [:]).map { ($0.key, $0.value) }
            let index = pairs.firstIndex { $0.0.scalar?.string == name } ?? pairs.count
            if index == pairs.count { pairs.append((Node(name), Node(""))) }
            try set(value, at: names.dropFirst(), path: path, in: &pairs[index].1)
            node = Node(pairs)
        } else {
            throw error(path, found: "\(node.summary) above '\(name)'", expected: "a mapping or a list there")
        }
    }

    /// Parses YAML; its errors become one line.
    private static func compose(_ text: String, file: String, place: String?) throws -> Node? {
        func refuse(_ found: String, _ expected: String) -> InputError {
            InputError(file: file, place: place, found: found, expected: expected)
        }
        guard text.utf8.count <= Self.mostBytes else {
            throw refuse("\(text.utf8.count) bytes of YAML", "at most \(Self.mostBytes)")
        }
        if let fault = Aliases.fault(in: text) { throw refuse("many aliases and \(fault)", Aliases.expected) }
        do {
            // Keys say what their values are; what YAML takes them for is asked of nobody, and takes long to find out.
            guard let root = try Yams.compose(yaml: text, .basic) else { return nil }
            guard !Aliases.areTooMany(in: root) else { throw refuse("more values", Aliases.expected) }
            return root.merged
        } catch let error as YamlError {
            throw InputError(
                file: file, place: place, found: "invalid YAML (\(summary(of: error)))", expected: "valid YAML")
        }
    }

    private static func summary(of error: YamlError) -> String {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            return "line \(mark.line): \(problem)"
        case .duplicatedKeysInMapping(let names, let context):
            return "line \(context.mark.line): \(names.joined(separator: ", ")) given twice"
        case .reader(let problem, _, _, _): return problem
        default: return "unreadable"
        }
    }
}
