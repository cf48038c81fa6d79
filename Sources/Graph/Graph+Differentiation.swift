import Operators

extension Graph {
    /// Appends the backward nodes of `loss` and returns its gradients.
    ///
    /// Only paths from a target to the loss are differentiated: nothing is recorded for frozen parameters, nor for
    /// blocks below the lowest target.
    ///
    /// - Parameters:
    ///   - loss: a scalar.
    ///   - targets: the values whose gradients are wanted.
    /// - Precondition: every operator between a target and the loss has a gradient.
    /// - Returns: one gradient per target; nil where the loss does not depend on it.
    public func gradients(of loss: Value, for targets: [Value]) -> [Value?] {
        precondition(loss.shape == .scalar, "the loss must be a scalar, not \(loss.shape)")
        let forwardCount = nodes.count
        let reached = dependents(of: targets, among: forwardCount)
        var contributions: [Int: [Value]] = [:]
        if reached.contains(loss.id) { contributions[loss.id] = record(Fill(.scalar, value: 1), []) }

        for index in stride(from: forwardCount - 1, through: 0, by: -1) {
            let node = nodes[index]
            let wanted = node.inputs.map { reached.contains($0.id) }
            guard wanted.contains(true), node.outputs.contains(where: { contributions[$0.id] != nil }) else { continue }
            guard let operation = node.operation as? any DifferentiableOperator else {
                preconditionFailure("\(node.operation) lies between a target and the loss, but has no gradient")
            }
            scope("backward/" + node.label) {
                let call = BackwardCall(
                    inputs: node.inputs, outputs: node.outputs,
                    gradients: node.outputs.map { total(contributions[$0.id]) }, wanted: wanted)
                for (input, gradient) in zip(node.inputs, operation.backward(call, in: self)) {
                    if let gradient, reached.contains(input.id) {
                        contributions[input.id, default: []].append(gradient)
                    }
                }
            }
        }
        return targets.map { total(contributions[$0.id]) }
    }

    private func total(_ terms: [Value]?) -> Value? {
        guard let terms else { return nil }
        return terms.count == 1 ? terms[0] : record(Sum(), terms)[0]
    }

    /// Ids of the targets and of every value computed from them.
    private func dependents(of targets: [Value], among count: Int) -> Set<Int> {
        var reached = Set(targets.map(\.id))
        for node in nodes[..<count] where node.inputs.contains(where: { reached.contains($0.id) }) {
            reached.formUnion(node.outputs.map(\.id))
        }
        return reached
    }
}
