import AdaShareOperators

extension LoweredGraph {
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
        let isBackward = nodes.map { $0.label.hasPrefix(Self.backwardPrefix) }
        for (index, node) in nodes.enumerated() where served[index] == 0 {
            // The gradients that arrive decide; where none does yet (a loss), the values it is taken at do.
            var (gradients, values): (UInt64, UInt64) = (0, 0)
            for input in node.inputs {
                guard case .node(let source)? = source(of: input) else { continue }
                if isBackward[source] { gradients |= served[source] }
                values |= served[source]
            }
            served[index] = gradients != 0 ? gradients : values
        }
        var suffixes: [UInt64: String] = [:]
        func suffix(_ services: UInt64) -> String {
            if let known = suffixes[services] { return known }
            let names = tasks.indices.filter { services >> $0 & 1 == 1 }.map { tasks[$0] }
            let isAll = names.count == tasks.count && tasks.count > 1
            let suffix = names.isEmpty ? "" : " @" + (isAll ? "all" : names.joined(separator: "+"))
            suffixes[services] = suffix
            return suffix
        }
        return nodes.indices.map { index in
            let label = nodes[index].label
            // Recorded outside every scope: the operator says what it is.
            let isBare = label.isEmpty || label == Self.backwardPrefix
            return (isBare ? label + "\(type(of: nodes[index].operation))" : label) + suffix(served[index])
        }
    }

    private static var backwardPrefix: String { Graph.backwardLabel + "/" }

    /// For each node, a bit for every result that is computed from it, by position in `tasks`; 64 results at most.
    private func forwardServices(_ tasks: inout [String]) -> [UInt64] {
        var served = [UInt64](repeating: 0, count: nodes.count)
        for (name, value) in outputs {
            let parts = name.split(separator: "/", maxSplits: 1).map(String.init)
            guard parts.count == 2, ["loss", "output"].contains(parts[0]), parts[1] != "total",
                case .node(let node)? = source(of: value)
            else { continue }
            let position = tasks.firstIndex(of: parts[1]) ?? tasks.count
            guard position < UInt64.bitWidth else { continue }
            if position == tasks.count { tasks.append(parts[1]) }
            served[node] |= 1 << position
        }
        for index in nodes.indices.reversed() where served[index] != 0 {
            for input in nodes[index].inputs {
                if case .node(let source)? = source(of: input) { served[source] |= served[index] }
            }
        }
        return served
    }
}
