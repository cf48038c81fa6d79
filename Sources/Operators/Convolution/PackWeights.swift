import AdaShareDeviceLayer

extension Lowering {
    /// Weights as Winograd's products read them, where that is computed once for many steps; else nil.
    func keptTransforms(_ weights: Value, _ cover: [WinogradTiles]) -> Value? {
        guard isConstant(weights), WinogradWeights.areKept(choices.keptTransforms, for: cover, weights: weights.shape)
        else { return nil }
        return prepare(WinogradWeights(cover), [weights])[0]
    }

    /// Weights in the layout the algorithm reads: packed once and shared by everyone who needs them.
    func packedWeights(_ weights: Value, flipped: Bool, _ algorithm: ConvolutionAlgorithm) -> Value {
        if algorithm.readsCanonicalWeights { return weights }
        let outer = flipped ? weights.shape[2] : weights.shape.channels
        let stored = roundUp(outer, to: Shape.lanes)
        let element: ElementType = algorithm.operands == .bfloat16 ? .bfloat16 : .float32
        if family == .gpu && !flipped && element == .float32 { return weights }
        let tile = family == .gpu ? stored : RegisterTile.width(channels: stored)
        return prepare(PackWeights(flipped: flipped, tile: tile, element: element), [weights])[0]
    }
}

/// Weights [R, S, C, K] repacked for a kernel family: tiles of `tile` output channels, contiguous per tap and input.
public struct PackWeights: Operator {
    /// Taps reversed and channels exchanged, for the input gradient.
    public let flipped: Bool
    /// Output channels side by side.
    public let tile: Int
    /// What the packed weights are stored as; bfloat16 in the GPU family alone.
    public let element: ElementType

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        let d = inputs[0]
        let (depth, width) = flipped ? (d[3], d[2]) : (d[2], d[3])
        return [Shape([roundUp(width, to: tile) / tile, d[0] * d[1], depth, tile], element: element)]
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        let d = e.inputs[0]
        let packed = e.outputs[0]
        let arguments: [LaunchArgument] = [
            .input(0), .output(0), .int(d[0]), .int(d[1]), .int(d[2]), .int(d[3]),
            .int(e.inputs[0].storedChannels), .int(tile),
        ]
        switch (e.library.family, flipped) {
        case (.cpu, _):
            precondition(element == .float32, "the CPU family packs float32")
            e.launch(
                "convolution_pack", "convolution_pack", arguments + [.flag(flipped)],
                e.library.grid(packed[0], packed[1]))
        case (.gpu, true):
            e.launch(
                "convolution_pack", "convolution_pack_flipped",
                options: element == .bfloat16 ? ["-DOPERAND16=1"] : [], arguments,
                WorkSize(
                    global: [roundUp(d[3], to: 16), tile, d[0] * d[1]], local: [16, 16, 1]))
        case (.gpu, false):
            precondition(element == .bfloat16, "the GPU family reads float32 weights as they are")
            let vectors = e.vectors(e.inputs[0])
            e.launch(
                "convolution_pack", "convolution_pack", options: ["-DOPERAND16=1"],
                [.input(0), .output(0), .int(vectors)], e.library.range(vectors))
        }
    }
}
