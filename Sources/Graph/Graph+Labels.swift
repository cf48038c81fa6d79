import Operators

extension Graph {
    /// What profiles call each node: where it was recorded and, after `@`, which of the step's results it serves.
    ///
    /// `layer2.1.conv1 @depth+normals` is a branch that two of three tasks take on the same input; `@all` serves every
    /// task. A forward node serves the results computed from it; a backward or update node serves those whose
    /// gradients reach it.
    ///
    /// - Returns: one label per node.
    func profileLabels() -> [String] {
        var tasks: [String] = []
        var served = forwardServices(&tasks)
        for (index, node) in nodes.enumerated() where served[index].isEmpty {
            let sources = node.inputs.compactMap { producer(of: $0) }
            // The gradients that arrive decide; where none does yet (a loss), the values it is taken at do.
            let gradients = sources.filter { nodes[$0].label.hasPrefix(Self.backwardPrefix) && !served[$0].isEmpty }
            for source in gradients.isEmpty ? sources : gradients { served[index].formUnion(served[source]) }
        }
        return nodes.indices.map { index in
            let names = tasks.indices.filter { served[index].contains($0) }.map { tasks[$0] }
            var label = nodes[index].label
            // Recorded outside every scope: the operator says what it is.
            if label.isEmpty || label == Self.backwardPrefix { label += "\(type(of: nodes[index].operation))" }
            guard !names.isEmpty else { return label }
            let isAll = names.count == tasks.count && tasks.count > 1
            let suffix = "@" + (isAll ? "all" : names.joined(separator: "+"))
            return "\(label) \(suffix)"
        }
    }

    private static var backwardPrefix: String { "backward/" }

    /// For each node, positions in `tasks` of the results that are computed from it.
    private func forwardServices(_ tasks: inout [String]) -> [Set<Int>] {
        var served = [Set<Int>](repeating: [], count: nodes.count)
        for (name, value) in outputs {
            let parts = name.split(separator: "/", maxSplits: 1).map(String.init)
            guard parts.count == 2, ["loss", "output"].contains(parts[0]), parts[1] != "total",
                let node = producer(of: value)
            else { continue }
            let position = tasks.firstIndex(of: parts[1]) ?? tasks.count
            if position == tasks.count { tasks.append(parts[1]) }
            served[node].insert(position)
        }
        for index in nodes.indices.reversed() where !served[index].isEmpty {
            for source in nodes[index].inputs.compactMap({ producer(of: $0) }) {
                served[source].formUnion(served[index])
            }
        }
        return served
    }

    /// The node that computes a value; nil for an external one.
    private func producer(of value: Value) -> Int? {
        if case .node(let index) = source(of: value) { index } else { nil }
    }
}
