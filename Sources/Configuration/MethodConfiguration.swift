import AdaShareMethods

/// How the network is trained: `method` in the file.
public struct MethodConfiguration: Sendable {
    /// Which method.
    public var kind: String
    /// The keys of each method, by its kind, whichever is chosen.
    public private(set) var methods: [String: any Method]

    /// Creates the defaults.
    public init(_ kinds: MethodKinds = .standard) {
        kind = kinds.all[0].kind
        methods = Dictionary(uniqueKeysWithValues: kinds.all.map { ($0.kind, $0.init()) })
    }

    /// The chosen method with its keys.
    public var method: any Method {
        guard let method = methods[kind] else { preconditionFailure("no method \(kind)") }
        return method
    }

    /// The keys of one method; its defaults where this configuration does not know it.
    public subscript<Kind: Method>(_ type: Kind.Type) -> Kind {
        get { methods[Kind.kind] as? Kind ?? Kind() }
        set { methods[Kind.kind] = newValue }
    }

    /// Makes the paths among the keys absolute.
    public mutating func resolve(_ absolute: (String) -> String) {
        methods = methods.mapValues { $0.resolved(absolute) }
    }
}

/// What is minimised: `objective` in the file.
public struct ObjectiveConfiguration: Sendable {
    /// Which objective.
    public var kind: String
    /// The keys of each objective, by its kind, whichever is chosen.
    public private(set) var objectives: [String: any Objective]

    /// Creates the defaults.
    public init(_ kinds: ObjectiveKinds = .standard) {
        kind = kinds.all[0].kind
        objectives = Dictionary(uniqueKeysWithValues: kinds.all.map { ($0.kind, $0.init()) })
    }

    /// The chosen objective with its keys.
    public var objective: any Objective {
        guard let objective = objectives[kind] else { preconditionFailure("no objective \(kind)") }
        return objective
    }

    /// The keys of one objective; its defaults where this configuration does not know it.
    public subscript<Kind: Objective>(_ type: Kind.Type) -> Kind {
        get { objectives[Kind.kind] as? Kind ?? Kind() }
        set { objectives[Kind.kind] = newValue }
    }
}
