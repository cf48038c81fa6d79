/// One pass of one convolution on given shapes: what an algorithm is chosen for.
public struct ConvolutionProblem: Hashable, Sendable {
    /// What is computed from the other two of x, weights and y.
    public enum Pass: String, Hashable, Sendable, Codable {
        /// y of x and weights.
        case forward
        /// dx of dy and weights.
        case dataGradient = "data_gradient"
        /// dw of x and dy.
        case weightGradient = "weight_gradient"
    }

    /// Which pass.
    public let pass: Pass
    /// Of the forward pass, as are the shapes.
    public let geometry: ConvolutionGeometry
    /// x [N, H, W, C]; what it is stored as follows from how convolutions may round.
    public let input: Shape
    /// K.
    public let outputs: Int

    /// Creates the problem of one pass.
    ///
    /// - Parameters:
    ///   - pass: which one.
    ///   - geometry: of the forward pass.
    ///   - input: x [N, H, W, C], whichever pass it is.
    ///   - outputs: K.
    public init(_ pass: Pass, _ geometry: ConvolutionGeometry, input: Shape, outputs: Int) {
        self.pass = pass
        self.geometry = geometry
        self.input = input.stored(as: .float32)
        self.outputs = outputs
    }

    /// Few problems are of one size: their numbers together are quicker to mix than each by itself.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(input.storedCount ^ outputs << 40 ^ geometry.kernelHeight << 56)
    }

    /// y [N, P, Q, K].
    public var output: Shape { geometry.outputShape(input, channels: outputs) }

    /// Of the direct sum.
    public var multiplyAccumulates: Int {
        output.count * input.channels * geometry.kernelHeight * geometry.kernelWidth
    }

    /// What the pass reads and what has the shape of its result: y for the weight gradient, whose sum runs over its
    /// pixels.
    var source: Shape { pass == .dataGradient ? output : input }
    var target: Shape { pass == .dataGradient ? input.withPads : output }
}

extension ConvolutionProblem: CustomStringConvertible {
    /// Such as `forward 3x3 4x56x56x64-64 stride 1 dilation 1 padding 1`.
    public var description: String {
        let g = geometry
        let shape = input.dimensions.map(String.init).joined(separator: "x") + (input.isCompact ? " compact" : "")
        return "\(pass.rawValue) \(g.kernelHeight)x\(g.kernelWidth) \(shape)-\(outputs) stride \(g.stride) "
            + "dilation \(g.dilation) padding \(g.padding)"
    }
}

extension ConvolutionProblem: Codable {
    private enum Keys: String, CodingKey {
        case pass, input, compact, outputs, kernel, stride, dilation, padding
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Keys.self)
        try container.encode(pass, forKey: .pass)
        try container.encode(input.dimensions, forKey: .input)
        try container.encode(input.isCompact, forKey: .compact)
        try container.encode(outputs, forKey: .outputs)
        try container.encode([geometry.kernelHeight, geometry.kernelWidth], forKey: .kernel)
        try container.encode(geometry.stride, forKey: .stride)
        try container.encode(geometry.dilation, forKey: .dilation)
        try container.encode(geometry.padding, forKey: .padding)
    }

    /// - Throws: `DecodingError` unless the numbers are those of a convolution.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Keys.self)
        func sizes(_ key: Keys, count: Int) throws -> [Int] {
            let found = try container.decode([Int].self, forKey: key)
            guard found.count == count, found.allSatisfy({ 1..<1 << 24 ~= $0 }) else {
                throw DecodingError.dataCorruptedError(forKey: key, in: container, debugDescription: "\(found)")
            }
            return found
        }
        func size(_ key: Keys, from least: Int = 1) throws -> Int {
            let found = try container.decode(Int.self, forKey: key)
            guard least..<1 << 24 ~= found else {
                throw DecodingError.dataCorruptedError(forKey: key, in: container, debugDescription: "\(found)")
            }
            return found
        }
        let kernel = try sizes(.kernel, count: 2)
        pass = try container.decode(Pass.self, forKey: .pass)
        geometry = ConvolutionGeometry(
            kernelHeight: kernel[0], kernelWidth: kernel[1], stride: try size(.stride),
            dilation: try size(.dilation), padding: try size(.padding, from: 0))
        input = Shape(try sizes(.input, count: 4), compact: try container.decode(Bool.self, forKey: .compact))
        outputs = try size(.outputs)
        let extents = zip(kernel, [input.height, input.width]).map { geometry.outputSize($1, kernel: $0) }
        guard extents.allSatisfy({ 1..<1 << 24 ~= $0 }), kernel.allSatisfy({ $0 < 1 << 12 }) else {
            throw DecodingError.dataCorruptedError(
                forKey: .kernel, in: container, debugDescription: "\(kernel) for an output of \(extents)")
        }
        // Kernels count elements in 32 bits; within that, no product of sizes leaves 64 bits.
        for tensor in [
            input.dimensions, [input.dimensions[0], outputs] + extents, kernel + [input.channels, outputs],
        ]
        where tensor.reduce(1, { $0 * Double($1) }) > Double(Int32.max) {
            throw DecodingError.dataCorruptedError(
                forKey: .input, in: container, debugDescription: "a tensor of \(tensor) elements")
        }
    }
}
