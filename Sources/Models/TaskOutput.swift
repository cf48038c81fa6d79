import AdaShareLayers
import AdaShareOperators

/// What one task puts on the last features; float32 whatever activations are stored as.
public struct TaskOutput: Layer, Hashable {
    /// What names of parameters and noise begin with, such as `task1`.
    public let prefix: String
    /// Channels, or classes, that come out.
    public let channels: Int
    /// Hidden channels of a four-rate branch.
    public let hidden: Int
    /// nil for a linear layer on pooled features.
    public let kind: HeadKind?
    /// Dropout probability of four-rate branches in training.
    public let dropout: Double

    /// Dilation rates of the four branches of a four-rate head, in the order of the parameter names.
    public static let rates = [6, 12, 18, 24]

    /// Records what the task predicts from the last features.
    ///
    /// - Parameters:
    ///   - x: [N, h, w, C].
    ///   - s: the network's root scope.
    /// - Returns: [N, h, w, channels], or [N, 1, 1, channels] of a linear layer.
    public func callAsFunction(_ x: Value, in s: Scope) -> Value {
        switch kind {
        case nil:
            return s("\(prefix)_linear").linear(s.globalAveragePool(x), channels: channels, element: .float32)
        case .light:
            return s("\(prefix)_head").convolution(x, channels: channels, kernel: 1, bias: true, element: .float32)
        case .fourRate:
            let branches = Self.rates.enumerated().map { number, rate in
                branch(x, rate: rate, in: s("\(prefix)_fc1_c\(number)"))
            }
            return s.sum(branches)
        }
    }

    private func branch(_ x: Value, rate: Int, in s: Scope) -> Value {
        let a = hiddenLayer(x, kernel: 3, rate: rate, in: s("conv1"))
        let b = hiddenLayer(a, kernel: 1, rate: 1, in: s("conv2"))
        return s("conv3").convolution(b, channels: channels, kernel: 1, bias: true, element: .float32)
    }

    private func hiddenLayer(_ x: Value, kernel: Int, rate: Int, in s: Scope) -> Value {
        let drops = s.mode == .training && dropout > 0
        let y = s.convolution(
            x, channels: hidden, kernel: kernel, dilation: rate, padding: kernel == 1 ? 0 : rate, bias: true,
            relu: !drops)
        return drops ? s.reluDropout(y, probability: dropout) : y
    }
}
