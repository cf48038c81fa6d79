import Graph
import Operators

/// What a task does at a residual block.
public enum BlockDecision: Hashable, Sendable {
    /// x ← ReLU(res + F(x))
    case select
    /// x ← res; the branch is not traced at all.
    case skip
    /// x ← v_select · ReLU(res + F(x)) + v_skip · res
    case mix
}

/// Traces a network's forward passes onto a graph, the paths of all tasks side by side.
///
/// Value numbering in the graph makes common prefixes one path; the trace itself knows nothing about sharing.
public struct NetworkTrace {
    public enum Mode: Sendable {
        /// Batch statistics, dropout.
        case training
        /// Running statistics, no dropout.
        case inference
    }

    public let graph: Graph
    public let architecture: NetworkArchitecture
    public let mode: Mode
    /// Dropout probability of the heads.
    public let dropout: Double

    /// The selected blocks of each task's path: by task and block, the residual path and the block's output.
    public private(set) var selections: [[Int: (residual: Value, output: Value)]] = []

    /// Batch norms in the order of their visits; visits of one that follow each other with equal input are counted.
    private var visits: [(prefix: String, outputs: [Value], paths: Int)] = []
    /// Position of each batch norm's latest visit.
    private var latestVisit: [String: Int] = [:]

    public init(graph: Graph, architecture: NetworkArchitecture, mode: Mode, dropout: Double = 0) {
        self.graph = graph
        self.architecture = architecture
        self.mode = mode
        self.dropout = dropout
    }

    /// The paths of all tasks through the backbone, block by block: what tasks do on different values at a block is
    /// recorded side by side, so that the gradients of its weights meet and die early.
    ///
    /// - Parameters:
    ///   - image: [N, H, W, 3].
    ///   - decisions: [task][block].
    ///   - gates: [L, 2] for each task, needed where a decision is `.mix`.
    /// - Returns: each task's features after the last block, [N, h, w, featureChannels].
    public mutating func features(image: Value, decisions: [[BlockDecision]], gates: [Value] = []) -> [Value] {
        precondition(decisions.allSatisfy { $0.count == architecture.blocks.count }, "one decision per block")
        var paths = decisions.map { _ in
            let x = convolutionBatchNorm(image, architecture.stem, architecture.stemBatchNorm, tail: .relu)
            return graph.scope("pool") { graph.record(MaxPool(ceilMode: architecture.poolCeilMode), [x])[0] }
        }
        selections = decisions.map { _ in [:] }
        for block in architecture.blocks {
            for task in paths.indices {
                let x = paths[task]
                let residual =
                    block.projection.map { convolutionBatchNorm(x, $0.convolution, $0.batchNorm, tail: .none) } ?? x
                switch decisions[task][block.index] {
                case .skip:
                    paths[task] = residual
                case .select:
                    paths[task] = branch(block, x, tail: .add, operands: [residual])
                    selections[task][block.index] = (residual, paths[task])
                case .mix:
                    precondition(gates.indices.contains(task), "mixing block \(block.index) needs gates")
                    paths[task] = branch(block, x, tail: .mix(block: block.index), operands: [residual, gates[task]])
                }
            }
        }
        return paths
    }

    /// The output of task `task` (from 0): [N, h, w, channels], or [N, 1, 1, classes] for classification; float32 whatever
    /// activations are stored as.
    public func head(task: Int, features: Value) -> Value {
        var x = features
        if architecture.classification { x = graph.record(GlobalAveragePool(), [x])[0] }
        // Each branch's last convolution adds what the branches before it came to.
        var sum: Value?
        for chain in architecture.headBranches(task: task) {
            sum = chain.indices.reduce(x) { input, position in
                let spec = chain[position]
                return graph.scope(spec.parameter) {
                    if position == chain.count - 1 {
                        return convolution(input, spec, residual: sum, element: .float32)
                    }
                    let drops = mode == .training && dropout > 0
                    let y = convolution(input, spec, relu: !drops)
                    guard drops else { return y }
                    let operation = ReLUDropout(probability: dropout, name: "\(spec.parameter).dropout")
                    return graph.record(operation, [y, graph.step])[0]
                }
            }
        }
        guard let sum else { preconditionFailure("task \(task) has a head without branches") }
        return sum
    }

    /// Records the running-statistics updates of every batch norm visited, in task order: n equal updates at once
    /// where n paths in a row met, one after the other where inputs differ.
    ///
    /// - Parameter flag: the non-finite flag that gates updates.
    public func updateStatistics(flag: Value) {
        for visit in visits {
            let channels = visit.outputs[1].shape
            let mean = graph.parameter("\(visit.prefix).running_mean", channels)
            let variance = graph.parameter("\(visit.prefix).running_var", channels)
            let tracked = graph.parameter("\(visit.prefix).num_batches_tracked", Shape([1], compact: true))
            graph.scope("\(visit.prefix)/statistics") {
                _ = graph.record(
                    BatchNormUpdate(batches: visit.paths),
                    [visit.outputs[1], visit.outputs[3], mean, variance, tracked, flag])
            }
        }
    }

    /// F(x) and what the block makes of it, which is the tail of its last batch norm.
    private mutating func branch(
        _ block: ResidualBlock, _ x: Value, tail: BatchNormTail, operands: [Value]
    ) -> Value {
        let last = block.convolutions.count - 1
        return block.convolutions.indices.reduce(x) { input, position in
            convolutionBatchNorm(
                input, block.convolutions[position], block.batchNorms[position],
                tail: position < last ? .relu : tail, operands: position < last ? [] : operands)
        }
    }

    private func convolution(
        _ x: Value, _ spec: ConvolutionSpec, affine: (scale: Value, shift: Value)? = nil, residual: Value? = nil,
        relu: Bool = false, element: ElementType? = nil
    ) -> Value {
        let weights = graph.parameter(
            "\(spec.parameter).weight",
            Shape([spec.kernelHeight, spec.kernelWidth, spec.inputChannels, spec.outputChannels]))
        let bias = spec.bias ? graph.parameter("\(spec.parameter).bias", Shape([spec.outputChannels])) : nil
        return graph.convolution(
            x, weights: weights, bias: bias, affine: affine, residual: residual, relu: relu, stride: spec.stride,
            dilation: spec.dilation, padding: spec.padding, element: element)
    }

    private mutating func convolutionBatchNorm(
        _ x: Value, _ spec: ConvolutionSpec, _ prefix: String, tail: BatchNormTail, operands: [Value] = []
    ) -> Value {
        let channels = Shape([spec.outputChannels])
        let gamma = graph.parameter("\(prefix).weight", channels)
        let beta = graph.parameter("\(prefix).bias", channels)
        if mode == .inference {
            if case .mix = tail { preconditionFailure("inference selects or skips, it does not mix") }
            let mean = graph.parameter("\(prefix).running_mean", channels)
            let variance = graph.parameter("\(prefix).running_var", channels)
            let affine = graph.scope(prefix) { graph.record(BatchNormAffine(), [gamma, beta, mean, variance]) }
            return graph.scope(spec.parameter) {
                convolution(
                    x, spec, affine: (affine[0], affine[1]), residual: operands.first, relu: tail != .none)
            }
        }
        let y = graph.scope(spec.parameter) { convolution(x, spec) }
        let outputs = graph.scope(prefix) {
            graph.batchNorm(y, gamma: gamma, beta: beta, tail: tail, operands: operands)
        }
        // Statistics forget: A, B, A is not A, A, B, so only neighbours are merged.
        if let latest = latestVisit[prefix], visits[latest].outputs[1] == outputs[1] {
            visits[latest].paths += 1
        } else {
            latestVisit[prefix] = visits.count
            visits.append((prefix, outputs, 1))
        }
        return outputs[0]
    }
}
