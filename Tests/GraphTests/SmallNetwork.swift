import AdaShareDeviceLayer
import AdaShareOperators
import Reference

@testable import AdaShareGraph

/// Convolution, batch norm with ReLU, a residual block, both poolings, a linear layer and cross-entropy, with every
/// gradient also from the float64 reference.
struct SmallNetwork {
    static let parameters: [(name: String, shape: Shape)] = [
        ("w1", Shape([3, 3, 3, 5])), ("gamma1", Shape([5])), ("beta1", Shape([5])), ("w2", Shape([3, 3, 5, 5])),
        ("gamma2", Shape([5])), ("beta2", Shape([5])), ("w3", Shape([1, 1, 5, 4])), ("bias", Shape([4])),
    ]
    static let statistics = ["mean1", "variance1", "mean2", "variance2"]
    static let image = Shape([2, 6, 7, 3], compact: true)
    static let labels: [Int32] = [2, 0]

    let loss: Value
    /// Both normalisations.
    let batchStatistics: [BatchNormResult]
    let targets: [String: Value]

    init(in graph: Graph) {
        let p = Dictionary(uniqueKeysWithValues: Self.parameters.map { ($0.name, graph.parameter($0.name, $0.shape)) })
        let x = graph.input("x", Self.image)
        let stem = graph.convolution(x, weights: p["w1"]!, padding: 1)
        let first = graph.batchNorm(stem, gamma: p["gamma1"]!, beta: p["beta1"]!, tail: .relu)
        let branch = graph.convolution(first.y, weights: p["w2"]!, padding: 1)
        let second = graph.batchNorm(
            branch, gamma: p["gamma2"]!, beta: p["beta2"]!, tail: .addReLU(residual: first.y))
        let pooled = graph.record(MaxPool(ceilMode: true), [second.y])[0]
        let mean = graph.record(GlobalAveragePool(), [pooled])[0]
        let logits = graph.convolution(mean, weights: p["w3"]!, bias: p["bias"]!)
        let labels = graph.input("labels", Shape([2, 1, 1], compact: true))
        loss = graph.record(TaskLoss(.crossEntropy(ignore: 255)), [logits, labels])[0]
        batchStatistics = [first, second]
        targets = p
    }

    /// Records a network whose loss and gradients are outputs.
    static func recordGradients(in graph: Graph) {
        let network = SmallNetwork(in: graph)
        graph.output("loss", network.loss)
        let targets = parameters.map { network.targets[$0.name]! }
        for (parameter, gradient) in zip(parameters, graph.gradients(of: network.loss, for: targets)) {
            graph.output(parameter.name, gradient!)
        }
    }

    /// Records a training step with momentum, running statistics and the check for finite losses.
    static func recordTraining(in graph: Graph) {
        let network = SmallNetwork(in: graph)
        graph.output("loss", network.loss)
        let flag = graph.parameter("flag", Shape([2], compact: true))
        _ = graph.record(FiniteCheck(task: 0), [network.loss, flag, graph.step])
        let targets = parameters.map { network.targets[$0.name]! }
        for ((name, shape), gradient) in zip(parameters, graph.gradients(of: network.loss, for: targets)) {
            _ = graph.record(
                SGDUpdate(rate: RateSlot(0), momentum: 0.9, weightDecay: 1e-4),
                [network.targets[name]!, gradient!, graph.parameter(name + ".momentum", shape), graph.step, flag])
        }
        for pair in 0..<2 {
            let running = statistics[(2 * pair)...(2 * pair + 1)].map { graph.parameter($0, Shape([5])) }
            let tracked = graph.parameter("tracked\(pair + 1)", Shape([1], compact: true))
            graph.updateStatistics(
                towards: network.batchStatistics[pair].statistics, mean: running[0], variance: running[1],
                tracked: tracked, paths: 1, flag: flag)
        }
    }

    /// Values of all parameters and the image.
    static func state(seed: UInt64) -> [String: ReferenceTensor] {
        var state = ["x": ReferenceTensor.random(shape: image.dimensions, seed: seed)]
        for (index, (name, shape)) in parameters.enumerated() {
            let values = ReferenceTensor.random(shape: shape.dimensions, seed: seed + UInt64(index) + 1, scale: 0.5)
            state[name] = name.hasPrefix("gamma") ? values.map { $0 + 1 } : values
        }
        return state
    }

    /// Writes a state, and zeros to everything that training accumulates.
    static func write(_ state: [String: ReferenceTensor], to store: TensorStore) throws {
        for (name, shape) in parameters + [("x", image)] { try store.write(name, shape, state[name]!.floats) }
        try store.write("labels", Shape([2, 1, 1], compact: true), labels)
        for (name, shape) in parameters {
            try store.write(name + ".momentum", shape, [Float](repeating: 0, count: shape.count))
        }
        for name in statistics { try store.write(name, Shape([5]), [Float](repeating: 0, count: 5)) }
        for name in ["tracked1", "tracked2"] { try store.write(name, Shape([1], compact: true), [Int32(0)]) }
        try store.write("flag", Shape([2], compact: true), [Int32(0), 0])
        var step = StepState()
        step.rates[RateSlot(0)] = StepState.Rate(learningRate: 0.1)
        try store.write(step)
    }

    /// Loss and gradients by the float64 reference.
    static func reference(_ state: [String: ReferenceTensor]) -> (loss: Double, gradients: [String: ReferenceTensor]) {
        let x = state["x"]!
        let (w1, w2, w3) = (state["w1"]!, state["w2"]!, state["w3"]!)
        let (gamma1, gamma2) = (state["gamma1"]!, state["gamma2"]!)
        let stem = Reference.convolution(x: x, w: w1, padding: 1)
        let first = Reference.batchNormTraining(x: stem, gamma: gamma1, beta: state["beta1"]!)
        let trunk = Reference.relu(first.y)
        let branch = Reference.convolution(x: trunk, w: w2, padding: 1)
        let second = Reference.batchNormTraining(x: branch, gamma: gamma2, beta: state["beta2"]!)
        let block = Reference.residualAddReLU(residual: trunk, branch: second.y)
        let pooled = Reference.maxPool(x: block, ceilMode: true)
        let mean = Reference.globalAveragePool(pooled.y)
        let logits = Reference.convolution(x: mean, w: w3, bias: state["bias"]!)
        let loss = Reference.softmaxCrossEntropy(logits: logits, labels: labels, labelShape: [2, 1, 1], ignore: 255)

        var gradients = ["bias": Reference.biasGradient(dy: loss.gradient)]
        gradients["w3"] = Reference.convolutionWeightGradient(x: mean, dy: loss.gradient, kernel: (1, 1))
        let dMean = Reference.convolutionInputGradient(dy: loss.gradient, w: w3, inputShape: mean.shape)
        let dPooled = Reference.globalAveragePoolGradient(dy: dMean, inputShape: pooled.y.shape)
        let dBlock = Reference.maxPoolGradient(dy: dPooled, argmax: pooled.argmax, inputShape: block.shape)
        let through = Reference.residualAddReLUGradient(y: block, dy: dBlock)
        let dSecond = Reference.batchNormBackward(
            x: branch, dy: through.dBranch, gamma: gamma2, mean: second.mean, inverseDeviation: second.inverseDeviation)
        (gradients["gamma2"], gradients["beta2"]) = (dSecond.dgamma, dSecond.dbeta)
        gradients["w2"] = Reference.convolutionWeightGradient(x: trunk, dy: dSecond.dx, kernel: (3, 3), padding: 1)
        let dTrunk = Reference.convolutionInputGradient(dy: dSecond.dx, w: w2, inputShape: trunk.shape, padding: 1)
            .zip(through.dResidual, +)
        let dFirst = Reference.batchNormBackward(
            x: stem, dy: Reference.reluGradient(y: trunk, dy: dTrunk), gamma: gamma1, mean: first.mean,
            inverseDeviation: first.inverseDeviation)
        (gradients["gamma1"], gradients["beta1"]) = (dFirst.dgamma, dFirst.dbeta)
        gradients["w1"] = Reference.convolutionWeightGradient(x: x, dy: dFirst.dx, kernel: (3, 3), padding: 1)
        return (loss.loss, gradients)
    }
}
