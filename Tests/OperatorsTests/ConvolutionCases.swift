import Reference
import TestSupport
import Testing

@testable import AdaShareGraph
@testable import AdaShareOperators

/// One convolution to compare.
struct ConvolutionCase: Hashable, Sendable, CustomTestStringConvertible {
    var n = 1
    let h: Int, w: Int, c: Int, k: Int, kernel: Int
    var stride = 1, dilation = 1
    /// nil: as in the method, the dilation for 3×3 and half the kernel otherwise.
    var pad: Int?
    var bias = false
    /// Input as it comes from the host, without channel pads.
    var compact = false

    var padding: Int { pad ?? (kernel == 3 ? dilation : kernel / 2) }
    var geometry: ConvolutionGeometry {
        ConvolutionGeometry(
            kernelHeight: kernel, kernelWidth: kernel, stride: stride, dilation: dilation, padding: padding)
    }
    var input: Shape { Shape([n, h, w, c], compact: compact) }
    var weights: Shape { Shape([kernel, kernel, c, k]) }

    func problem(_ pass: ConvolutionProblem.Pass) -> ConvolutionProblem {
        ConvolutionProblem(pass, geometry, input: input, outputs: k)
    }

    var testDescription: String {
        "\(n)×\(h)×\(w)×\(c)→\(k), \(kernel)×\(kernel) stride \(stride) dilation \(dilation) pad \(padding)"
            + (bias ? " bias" : "") + (compact ? " compact" : "")
    }

    /// Tiles of the CPU family are up to 28 pixels times 16 channels or 15 times 32, those of the GPU family up to 128
    /// times 128; dilations reach beyond the image.
    private static let catalogue: [ConvolutionCase] = [
        .init(n: 3, h: 1, w: 1, c: 40, k: 19, kernel: 1, bias: true),
        .init(h: 1, w: 1, c: 16, k: 16, kernel: 3),
        .init(h: 1, w: 1, c: 3, k: 32, kernel: 3, dilation: 12),
        .init(h: 5, w: 5, c: 1, k: 1, kernel: 3, bias: true),
        .init(n: 2, h: 7, w: 5, c: 3, k: 16, kernel: 3, stride: 2),
        .init(h: 15, w: 19, c: 3, k: 64, kernel: 7, stride: 2, compact: true),
        .init(n: 2, h: 6, w: 9, c: 1, k: 40, kernel: 3, compact: true),
        .init(n: 2, h: 9, w: 11, c: 19, k: 40, kernel: 3, bias: true),
        .init(n: 2, h: 14, w: 14, c: 16, k: 32, kernel: 3, stride: 2),
        .init(h: 13, w: 9, c: 32, k: 48, kernel: 1, stride: 2),
        .init(n: 3, h: 8, w: 7, c: 19, k: 3, kernel: 1, stride: 2, bias: true),
        .init(n: 2, h: 10, w: 9, c: 16, k: 16, kernel: 3, dilation: 2),
        .init(h: 6, w: 7, c: 32, k: 16, kernel: 3, dilation: 4),
        .init(h: 9, w: 13, c: 19, k: 32, kernel: 3, dilation: 4),
        .init(n: 2, h: 7, w: 8, c: 16, k: 19, kernel: 3, dilation: 6, bias: true),
        .init(h: 5, w: 9, c: 16, k: 32, kernel: 3, dilation: 12),
        .init(h: 13, w: 15, c: 3, k: 32, kernel: 3, dilation: 12, bias: true),
        .init(h: 3, w: 57, c: 3, k: 16, kernel: 3),
        .init(h: 2, w: 28, c: 16, k: 1, kernel: 3),
        .init(h: 1, w: 55, c: 3, k: 48, kernel: 3),
        .init(h: 2, w: 27, c: 16, k: 32, kernel: 3),
        .init(h: 3, w: 57, c: 16, k: 3, kernel: 3, stride: 2),
        .init(n: 2, h: 1, w: 1, c: 16, k: 16, kernel: 3, stride: 2),
        .init(h: 3, w: 29, c: 16, k: 64, kernel: 1, bias: true),
        .init(n: 2, h: 8, w: 8, c: 64, k: 48, kernel: 1),
        .init(h: 5, w: 7, c: 19, k: 40, kernel: 1),
        .init(n: 2, h: 3, w: 5, c: 32, k: 19, kernel: 1),
        .init(h: 11, w: 12, c: 16, k: 16, kernel: 3, stride: 2, dilation: 2),
        .init(h: 6, w: 6, c: 3, k: 3, kernel: 3, pad: 0),
        .init(n: 3, h: 17, w: 31, c: 8, k: 16, kernel: 3),
        .init(h: 5, w: 6, c: 80, k: 96, kernel: 1, bias: true),
        .init(h: 4, w: 33, c: 48, k: 19, kernel: 3, stride: 2),
        .init(h: 8, w: 10, c: 3, k: 3, kernel: 7),
        .init(n: 2, h: 16, w: 13, c: 64, k: 64, kernel: 3, bias: true),
        .init(h: 14, w: 15, c: 80, k: 96, kernel: 3, dilation: 2),
        .init(n: 3, h: 13, w: 29, c: 64, k: 96, kernel: 3, dilation: 4),
        .init(h: 19, w: 17, c: 96, k: 64, kernel: 3, pad: 0),
        .init(n: 2, h: 9, w: 67, c: 3, k: 64, kernel: 7, stride: 2, compact: true),
        .init(n: 2, h: 5, w: 4, c: 3, k: 32, kernel: 7, stride: 2, compact: true),
        .init(h: 4, w: 61, c: 3, k: 19, kernel: 3, bias: true, compact: true),
        .init(h: 11, w: 40, c: 1, k: 16, kernel: 7, stride: 3, compact: true),
        .init(h: 3, w: 33, c: 3, k: 16, kernel: 11, stride: 2, compact: true),
        .init(n: 2, h: 9, w: 11, c: 264, k: 272, kernel: 3, dilation: 6),
        .init(n: 2, h: 13, w: 9, c: 256, k: 288, kernel: 1, stride: 2),
        .init(h: 5, w: 16, c: 512, k: 528, kernel: 1, bias: true),
        .init(h: 7, w: 9, c: 16, k: 32, kernel: 3, bias: true),
        .init(n: 2, h: 9, w: 8, c: 32, k: 32, kernel: 3, dilation: 2),
        .init(n: 2, h: 13, w: 11, c: 32, k: 64, kernel: 3, dilation: 5, bias: true),
        .init(h: 9, w: 13, c: 64, k: 32, kernel: 3, dilation: 7),
        .init(h: 6, w: 17, c: 32, k: 32, kernel: 3, dilation: 7),
        .init(h: 4, w: 5, c: 32, k: 32, kernel: 3, dilation: 9),
        .init(h: 9, w: 14, c: 32, k: 32, kernel: 3, dilation: 3),
        .init(h: 8, w: 10, c: 272, k: 32, kernel: 3, dilation: 2, bias: true),
        .init(h: 4, w: 8, c: 3, k: 32, kernel: 3, pad: 20, compact: true),
        .init(h: 5, w: 9, c: 19, k: 32, kernel: 3, compact: true),
        .init(n: 2, h: 5, w: 6, c: 32, k: 16, kernel: 3, compact: true),
    ]

    static let all = catalogue.filter { Simulation.takes($0.multiplyAccumulates) }

    /// Multiply-accumulates of the forward pass in whole tiles of 128×64, in steps of 32: what matrix units do.
    var tiledMultiplyAccumulates: Int {
        func outputs(_ extent: Int) -> Int { (extent + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1 }
        func tiled(_ extent: Int, _ tile: Int) -> Int { (extent + tile - 1) / tile * tile }
        // Kernel rows of a compact image are one tap.
        let depth = compact ? kernel * tiled(kernel * c, 32) : kernel * kernel * tiled(c, 32)
        return tiled(n * outputs(h) * outputs(w), 128) * tiled(k, 64) * depth
    }

    var multiplyAccumulates: Int { n * h * w * c * k * kernel * kernel / (stride * stride) }
}

extension ConvolutionCase {
    static let biased = ConvolutionCase(n: 2, h: 9, w: 11, c: 19, k: 40, kernel: 3, bias: true)
    /// On GPUs by CLBlast in the test of epilogues.
    static let pointwise = ConvolutionCase(h: 5, w: 6, c: 80, k: 96, kernel: 1, bias: true)
    static let strided = ConvolutionCase(n: 2, h: 14, w: 14, c: 16, k: 32, kernel: 3, stride: 2)
    static let dilated = ConvolutionCase(h: 6, w: 7, c: 32, k: 16, kernel: 3, dilation: 4)

    /// One for each place where a kernel stores results.
    static var epilogues: [ConvolutionCase] {
        [
            biased,
            .init(h: 3, w: 57, c: 16, k: 3, kernel: 3, stride: 2),
            .init(h: 15, w: 19, c: 3, k: 64, kernel: 7, stride: 2, compact: true),
            .init(n: 2, h: 16, w: 13, c: 64, k: 64, kernel: 3, bias: true),
            .init(h: 14, w: 15, c: 80, k: 96, kernel: 3, dilation: 2),
            pointwise,
            .init(h: 3, w: 4, c: 32, k: 48, kernel: 1, bias: true),
        ].filter { Simulation.takes($0.multiplyAccumulates) }
    }
}

/// Inputs of a case and what the reference makes of them.
struct ConvolutionReference: Sendable {
    let x, w, dy, y, dx, dw, db: Tensor
    let bias: Tensor?
    private let operands: MatrixOperands?

    private struct Key: Hashable {
        let a: ConvolutionCase
        let operands: MatrixOperands?
    }
    private static let memo = Memo<Key, ConvolutionReference>()

    /// - Parameter operands: what is multiplied; nil for float32.
    static func of(_ a: ConvolutionCase, _ operands: MatrixOperands? = nil) -> ConvolutionReference {
        memo(Key(a: a, operands: operands)) { ConvolutionReference(a, operands) }
    }

    /// To the nearest number with 10 bits of mantissa, ties away from zero.
    private static func tf32(_ value: Double) -> Double {
        Double(Float(bitPattern: (Float(value).bitPattern + 0x1000) & ~0x1fff))
    }

    private init(_ a: ConvolutionCase, _ operands: MatrixOperands?) {
        self.operands = operands
        func operand(_ tensor: Tensor) -> Tensor {
            switch operands {
            case nil: tensor
            case .tf32: tensor.map(Self.tf32)
            case .bfloat16: tensor.map { Double(BFloat16(Float($0)).float) }
            }
        }
        x = .random(shape: [a.n, a.h, a.w, a.c], seed: 1)
        w = .random(shape: [a.kernel, a.kernel, a.c, a.k], seed: 2)
        bias = a.bias ? .random(shape: [a.k], seed: 3) : nil
        y = Reference.convolution(
            x: operand(x), w: operand(w), bias: bias, stride: a.stride, dilation: a.dilation, padding: a.padding)
        dy = .random(shape: y.shape, seed: 4)
        dx = Reference.convolutionInputGradient(
            dy: operand(dy), w: operand(w), inputShape: x.shape, stride: a.stride, dilation: a.dilation,
            padding: a.padding)
        dw = Reference.convolutionWeightGradient(
            x: operand(x), dy: operand(dy), kernel: (a.kernel, a.kernel), stride: a.stride, dilation: a.dilation,
            padding: a.padding)
        db = Reference.biasGradient(dy: dy)
    }

    /// Writes what graphs of the case read; x, as it comes from the host or as an activation.
    func write(_ a: ConvolutionCase, to store: TensorStore, _ arithmetic: ConvolutionArithmetic) throws {
        try store.write("x", a.input(arithmetic), x.floats)
        try store.write("w", a.weights, w.floats)
        if let bias { try store.write("b", Shape(bias.shape), bias.floats) }
        try store.write("dy", a.output(arithmetic), dy.floats)
    }

    /// Compares what there is of the outputs that `record` keeps.
    ///
    /// - Parameter pass: nil for all.
    func expect(
        _ results: Results, _ pass: ConvolutionProblem.Pass? = nil, _ context: String = "",
        _ location: SourceLocation = #_sourceLocation
    ) throws {
        // Real matrix units cut off what they align before they add, where others round.
        let isReal = try operands.map { try TestDevice.matrixLibrary().matrixUnits($0) == .instruction } ?? false
        // Half a unit in the last place of the largest value, where it is stored in 16 bits.
        func compare(_ name: String, _ expected: Tensor, _ exact: Double) throws {
            let tolerance = isReal ? 4 * exact : exact
            let element = try #require(results.outputs[name], "\(name) \(context)", sourceLocation: location).shape
                .element
            try results.expect(
                name, expected, tolerance: element == .bfloat16 ? 0x1p-8 : tolerance, context, location)
        }
        if pass == nil || pass == .forward { try compare("y", y, 2e-5) }
        if pass == nil || pass == .dataGradient { try compare("dx", dx, 2e-5) }
        guard pass == nil || pass == .weightGradient else { return }
        try compare("dw", dw, 5e-5)
        if bias != nil { try compare("db", db, 2e-5) }
    }
}

extension ConvolutionCase {
    /// x as it comes from the host, or as an activation.
    func input(_ arithmetic: ConvolutionArithmetic) -> Shape {
        compact ? input : input.stored(as: arithmetic.activations)
    }

    /// y as it is stored: among activations of 16 bits predictions, which have a bias, are not.
    func output(_ arithmetic: ConvolutionArithmetic) -> Shape {
        geometry.outputShape(input, channels: k, element: bias ? .float32 : arithmetic.activations)
    }

    /// Records the convolution, or gradients of it, and keeps the results.
    ///
    /// - Parameter pass: nil for all.
    func record(
        _ pass: ConvolutionProblem.Pass? = nil, _ arithmetic: ConvolutionArithmetic = .float32, in graph: Graph
    ) {
        graph.activations = arithmetic.activations
        let x = graph.input("x", input(arithmetic))
        let w = graph.parameter("w", weights)
        let b = bias ? graph.parameter("b", Shape([k])) : nil
        let y = graph.convolution(
            x, weights: w, bias: b, stride: stride, dilation: dilation, padding: padding,
            element: output(arithmetic).element)
        if pass == nil || pass == .forward { graph.output("y", y) }
        let loss = graph.record(Projection(), [y, graph.input("dy", output(arithmetic))])[0]
        var targets: [(String, Value)] = []
        if pass == nil || pass == .dataGradient { targets.append(("dx", x)) }
        if pass == nil || pass == .weightGradient { targets += [("dw", w)] + (b.map { [("db", $0)] } ?? []) }
        guard !targets.isEmpty else { return }
        for (target, gradient) in zip(targets, graph.gradients(of: loss, for: targets.map(\.1))) {
            if let gradient {
                graph.output(target.0, gradient)
            } else {
                Issue.record("no gradient for \(target.0) of \(self)")
            }
        }
    }
}
