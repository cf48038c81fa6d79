import AdaShareGraph
import AdaShareMethods
import AdaShareModels
import AdaShareOperators
import AdaShareSupport

/// Memory each kind of step plans for, known before anything runs.
public struct MemoryReport: Sendable, Encodable {
    /// What one kind of step needs.
    public struct Step: Sendable, Encodable {
        /// inference, or what the method calls it, such as warmup, weights, logits and retrain.
        public let step: String
        /// Activations, gradients and workspace.
        public let arenaBytes: Int
        /// Parameters, packed copies of them, optimiser state and inputs.
        public let tensorBytes: Int
        /// Both.
        public var totalBytes: Int { arenaBytes + tensorBytes }
    }

    /// Images per step and their size in pixels.
    public let batch, height, width: Int
    /// inference, then those of the method.
    public let steps: [Step]

    /// The steps as text for a person.
    public var table: String {
        var table = Table(["MB planned, \(batch) × \(height)×\(width)", "arena", "tensors", "total"])
        func mega(_ bytes: Int) -> String { readable(Double(bytes) / 1e6) }
        for row in steps {
            table.add([row.step, mega(row.arenaBytes), mega(row.tensorBytes), mega(row.totalBytes)])
        }
        return table.text
    }
}

extension Experiment {
    /// Plans every kind of step; policy learning with every block open, which is the most it can need.
    ///
    /// - Parameters:
    ///   - shape: images of a step and their size.
    ///   - policy: of inference and retraining; every task every block if nil.
    ///   - family: whose kernels the steps are lowered to.
    /// - Throws: `InputError` if a tensor has more elements than kernels count.
    public func memory(_ shape: BatchShape, policy: DiscretePolicy? = nil, family: KernelFamily) throws -> MemoryReport
    {
        try checkShards(of: shape.count)
        let policy = policy ?? methodSettings.allSelected
        let kinds = [("inference", method.inference(policy))] + method.namedKinds(methodSettings, policy: policy)
        return MemoryReport(
            batch: shape.count, height: shape.height, width: shape.width,
            steps: try kinds.map { name, kind in
                let planned = try PlannedMemory([loweredGraph(kind, shape, family: family)])
                return MemoryReport.Step(
                    step: name, arenaBytes: planned.arena, tensorBytes: planned.tensors + planned.derived)
            })
    }

    /// Records one step.
    package func graph(_ kind: StepKind, _ shape: BatchShape) -> Graph {
        let graph = Graph()
        stepGraphs.trace(kind, batch: shape, into: graph)
        return graph
    }

    /// One step as a kernel family computes it.
    package func loweredGraph(_ kind: StepKind, _ shape: BatchShape, family: KernelFamily) -> LoweredGraph {
        graph(kind, shape).lowered(for: family, choices: stepGraphs.choices)
    }
}
