import AdaShareDeviceLayer

/// Tensors of one shape, added with a weight for each channel of each; inputs x₀ … x_{T−1} [N, H, W, C], then the
/// weights w [T, C].
///
///     y[c] = Σⱼ w[j][c] · xⱼ[c],  ∂y/∂xⱼ[c] = w[j][c],  ∂y/∂w[j][c] = Σ xⱼ[c]
///
/// - Source: Misra et al. 2016; kernel `channel_mix` in `channel_mix.cl`.
public struct ChannelMix: DifferentiableOperator {
    /// Row of the weights that belongs to the first tensor; 0 but in gradients.
    let row: Int

    /// Creates the operator, which has no attributes.
    public init() { row = 0 }

    private init(row: Int) { self.row = row }

    /// - Precondition: a row of weights for each tensor, all tensors of one shape.
    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        let mixed = MixedTensors(inputs) {
            $0.weights.channels == $0.shape.channels && $0.weights.rows >= row + $0.count
        }
        return [mixed.shape]
    }

    public func inPlaceInputs(output: Int) -> [Int] { [0] }

    public func encode(_ e: inout LaunchEncoder) throws {
        e.launchInFours("channel_mix", "channel_mix") { first, count, adds in
            [.int(row + first), .int(count), .flag(adds)]
        }
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        guard let dy = call.gradients[0] else { return call.inputs.map { _ in nil } }
        let (terms, weights) = (Array(call.inputs.dropLast()), call.inputs[call.inputs.count - 1])
        precondition(row == 0, "the gradient of a gradient")
        let ofTerms = terms.indices.map { term -> Value? in
            call.wanted[term] ? recorder.record(ChannelMix(row: term), [dy, weights])[0] : nil
        }
        return ofTerms + [call.wanted[terms.count] ? recorder.record(ChannelMixGradient(), terms + [dy])[0] : nil]
    }
}

/// Gradient of the weights of `ChannelMix`; inputs x₀ … x_{T−1}, dy; output dw [T, C].
struct ChannelMixGradient: Operator {
    func outputShapes(_ inputs: [Shape]) -> [Shape] { [Shape([inputs.count - 1, inputs[0].channels])] }

    var isEager: Bool { true }

    func workspaceByteCount(inputs: [Shape], outputs: [Shape], family: KernelFamily) -> Int {
        (inputs.count - 1) * ColumnChunks(inputs[0], family: family).count * inputs[0].storedChannels * 4
    }

    func encode(_ e: inout LaunchEncoder) throws {
        let (shape, terms) = (e.inputs[0], e.inputs.count - 1)
        let chunks = ColumnChunks(shape, family: e.library.family)
        let vectors = e.rowVectors(shape)
        for term in 0..<terms {
            e.launch(
                "channel_mix", "channel_mix_sums",
                [
                    .input(term), .input(terms), .workspace, .int(shape.rows), .int(vectors), .int(chunks.span),
                    .int(chunks.count), .int(term),
                ], e.library.columns(vectors, chunks: chunks.count))
        }
        e.launch(
            "channel_mix", "channel_mix_totals", [.workspace, .output(0), .int(vectors), .int(chunks.count)],
            e.library.groups(terms * vectors))
    }
}
