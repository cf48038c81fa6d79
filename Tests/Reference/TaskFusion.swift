import Foundation

extension Reference {
    /// Tensors of one shape, added with a weight for each channel of each.
    ///
    ///     y[…, c] = Σⱼ w[j, c] · xⱼ[…, c]
    ///
    /// - Parameter weights: [T, C].
    public static func channelMix(_ terms: [Tensor], weights: Tensor) -> Tensor {
        let channels = weights.shape[1]
        var y = Tensor.zeros(shape: terms[0].shape)
        for (row, x) in terms.enumerated() {
            for i in 0..<y.count { y.values[i] += weights[row, i % channels] * x.values[i] }
        }
        return y
    }

    /// The gradients of `channelMix`.
    public static func channelMixGradient(
        _ terms: [Tensor], weights: Tensor, dy: Tensor
    ) -> (dTerms: [Tensor], dWeights: Tensor) {
        let channels = weights.shape[1]
        var dWeights = Tensor.zeros(shape: weights.shape)
        let dTerms = terms.enumerated().map { row, x in
            var dx = dy
            for i in 0..<dy.count {
                dx.values[i] *= weights[row, i % channels]
                dWeights[row, i % channels] += x.values[i] * dy.values[i]
            }
            return dx
        }
        return (dTerms, dWeights)
    }

    /// A tensor let through as far as another one says, p / (1 + exp(−z)).
    public static func sigmoidProduct(_ z: Tensor, _ p: Tensor) -> Tensor { z.zip(p) { $1 / (1 + exp(-$0)) } }

    /// The gradients of `sigmoidProduct`.
    public static func sigmoidProductGradient(_ z: Tensor, _ p: Tensor, dy: Tensor) -> (dz: Tensor, dp: Tensor) {
        let s = z.map { 1 / (1 + exp(-$0)) }
        return (s.zip(p) { $0 * (1 - $0) * $1 }.zip(dy, *), s.zip(dy, *))
    }

    /// Slices of the channels of tensors of one shape, added with a weight for each pair of slices.
    ///
    ///     y₍g₎ = Σ₍ⱼ,h₎ w[g, j·G + h] · xⱼ₍h₎
    ///
    /// - Parameter weights: [G, T·G].
    public static func subspaceMix(_ terms: [Tensor], weights: Tensor) -> Tensor {
        let (subspaces, channels) = (weights.shape[0], terms[0].shape[3])
        let span = channels / subspaces
        var y = Tensor.zeros(shape: terms[0].shape)
        for i in 0..<y.count {
            let (row, g, offset) = (i / channels, i % channels / span, i % span)
            for (j, x) in terms.enumerated() {
                for h in 0..<subspaces {
                    y.values[i] += weights[g, j * subspaces + h] * x.values[row * channels + h * span + offset]
                }
            }
        }
        return y
    }

    /// The gradients of `subspaceMix`.
    public static func subspaceMixGradient(
        _ terms: [Tensor], weights: Tensor, dy: Tensor
    ) -> (dTerms: [Tensor], dWeights: Tensor) {
        let (subspaces, channels) = (weights.shape[0], dy.shape[3])
        let span = channels / subspaces
        var dWeights = Tensor.zeros(shape: weights.shape)
        var dTerms = terms.map { Tensor.zeros(shape: $0.shape) }
        for i in 0..<dy.count {
            let (row, g, offset) = (i / channels, i % channels / span, i % span)
            for j in terms.indices {
                for h in 0..<subspaces {
                    let place = row * channels + h * span + offset
                    dTerms[j].values[place] += weights[g, j * subspaces + h] * dy.values[i]
                    dWeights[g, j * subspaces + h] += terms[j].values[place] * dy.values[i]
                }
            }
        }
        return (dTerms, dWeights)
    }

    /// Σ₍g<h₎ ‖W_gᵀ W_h‖² of weights [R, S, C, K], slices of K; and its gradient.
    public static func subspaceOverlap(_ weights: Tensor, subspaces: Int) -> (value: Double, gradient: Tensor) {
        let channels = weights.shape[3]
        let (rows, span) = (weights.count / channels, channels / subspaces)
        var (value, gradient) = (0.0, Tensor.zeros(shape: weights.shape))
        for k in 0..<channels {
            for l in 0..<channels where k / span < l / span {
                var product = 0.0
                for row in 0..<rows {
                    product += weights.values[row * channels + k] * weights.values[row * channels + l]
                }
                value += product * product
                for row in 0..<rows {
                    gradient.values[row * channels + k] += 2 * product * weights.values[row * channels + l]
                    gradient.values[row * channels + l] += 2 * product * weights.values[row * channels + k]
                }
            }
        }
        return (value, gradient)
    }
}
