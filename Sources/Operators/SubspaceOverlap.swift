import AdaShareDeviceLayer

extension Recorder {
    /// Records how far a convolution's weights are from giving orthogonal subspaces.
    ///
    ///     Σ₍g<h₎ ‖W_gᵀ W_h‖²,  W_g the columns of W [R·S·C, K] that give slice g of the channels
    ///
    /// - Parameters:
    ///   - weights: [R, S, C, K].
    ///   - subspaces: slices of the K channels, equally many each.
    /// - Returns: a scalar.
    public func subspaceOverlap(_ weights: Value, subspaces: Int) -> Value {
        let channels = weights.shape.channels
        // A weight tensor lies as an image of R·S·C pixels; WᵀW is the weight gradient of a 1×1 convolution.
        let point = ConvolutionGeometry(kernelHeight: 1, kernelWidth: 1)
        let product = ConvolutionWeightGradient(point, weightShape: Shape([1, 1, channels, channels]))
        let products = record(product, [weights, weights])[0]
        return record(SubspaceOverlap(subspaces: subspaces), [weights, products])[0]
    }
}

/// Σ ‖W_gᵀ W_h‖² over pairs of slices; inputs W [R, S, C, K] and WᵀW [1, 1, K, K], which has no gradient of its own.
///
///     ∂/∂W = W · B,  B = 2 WᵀW between different slices, 0 within one
///
/// - Source: the constraint of Ruder et al. 2019; kernels `subspace_overlap_rows`, `subspace_overlap_total` and
///   `subspace_between` in `subspaces.cl`.
public struct SubspaceOverlap: DifferentiableOperator {
    /// Slices of the K channels.
    public let subspaces: Int

    /// Creates the operator.
    ///
    /// - Parameter subspaces: slices of the channels.
    public init(subspaces: Int) { self.subspaces = subspaces }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        let channels = inputs[0].channels
        precondition(
            inputs[1].dimensions == [1, 1, channels, channels] && channels % subspaces == 0,
            "products \(inputs[1]) of weights \(inputs[0]), \(subspaces) subspaces")
        return [.scalar]
    }

    public func workspaceByteCount(inputs: [Shape], outputs: [Shape], family: KernelFamily) -> Int {
        inputs[1].channels * 4
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let (products, channels) = (e.inputs[1], e.inputs[1].channels)
        e.launch(
            "subspaces", "subspace_overlap_rows",
            [.input(1), .workspace, .int(channels), .int(products.storedChannels), .int(channels / subspaces)],
            e.library.groups(channels))
        e.launch(
            "subspaces", "subspace_overlap_total", [.workspace, .output(0), .int(channels)], e.library.groups(1))
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        guard let dy = call.gradients[0], call.wanted[0] else { return [nil, nil] }
        let between = recorder.record(SubspaceBetween(subspaces: subspaces), [call.inputs[1], dy])[0]
        return [recorder.convolution(call.inputs[0], weights: between, element: .float32), nil]
    }
}

/// 2 · dy · WᵀW between different slices, 0 within one; inputs WᵀW, dy.
struct SubspaceBetween: Operator {
    let subspaces: Int

    func outputShapes(_ inputs: [Shape]) -> [Shape] { [inputs[0]] }

    func encode(_ e: inout LaunchEncoder) throws {
        let products = e.inputs[0]
        e.launch(
            "subspaces", "subspace_between",
            [
                .input(0), .input(1), .output(0), .int(products.channels), .int(products.storedChannels),
                .int(products.channels / subspaces),
            ], e.library.range(products.storedCount))
    }
}
