import AdaShareGraph
import AdaShareOperators

/// Some results of a convolution in float64, from the data on the device.
///
/// y[n,p,q,k] = Σ x[n, p·s + r·d − o, q·s + t·d − o, c] · w[r,t,c,k] for stride s, dilation d and padding o, and the
/// derivatives of that sum.
struct ConvolutionSamples {
    let problem: ConvolutionProblem
    private let x, w, dy: [Float]

    /// Results compared beside those of `edges`.
    private static let count = 96

    /// The last image's border, and a row in its middle for every position in a tile; channels vary.
    private static func edges(_ shape: Shape) -> [Int] {
        let (n, h, w, channels) = (
            shape[0], shape[1], shape[2], shape[3]
        )
        var pixels: [Int] = []
        for row in [0, h / 2, h - 1] { pixels += (0..<w).map { row * w + $0 } }
        for row in 0..<h { pixels += [row * w, row * w + w - 1] }
        return pixels.enumerated().map { number, pixel in
            ((n - 1) * h * w + pixel) * channels + number * 7 % channels
        }
    }

    /// - Parameter arithmetic: with bfloat16, sums are those of operands that are rounded to that.
    /// - Throws: `DeviceError` if the data cannot be read back.
    init(_ problem: ConvolutionProblem, _ store: TensorStore, arithmetic: ConvolutionArithmetic = .float32) throws {
        self.problem = problem
        func operand(_ name: String, isRead: Bool) throws -> [Float] {
            let values = isRead ? try store.read(name) : []
            return arithmetic == .bfloat16 ? values.map { BFloat16($0).float } : values
        }
        x = try operand("x", isRead: problem.pass != .dataGradient)
        w = try operand("w", isRead: problem.pass != .weightGradient)
        dy = try operand("dy", isRead: problem.pass != .forward)
    }

    /// The largest deviation of computed results, as a part of the largest one; what storing them rounds is no
    /// deviation.
    ///
    /// - Parameters:
    ///   - found: all results in logical order.
    ///   - element: what they were stored as.
    func error(of found: [Float], storedAs element: ElementType) -> Double {
        // Half a unit in the last place of 7 bits is at most this part of a number.
        let rounding = element == .bfloat16 ? 0x1p-8 : 0
        let draws = Philox.uniforms(rows: Self.count, columns: 1, name: "samples", state: StepState())
        let edges =
            switch problem.pass {
            case .forward: Self.edges(problem.output)
            case .dataGradient: Self.edges(problem.input)
            case .weightGradient: [Int]()
            }
        let positions =
            edges + [0, found.count - 1] + draws.map { min(found.count - 1, Int(Double($0) * Double(found.count))) }
        var (deviation, range) = (0.0, 0.0)
        for position in positions {
            let expected = value(position)
            let difference = max(0, abs(Double(found[position]) - expected) - rounding * abs(expected))
            // A comparison with NaN is false.
            deviation = found[position].isFinite && difference.isFinite ? max(deviation, difference) : .infinity
            range = max(range, abs(expected))
        }
        return deviation / range
    }

    private func value(_ position: Int) -> Double {
        switch problem.pass {
        case .forward: y(at: indices(position, problem.output.dimensions))
        case .dataGradient: dx(at: indices(position, problem.input.dimensions))
        case .weightGradient:
            dw(at: indices(position, [g.kernelHeight, g.kernelWidth, problem.input.channels, problem.outputs]))
        }
    }

    private var g: ConvolutionGeometry { problem.geometry }

    private func indices(_ position: Int, _ extents: [Int]) -> [Int] {
        var rest = position
        return Array(
            extents.reversed().map { extent in
                defer { rest /= extent }
                return rest % extent
            }.reversed())
    }

    private func y(at i: [Int]) -> Double {
        let (size, channels) = (problem.input, problem.input.channels)
        var sum = 0.0
        for r in 0..<g.kernelHeight {
            for t in 0..<g.kernelWidth {
                let (h, v) = (
                    i[1] * g.stride + r * g.dilation - g.padding, i[2] * g.stride + t * g.dilation - g.padding
                )
                guard 0..<size[1] ~= h, 0..<size[2] ~= v else { continue }
                let (from, weights) = (
                    ((i[0] * size[1] + h) * size[2] + v) * channels, (r * g.kernelWidth + t) * channels
                )
                for c in 0..<channels {
                    sum += Double(x[from + c]) * Double(w[(weights + c) * problem.outputs + i[3]])
                }
            }
        }
        return sum
    }

    private func dx(at i: [Int]) -> Double {
        let size = problem.output
        let outputs = problem.outputs
        var sum = 0.0
        for r in 0..<g.kernelHeight {
            for t in 0..<g.kernelWidth {
                let (h, v) = (i[1] + g.padding - r * g.dilation, i[2] + g.padding - t * g.dilation)
                guard h >= 0, v >= 0, h % g.stride == 0, v % g.stride == 0 else { continue }
                let (p, q) = (h / g.stride, v / g.stride)
                guard p < size[1], q < size[2] else { continue }
                let from = ((i[0] * size[1] + p) * size[2] + q) * outputs
                let weights = ((r * g.kernelWidth + t) * problem.input.channels + i[3]) * outputs
                for k in 0..<outputs { sum += Double(dy[from + k]) * Double(w[weights + k]) }
            }
        }
        return sum
    }

    private func dw(at i: [Int]) -> Double {
        let (size, result) = (problem.input, problem.output)
        var sum = 0.0
        for n in 0..<size[0] {
            for p in 0..<result[1] {
                let h = p * g.stride + i[0] * g.dilation - g.padding
                guard 0..<size[1] ~= h else { continue }
                for q in 0..<result[2] {
                    let v = q * g.stride + i[1] * g.dilation - g.padding
                    guard 0..<size[2] ~= v else { continue }
                    sum +=
                        Double(x[((n * size[1] + h) * size[2] + v) * size[3] + i[2]])
                        * Double(dy[((n * result[1] + p) * result[2] + q) * result[3] + i[3]])
                }
            }
        }
        return sum
    }
}
