import AdaShareOperators

extension Graph {
    /// Appends the backward nodes of `loss` and returns its gradients.
    ///
    /// Only paths from a target to the loss are differentiated: nothing is recorded for frozen parameters, nor for
    /// blocks below the lowest target.
    ///
    /// Values that cost less to compute than to keep are computed again where the backward pass needs them
    /// (`Operator.recomputation`).
    ///
    /// - Parameters:
    ///   - loss: a scalar.
    ///   - targets: the values whose gradients are wanted.
    /// - Precondition: every operator between a target and the loss has a gradient.
    /// - Returns: one gradient per target; nil where the loss does not depend on it.
    public func gradients(of loss: Value, for targets: [Value]) -> [Value?] {
        precondition(loss.shape == .scalar, "the loss must be a scalar, not \(loss.shape)")
        let forwardCount = nodes.count
        let reached = dependents(of: targets)
        let firstReaders = firstReaders(of: targets)
        var contributions = [[Value]](repeating: [], count: valueCount)
        let (read, computed, _) = valuesOfNodes
        if reached[loss.id] {
            contributions[loss.id] = scope(Self.backwardLabel + "/") { record(Fill(.scalar, value: 1), []) }
        }

        for index in stride(from: forwardCount - 1, through: 0, by: -1) where read.contains(of: index, reached) {
            let hasGradient = computed[index].contains { !contributions[computed.ids[$0]].isEmpty }
            guard hasGradient || !firstReaders[index].isEmpty else { continue }
            let node = nodes[index]
            scope("\(Self.backwardLabel)/\(node.label)") {
                if hasGradient { differentiate(node, wanted: node.inputs.map { reached[$0.id] }, &contributions) }
                // Nothing below adds to these targets: their gradients can be used, and forgotten, from here on.
                for id in firstReaders[index] where contributions[id].count > 1 {
                    contributions[id] = record(Sum(), contributions[id])
                }
            }
        }
        return scope(Self.backwardLabel + "/") { targets.map { total(contributions[$0.id]) } }
    }

    /// Adds what one node contributes to the gradients of its inputs.
    private func differentiate(_ node: Node, wanted: [Bool], _ contributions: inout [[Value]]) {
        guard let operation = node.operation.differentiable else {
            preconditionFailure("\(node.operation) lies between a target and the loss, but has no gradient")
        }
        let call = BackwardCall(
            inputs: node.inputs.map(again), outputs: node.outputs.map(again),
            gradients: node.outputs.map { total(contributions[$0.id]) },
            wanted: wanted)
        for (position, gradient) in operation.backward(call, in: self).enumerated() where wanted[position] {
            if let gradient { contributions[node.inputs[position].id].append(gradient) }
        }
    }

    private func total(_ terms: [Value]) -> Value? { terms.count > 1 ? record(Sum(), terms)[0] : terms.first }

    /// For each value recorded so far, whether it is a target or computed from one.
    private func dependents(of targets: [Value]) -> [Bool] {
        var reached = [Bool](repeating: false, count: valueCount)
        for target in targets { reached[target.id] = true }
        let (read, computed, _) = valuesOfNodes
        for index in nodes.indices where read.contains(of: index, reached) {
            computed.forEach(of: index) { reached[$0] = true }
        }
        return reached
    }

    /// For each node, the targets, as value ids, that it is the first to read.
    private func firstReaders(of targets: [Value]) -> [[Int]] {
        var isOpen = [Bool](repeating: false, count: valueCount)
        for target in targets { isOpen[target.id] = true }
        let read = valuesOfNodes.read
        return nodes.indices.map { index in
            var found: [Int] = []
            read.forEach(of: index) { id in
                guard isOpen[id] else { return }
                isOpen[id] = false
                found.append(id)
            }
            return found
        }
    }
}
