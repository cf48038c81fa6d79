/// Heads as lists of convolutions.
extension NetworkArchitecture {
    /// Dilation rates of the four branches of a four-rate head, in the order of the parameter names.
    public static let headRates = [6, 12, 18, 24]

    /// The convolutions of one task's head: branches to be summed, each a chain from the features to the output.
    ///
    /// A four-rate head has four chains of three with ReLU and dropout in between, a light head one chain of one. The
    /// linear layer of a classification task is one 1×1 convolution on the pooled 1×1 features.
    ///
    /// - Parameter task: index in `tasks`, from 0.
    /// - Precondition: `task` is an index of `tasks`.
    public func headBranches(task: Int) -> [[ConvolutionSpec]] {
        precondition(tasks.indices.contains(task), "task \(task) of \(tasks.count)")
        let prefix = "task\(number(task: task))"
        let channels = tasks[task].channels
        if classification {
            return [[pointwise("\(prefix)_linear", from: featureChannels, to: channels)]]
        }
        switch head {
        case .light:
            return [[pointwise("\(prefix)_head", from: featureChannels, to: channels)]]
        case .fourRate:
            return Self.headRates.enumerated().map { index, rate in
                let branch = "\(prefix)_fc1_c\(index)"
                return [
                    ConvolutionSpec(
                        parameter: "\(branch).conv1", kernel: 3, inputChannels: featureChannels,
                        outputChannels: headHidden, dilation: rate, padding: rate, bias: true),
                    pointwise("\(branch).conv2", from: headHidden, to: headHidden),
                    pointwise("\(branch).conv3", from: headHidden, to: channels),
                ]
            }
        }
    }

    /// Name of one task's policy logits, shape [L, 2], column 0 = select and column 1 = skip.
    ///
    /// - Parameter task: index in `tasks`, from 0.
    public func logitsParameter(task: Int) -> String { "task\(number(task: task))_logits" }

    private func pointwise(_ parameter: String, from inputs: Int, to outputs: Int) -> ConvolutionSpec {
        ConvolutionSpec(parameter: parameter, kernel: 1, inputChannels: inputs, outputChannels: outputs, bias: true)
    }
}
