import AdaShareOperators

extension LoweredGraph {
    /// The same results with less memory, where parameters stay as they are: Winograd's convolutions hold fewer pixels
    /// at a time where they would otherwise raise the peak above that of the activations.
    ///
    /// Of training, whose activations are far larger than any workspace, nothing changes.
    func withFittingWorkspaces() -> LoweredGraph {
        guard infers, externals.contains(where: { $0.role == .parameter }) else { return self }
        let schedule = Schedule(self)
        // What cannot be planned is told where it is.
        guard
            let memory = try? MemoryPlan(self, schedule: schedule, chunkLimit: Int.max / 2, hasWorkspaces: false)
        else { return self }
        let fitting = nodes.enumerated().map { index, node in
            guard let convolution = node.operation as? Convolution else { return node }
            let spare = memory.peakLiveBytes - memory.liveBytesAt[index]
            return Graph.Node(
                convolution.fitting(spare, inputs: node.inputShapes, outputs: node.outputShapes, family: family),
                inputs: node.inputs, outputs: node.outputs, label: node.label)
        }
        return LoweredGraph(self, nodes: fitting)
    }
}
