import AdaShareDeviceLayer

/// Slices of the channels of tensors of one shape, added with a weight for each pair of slices; inputs x₀ … x_{T−1}
/// [N, H, W, C], then the weights w [G, T·G].
///
///     y₍g₎ = Σ₍ⱼ,h₎ w[g][j·G + h] · xⱼ₍h₎,  slices of C / G channels
///
/// - Source: α of Ruder et al. 2019; kernel `subspace_mix` in `subspaces.cl`.
public struct SubspaceMix: DifferentiableOperator {
    /// G: slices of each tensor.
    public let subspaces: Int
    /// Whether one tensor's gradient is computed: w is transposed.
    private let isGradient: Bool
    /// Which tensor the first one is.
    private let first: Int

    /// Creates the operator.
    ///
    /// - Parameter subspaces: slices of each tensor.
    public init(subspaces: Int) { self.init(subspaces: subspaces, isGradient: false, first: 0) }

    private init(subspaces: Int, isGradient: Bool, first: Int) {
        (self.subspaces, self.isGradient, self.first) = (subspaces, isGradient, first)
    }

    /// - Precondition: tensors of one shape, slices of whole vectors, and weights for each.
    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        let mixed = MixedTensors(inputs) {
            $0.weights.rows == subspaces && $0.weights.channels >= (first + $0.count) * subspaces
        }
        precondition(
            subspaces == 1 || mixed.shape.channels % (subspaces * Shape.lanes) == 0,
            "\(subspaces) subspaces of \(mixed.shape)")
        return [mixed.shape]
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let stride = e.inputs[e.inputs.count - 1].storedChannels
        e.launchInFours("subspaces", "subspace_mix") { next, count, adds in
            [
                .int((first + next) * subspaces), .int(count), .int(subspaces), .int(stride), .flag(isGradient),
                .flag(adds),
            ]
        }
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        guard let dy = call.gradients[0] else { return call.inputs.map { _ in nil } }
        precondition(!isGradient, "the gradient of a gradient")
        let (terms, weights) = (Array(call.inputs.dropLast()), call.inputs[call.inputs.count - 1])
        let ofTerms = terms.indices.map { term -> Value? in
            let gradient = SubspaceMix(subspaces: subspaces, isGradient: true, first: term)
            return call.wanted[term] ? recorder.record(gradient, [dy, weights])[0] : nil
        }
        let gradient = SubspaceMixGradient(subspaces: subspaces)
        return ofTerms + [call.wanted[terms.count] ? recorder.record(gradient, terms + [dy])[0] : nil]
    }
}

/// Gradient of the weights of `SubspaceMix`; inputs x₀ … x_{T−1}, dy; output dw [G, T·G].
struct SubspaceMixGradient: Operator {
    let subspaces: Int

    func outputShapes(_ inputs: [Shape]) -> [Shape] { [Shape([subspaces, (inputs.count - 1) * subspaces])] }

    var isEager: Bool { true }

    func workspaceByteCount(inputs: [Shape], outputs: [Shape], family: KernelFamily) -> Int {
        outputs[0].count * ColumnChunks(inputs[0], family: family).count * 4
    }

    func encode(_ e: inout LaunchEncoder) throws {
        let (shape, terms) = (e.inputs[0], e.inputs.count - 1)
        let chunks = ColumnChunks(shape, family: e.library.family)
        let pairs = subspaces * subspaces
        for term in 0..<terms {
            e.launch(
                "subspaces", "subspace_mix_sums",
                [
                    .input(term), .input(terms), .workspace, .int(shape.rows), .int(e.rowVectors(shape)),
                    .int(chunks.span), .int(chunks.count), .int(term), .int(terms), .int(subspaces),
                ], e.library.columns(pairs, chunks: chunks.count))
        }
        let stored = e.outputs[0].storedChannels
        e.launch(
            "subspaces", "subspace_mix_totals",
            [.workspace, .output(0), .int(e.outputs[0].channels), .int(stored), .int(chunks.count)],
            e.library.groups(subspaces * stored))
    }
}
