import AdaShareGraph
import AdaShareOperators

/// An operator of networks that predict, in the words of ONNX.
protocol ONNXOperator: Operator {
    /// Appends the nodes that compute the operator's results.
    ///
    /// - Parameters:
    ///   - node: one application of it.
    ///   - writer: the model.
    func write(_ node: Graph.Node, into writer: inout ONNXWriter)
}

extension Convolution: ONNXOperator {
    func write(_ node: Graph.Node, into writer: inout ONNXWriter) {
        if writer.foldsBatchNorms, epilogue == ConvolutionEpilogue(), let reader = writer.reader(of: node.outputs[0]),
            reader.operation is BatchNormInference, reader.inputs[0].id == node.outputs[0].id
        {
            return writer.postpone(node)
        }
        var operands = [writer.parameter(node.inputs[1])]
        var next = 2
        if epilogue.hasBias {
            operands.append(writer.parameter(node.inputs[next]))
            next += 1
        }
        precondition(!epilogue.hasAffine, "a graph that was lowered")
        var result = write(node, operands, into: &writer)
        if epilogue.hasResidual { result = writer.add("Add", [result, writer.name(of: node.inputs[next])]) }
        if epilogue.relu { result = writer.add("Relu", [result]) }
        writer.set(node.outputs[0], result)
    }

    /// The sums alone, and a bias where there is one among the operands.
    fileprivate func write(_ node: Graph.Node, _ operands: [String], into writer: inout ONNXWriter) -> String {
        let pads = Array(repeating: geometry.padding, count: 4)
        return writer.add(
            "Conv", [writer.name(of: node.inputs[0])] + operands,
            integers: [
                "kernel_shape": [geometry.kernelHeight, geometry.kernelWidth],
                "strides": [geometry.stride, geometry.stride], "dilations": [geometry.dilation, geometry.dilation],
                "pads": pads,
            ])
    }
}

extension BatchNormInference: ONNXOperator {
    func write(_ node: Graph.Node, into writer: inout ONNXWriter) {
        var result: String
        if let convolution = writer.postponed(node.inputs[0]),
            let operation = convolution.operation as? Convolution
        {
            result = operation.write(convolution, folded(node, convolution, into: &writer), into: &writer)
        } else {
            let statistics = Self.statistics.map { writer.parameter(node.inputs[$0]) }
            result = writer.add(
                "BatchNormalization", [writer.name(of: node.inputs[0])] + statistics, floats: ["epsilon": epsilon])
        }
        switch tail {
        case .none: break
        case .relu: result = writer.add("Relu", [result])
        case .addReLU:
            let residual = node.inputs[Self.statistics.upperBound]
            result = writer.add("Relu", [writer.add("Add", [result, writer.name(of: residual)])])
        case .mix: preconditionFailure("a block that is selected in parts, in a network that predicts")
        }
        writer.set(node.outputs[0], result)
    }

    /// The convolution's weights and bias with this batch norm in them, summed in double precision:
    /// w′ = w · γ / sqrt(σ² + ε), b′ = β − μ · γ / sqrt(σ² + ε).
    private func folded(
        _ node: Graph.Node, _ convolution: Graph.Node, into writer: inout ONNXWriter
    ) -> [String] {
        let weight = writer.weight(convolution.inputs[1])
        let statistics = Self.statistics.map { writer.weight(node.inputs[$0]).values.map(Double.init) }
        let (gamma, beta, mean, variance) = (statistics[0], statistics[1], statistics[2], statistics[3])
        let scales = zip(gamma, variance).map { $0 / ($1 + epsilon).squareRoot() }
        let perChannel = weight.values.count / scales.count
        let values = weight.values.enumerated().map { Float(Double($1) * scales[$0 / perChannel]) }
        let bias = scales.indices.map { Float(beta[$0] - mean[$0] * scales[$0]) }
        return writer.shared("\(convolution.inputs[1].id)/\(node.inputs[1].id)") { writer in
            [
                writer.constant(weight.spec.name, values, weight.modelShape),
                writer.constant(weight.spec.name.replacing(".weight", with: ".bias"), bias, [bias.count]),
            ]
        }
    }
}

extension MaxPool: ONNXOperator {
    func write(_ node: Graph.Node, into writer: inout ONNXWriter) {
        let result = writer.add(
            "MaxPool", [writer.name(of: node.inputs[0])],
            integers: [
                "kernel_shape": [window, window], "strides": [stride, stride],
                "pads": Array(repeating: padding, count: 4),
            ], numbers: ["ceil_mode": ceilMode ? 1 : 0])
        writer.set(node.outputs[0], result)
    }
}

extension GlobalAveragePool: ONNXOperator {
    func write(_ node: Graph.Node, into writer: inout ONNXWriter) {
        writer.set(node.outputs[0], writer.add("GlobalAveragePool", [writer.name(of: node.inputs[0])]))
    }
}

extension Sum: ONNXOperator {
    func write(_ node: Graph.Node, into writer: inout ONNXWriter) {
        writer.set(node.outputs[0], writer.add("Sum", node.inputs.map { writer.name(of: $0) }))
    }
}

extension SigmoidProduct: ONNXOperator {
    func write(_ node: Graph.Node, into writer: inout ONNXWriter) {
        let gate = writer.add("Sigmoid", [writer.name(of: node.inputs[0])])
        writer.set(node.outputs[0], writer.add("Mul", [gate, writer.name(of: node.inputs[1])]))
    }
}

extension ChannelMix: ONNXOperator {
    func write(_ node: Graph.Node, into writer: inout ONNXWriter) {
        let weight = writer.weight(node.inputs[node.inputs.count - 1])
        let channels = node.outputs[0].shape.channels
        let terms = node.inputs.dropLast().enumerated().map { row, term in
            let factors = Array(weight.values[row * channels..<(row + 1) * channels])
            let factor = writer.constant("\(weight.spec.name)/\(row)", factors, [1, channels, 1, 1])
            return writer.add("Mul", [writer.name(of: term), factor])
        }
        writer.set(node.outputs[0], writer.add("Sum", terms))
    }
}

extension SubspaceMix: ONNXOperator {
    func write(_ node: Graph.Node, into writer: inout ONNXWriter) {
        let weight = writer.weight(node.inputs[node.inputs.count - 1])
        let terms = node.inputs.dropLast().map { writer.name(of: $0) }
        let slices = subspaces == 1 ? terms : terms.flatMap { writer.split($0, into: subspaces) }
        let mixed = (0..<subspaces).map { slice in
            let products = slices.enumerated().map { term, input in
                let place = slice * slices.count + term
                let factor = writer.constant("\(weight.spec.name)/\(slice).\(term)", [weight.values[place]], [1])
                return writer.add("Mul", [input, factor])
            }
            return writer.add("Sum", products)
        }
        writer.set(
            node.outputs[0], subspaces == 1 ? mixed[0] : writer.add("Concat", mixed, numbers: ["axis": 1]))
    }
}
