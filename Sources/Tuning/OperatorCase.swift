import AdaShareGraph
import AdaShareOperators

/// One primitive of the method's networks, timed alone.
package struct OperatorCase: Hashable {
    /// What is computed.
    package enum Primitive: Hashable {
        case convolution(ConvolutionGeometry)
        case batchNorm(relu: Bool)
        case maxPool(MaxPool)
        case crossEntropy
        case adam
    }

    package let primitive: Primitive
    /// Which part of it.
    package let pass: ConvolutionProblem.Pass
    /// x, whatever the pass; what it is stored as follows from how convolutions may round.
    package let input: Shape
    /// Output channels of a convolution, else those of the input.
    package let outputs: Int

    /// What algorithms are chosen for; nil unless it is a convolution.
    package var problem: ConvolutionProblem? {
        guard case .convolution(let geometry) = primitive else { return nil }
        return ConvolutionProblem(pass, geometry, input: input, outputs: outputs)
    }

    /// What `record` calls the result of a convolution's pass.
    static func output(_ pass: ConvolutionProblem.Pass) -> String { "out/\(pass == .weightGradient ? 1 : 0)" }

    /// 3x3, dilated, 1x1, strided, stem; for the rest what it is.
    package var kind: String {
        switch primitive {
        case .convolution(let g) where g.kernelHeight == 7: "stem"
        case .convolution(let g) where g.stride > 1: "strided"
        case .convolution(let g) where g.kernelHeight == 1: "1x1"
        case .convolution(let g) where g.dilation > 1: "dilated"
        case .convolution: "3x3"
        case .batchNorm(let relu): relu ? "batch_norm_relu" : "batch_norm"
        case .maxPool: "max_pool"
        case .crossEntropy: "cross_entropy"
        case .adam: "adam"
        }
    }

    /// Such as `3x3 4×56×56×64→64`.
    package var name: String {
        let shape = input.dimensions.map(String.init).joined(separator: "×")
        guard case .convolution(let g) = primitive else { return "\(kind) \(shape)" }
        let more = (g.stride > 1 ? " stride \(g.stride)" : "") + (g.dilation > 1 ? " dilation \(g.dilation)" : "")
        return "\(g.kernelHeight)x\(g.kernelWidth) \(shape)→\(outputs)\(more)"
    }

    /// The case alone, inputs and weights as a step sees them: nothing is prepared outside the timing.
    func graph(_ arithmetic: ConvolutionArithmetic) -> Graph {
        let graph = Graph()
        graph.activations = arithmetic.activations
        record(into: graph)
        return graph
    }

    private func record(into graph: Graph) {
        func input(_ name: String, _ shape: Shape) -> Value { graph.input(name, shape) }
        func keep(_ values: [Value?]) {
            for (index, value) in values.enumerated() { if let value { graph.output("out/\(index)", value) } }
        }
        let isActivation =
            switch primitive {
            case .convolution: !self.input.isCompact
            case .batchNorm, .maxPool: true
            case .crossEntropy, .adam: false
            }
        let stored = isActivation ? self.input.stored(as: graph.activations) : self.input
        let x = input("x", stored)
        let channel = Shape([self.input.channels])
        switch primitive {
        case .convolution(let g):
            let w = input("w", Shape([g.kernelHeight, g.kernelWidth, self.input.channels, outputs]))
            guard pass != .forward else {
                return keep([
                    graph.convolution(x, weights: w, stride: g.stride, dilation: g.dilation, padding: g.padding)
                ])
            }
            let operation = Convolution(g, element: graph.activations)
            let dy = input("dy", operation.outputShapes([x.shape, w.shape])[0])
            let wanted = [pass == .dataGradient, pass == .weightGradient]
            keep(
                operation.backward(
                    BackwardCall(inputs: [x, w], outputs: [dy], gradients: [dy], wanted: wanted),
                    in: graph))
        case .batchNorm(let relu):
            let (gamma, beta) = (input("gamma", channel), input("beta", channel))
            guard pass != .forward else {
                let result = graph.batchNorm(x, gamma: gamma, beta: beta, tail: relu ? .relu : .none)
                return keep([result.y, result.mean, result.inverseDeviation, result.statistics.unbiasedVariance])
            }
            let statistics = ["mean", "inverse"].map { input($0, channel) }
            let call = BackwardCall(
                inputs: [x, gamma, beta] + statistics, outputs: [x], gradients: [input("dy", stored)],
                wanted: [true, true, true, false, false])
            keep(BatchNormNormalise(tail: relu ? .relu : .none).backward(call, in: graph))
        case .maxPool(let pool):
            guard pass != .forward else { return keep(graph.record(pool, [x])) }
            let shapes = pool.outputShapes([stored])
            let (dy, taps) = (input("dy", shapes[0]), input("taps", shapes[1]))
            keep(
                pool.backward(
                    BackwardCall(inputs: [x], outputs: [dy, taps], gradients: [dy, nil], wanted: [true]), in: graph))
        case .crossEntropy:
            let labels = input("labels", Shape(self.input.dimensions.dropLast() + [1], compact: true))
            let operation = TaskLoss(.crossEntropy(ignore: 255))
            let outputs = graph.record(operation, [x, labels])
            guard pass != .forward else { return keep(outputs) }
            // Forward and backward together, as a step runs them.
            let call = BackwardCall(
                inputs: [x, labels], outputs: outputs, gradients: [input("dloss", .scalar), nil],
                wanted: [true, false])
            keep(outputs + operation.backward(call, in: graph))
        case .adam:
            let state = ["weights", "m", "v"].map { graph.parameter($0, self.input) }
            let flag = input("flag", Shape([2], compact: true))
            let update = AdamUpdate(rate: RateSlot(0), beta1: 0.9, beta2: 0.999, weightDecay: 1e-4)
            _ = graph.record(update, [state[0], x, state[1], state[2], graph.step, flag])
        }
    }
}

extension OperatorCase {
    init(_ problem: ConvolutionProblem) {
        self.init(
            primitive: .convolution(problem.geometry), pass: problem.pass, input: problem.input,
            outputs: problem.outputs)
    }

    /// The case a node of a step is an instance of; nil for what is not timed.
    package init?(_ node: Graph.Node) {
        guard let first = node.inputs.first?.shape.stored(as: .float32) else { return nil }
        switch node.operation {
        case let operation as any ConvolutionPass:
            self.init(operation.problem(node.inputs.map(\.shape), node.outputs.map(\.shape)))
        case let operation as BatchNormNormalise where !node.isRecomputation:
            // A block's end counts with the ones with ReLU: it moves one tensor more.
            self.init(
                primitive: .batchNorm(relu: operation.tail != .none), pass: .forward, input: first,
                outputs: first.channels)
        case let operation as BatchNormGradient:
            self.init(
                primitive: .batchNorm(relu: operation.relu), pass: .dataGradient, input: first,
                outputs: first.channels)
        case let operation as MaxPool:
            self.init(primitive: .maxPool(operation), pass: .forward, input: first, outputs: first.channels)
        case let operation as MaxPoolGradient:
            self.init(
                primitive: .maxPool(operation.pool), pass: .dataGradient,
                input: operation.inputShape.stored(as: .float32),
                outputs: operation.inputShape.channels)
        case let operation as TaskLossGradient where operation.loss.kind.isCrossEntropy:
            self.init(primitive: .crossEntropy, pass: .dataGradient, input: first, outputs: first.channels)
        case is AdamUpdate where first.count >= 1 << 20:
            self.init(primitive: .adam, pass: .forward, input: first, outputs: first.channels)
        default: return nil
        }
    }
}

extension LossKind {
    fileprivate var isCrossEntropy: Bool { if case .crossEntropy = self { true } else { false } }
}
