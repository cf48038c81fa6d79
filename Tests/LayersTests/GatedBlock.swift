import AdaShareLayers
import AdaShareOperators

/// A residual block of which a row of gates takes what it wants.
struct GatedBlock: Layer {
    let channels: Int

    func callAsFunction(_ x: Value, gates: Value, row: Int, in s: Scope) -> Value {
        let h = s("conv1").convolution(x, channels: channels, kernel: 3, padding: 1)
        let a = s("bn1").batchNorm(h, tail: .relu)
        let b = s("conv2").convolution(a, channels: channels, kernel: 3, padding: 1)
        return s("bn2").batchNorm(b, tail: .mix(residual: x, gates: gates, row: row))
    }
}

/// Blocks with one sampled gate each, and a linear head.
struct GatedNetwork: Layer {
    var width = 16
    var depth = 2
    var classes = 5

    func callAsFunction(_ image: Value, in s: Scope) -> Value {
        var x = s("stem").convolution(image, channels: width, kernel: 3, padding: 1, relu: true)
        let gates = s.gumbelSoftmax(s.parameter("gates", [depth, 2], initial: .constant(0.5), group: "gates"))
        for row in 0..<depth {
            x = GatedBlock(channels: width)(x, gates: gates, row: row, in: s("blocks")("\(row)"))
        }
        return s("head").linear(s.globalAveragePool(x), channels: classes)
    }
}
