import AdaShareSupport

/// One of the kinds of something that a section of a configuration chooses from by its key `kind`.
public protocol ConfigurationKind: Sendable {
    /// The word in `kind`.
    static var kind: String { get }
    /// What it is, one clause for the reference.
    static var meaning: String { get }
    /// Its own keys, relative to the section.
    static var fields: [ConfigurationField<Self>] { get }
    /// The defaults of its keys.
    init()
}

extension ConfigurationKind {
    public static var fields: [ConfigurationField<Self>] { [] }

    /// Its own keys, relative to the section.
    package static var keys: [String] { fields.map(\.path) }
    /// Those that differ from their defaults.
    package var changedKeys: [String] { Self.fields.filter { $0.write(self) != $0.write(Self()) }.map(\.path) }
}

/// A section that chooses one kind of `Part`, such as `any Method`, with the keys of every kind, whichever is chosen.
public struct ChosenKind<Part>: Sendable {
    /// Which one.
    public var kind: String
    /// In the order of the reference.
    private let order: [String]
    private var parts: [String: any ConfigurationKind]

    /// Creates the defaults; the first kind is chosen.
    ///
    /// - Precondition: there is one; each is a `Part`, and their words differ.
    public init(_ kinds: [any ConfigurationKind.Type]) {
        order = kinds.map { $0.kind }
        kind = order[0]
        parts = Dictionary(uniqueKeysWithValues: kinds.map { ($0.kind, $0.init()) })
    }

    /// The chosen one with its keys.
    public var chosen: Part {
        guard let part = parts[kind] as? Part else { preconditionFailure("no kind \(kind)") }
        return part
    }

    /// The keys of one kind; its defaults where this section does not know it.
    public subscript<Kind: ConfigurationKind>(_ type: Kind.Type) -> Kind {
        get { parts[Kind.kind] as? Kind ?? Kind() }
        set { parts[Kind.kind] = newValue }
    }

    /// The chosen one with changed keys.
    ///
    /// - Precondition: it stays of its kind.
    package mutating func choose(_ part: any ConfigurationKind) { parts[kind] = part }

    /// Refuses keys of kinds that are not chosen, which would be without effect.
    ///
    /// - Parameter section: in the file, such as `method`.
    /// - Throws: `InputError` naming the key.
    package func refuseIdleKeys(section: String, file: String) throws {
        let known = parts[kind].map { type(of: $0).keys } ?? []
        for other in order where other != kind {
            guard let key = parts[other]?.changedKeys.first(where: { !known.contains($0) }) else { continue }
            throw InputError(
                file: file, place: "\(section).\(key)",
                found: "a key that is without effect with \(section).kind \(kind)", expected: "no such key")
        }
    }
}

extension ConfigurationField {
    /// The keys of a section that chooses a kind: `kind`, then those of every kind; resolved files have those of the
    /// chosen one.
    ///
    /// - Parameters:
    ///   - section: its path.
    ///   - property: where the root has it.
    ///   - kinds: that it chooses from.
    ///   - meaning: of the choice; what each kind is follows.
    ///   - more: said after that.
    package static func kinds<Part>(
        _ section: String, _ property: WritableKeyPath<Root, ChosenKind<Part>>, of kinds: [any ConfigurationKind.Type],
        _ meaning: String, more: String
    ) -> [ConfigurationField<Root>] {
        let choice = ConfigurationField<Root>.choice(
            "\(section).kind", of: kinds.map { $0.kind }, defaultText: kinds[0].kind,
            meaning + ": " + kinds.map { "`\($0.kind)`, \($0.meaning)" }.joined(separator: "; ") + ". " + more
                + "`\(section): KIND` is short for it.",
            word: { $0[keyPath: property].kind }, choose: { $0[keyPath: property].kind = $1 })
        func own<Kind: ConfigurationKind>(_ type: Kind.Type) -> [ConfigurationField<Root>] {
            Kind.fields.map { field in
                field.lifted(
                    "\(section).", part: { $0[keyPath: property][Kind.self] }, empty: { Kind() },
                    isWritten: { $0[keyPath: property].kind == Kind.kind },
                    set: { $0[keyPath: property][Kind.self] = $1 })
            }
        }
        // Kinds may have a key in common, of one meaning.
        return kinds.flatMap { own($0) }.reduce(into: [choice]) { fields, field in
            if let known = fields.firstIndex(where: { $0.path == field.path }) {
                fields[known] = fields[known].together(with: field)
            } else {
                fields.append(field)
            }
        }
    }

    /// One key of several parts of a root: read into each, and written by the first that is.
    ///
    /// - Precondition: it is the same key of both.
    private func together(with other: Self) -> Self {
        precondition(
            (path, expectation, defaultText) == (other.path, other.expectation, other.defaultText),
            "\(path) is two different keys")
        return Self(
            path: path, expectation: expectation, meaning: meaning, defaultText: defaultText, isRequired: isRequired,
            integers: integers, change: change, items: items,
            read: { root, node, tree, place in
                try read(&root, node, tree, place)
                try other.read(&root, node, tree, place)
            },
            write: { write($0) ?? other.write($0) })
    }
}
