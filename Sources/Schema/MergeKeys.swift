import Yams

extension Node {
    /// The same with the mappings that merge keys (`<<: *anchor`) name put in their place; keys that stand beside them
    /// come first, then those of the earlier mapping.
    ///
    /// - Precondition: not too many values, as `Aliases` knows.
    var merged: Node {
        switch self {
        case .mapping(let mapping):
            var pairs: [(Node, Node)] = []
            var others: [Node] = []
            for (key, value) in mapping {
                guard key.plain == "<<" else {
                    pairs.append((key, value.merged))
                    continue
                }
                others += value.merged.sequence.map(Array.init) ?? [value.merged]
            }
            guard !others.isEmpty else { return Node(pairs, mapping.tag, mapping.style) }
            guard others.allSatisfy({ $0.mapping != nil }) else {
                // Whoever reads the key names it.
                return Node(pairs + [(Node("<<"), others[0])], mapping.tag, mapping.style)
            }
            var known = Set(pairs.map(\.0.scalar?.string))
            for (key, value) in others.flatMap({ $0.mapping.map(Array.init) ?? [] })
            where known.insert(key.scalar?.string).inserted {
                pairs.append((key, value))
            }
            return Node(pairs, mapping.tag, mapping.style)
        case .sequence(let items):
            return Node(items.map(\.merged), items.tag, items.style)
        case .scalar, .alias: return self
        }
    }
}
