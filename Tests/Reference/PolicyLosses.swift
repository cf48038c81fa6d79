import Foundation

/// Which form of a policy regulariser.
public enum PolicyLossForm: CaseIterable, Sendable {
    /// As printed in the paper.
    case paper
    /// As in the authors' code.
    case published
}

extension Reference {
    /// The sparsity loss of one task over the blocks the curriculum has opened.
    ///
    ///     paper:      Σ_l w_l·log α(l)                α = softmax(z)[select]
    ///     published:  1/n · Σ_l w_l·(−log(1 − α(l)))    n = number of open blocks
    ///
    /// - Parameter logits: z, shape [L, 2]: column 0 select, column 1 skip.
    /// - Parameter open: the open blocks, counted from 0.
    /// - Parameter perLayerWeights: w_l = 2l/L with l = 1 … L from bottom to top, instead of 1.
    /// - Returns: the loss and its gradient, shape [L, 2]; both zero when no block is open.
    /// - Source: method, section 3.
    public static func sparsity(
        logits: Tensor, open: Range<Int>, form: PolicyLossForm, perLayerWeights: Bool = false
    ) -> (loss: Double, gradient: Tensor) {
        let layers = logits.shape[0]
        var (loss, gradient) = (0.0, Tensor.zeros(shape: logits.shape))
        for l in open {
            let row = [logits[l, 0], logits[l, 1]]
            let (alpha, logAlpha) = (softmax(row), logSoftmax(row))
            var weight = perLayerWeights ? 2 * Double(l + 1) / Double(layers) : 1
            switch form {
            case .paper:
                loss += weight * logAlpha[0]
                gradient[l, 0] = weight * alpha[1]
                gradient[l, 1] = -weight * alpha[1]
            case .published:
                weight /= Double(open.count)
                loss -= weight * logAlpha[1]
                gradient[l, 0] = weight * alpha[0]
                gradient[l, 1] = -weight * alpha[0]
            }
        }
        return (loss, gradient)
    }

    /// The sharing loss over all pairs of tasks and all blocks.
    ///
    ///     paper:      Σ_{k1<k2} Σ_l (L − l)/L · |α(l,k1) − α(l,k2)|
    ///     published:  Σ_{k1<k2} Σ_l l/L · |z(l,k1)[select] − z(l,k2)[select]|
    ///
    /// - Parameter logits: z, shape [K, L, 2]: column 0 select, column 1 skip; l = 1 … L from bottom to top.
    /// - Returns: the loss and its gradient, shape [K, L, 2]; equal tasks give gradient 0.
    /// - Source: method, section 3.
    public static func sharing(logits: Tensor, form: PolicyLossForm) -> (loss: Double, gradient: Tensor) {
        let (tasks, layers) = (logits.shape[0], logits.shape[1])
        var (loss, gradient) = (0.0, Tensor.zeros(shape: logits.shape))
        for first in 0..<tasks {
            for second in first + 1..<tasks {
                for l in 0..<layers {
                    let level = Double(l + 1)
                    switch form {
                    case .paper:
                        let weight = (Double(layers) - level) / Double(layers)
                        let one = softmax([logits[first, l, 0], logits[first, l, 1]])
                        let two = softmax([logits[second, l, 0], logits[second, l, 1]])
                        loss += weight * abs(one[0] - two[0])
                        let direction = weight * sign(one[0] - two[0])
                        // dα/dz = α(1 − α) for select and its negative for skip.
                        gradient[first, l, 0] += direction * one[0] * one[1]
                        gradient[first, l, 1] -= direction * one[0] * one[1]
                        gradient[second, l, 0] -= direction * two[0] * two[1]
                        gradient[second, l, 1] += direction * two[0] * two[1]
                    case .published:
                        let weight = level / Double(layers)
                        let difference = logits[first, l, 0] - logits[second, l, 0]
                        loss += weight * abs(difference)
                        gradient[first, l, 0] += weight * sign(difference)
                        gradient[second, l, 0] -= weight * sign(difference)
                    }
                }
            }
        }
        return (loss, gradient)
    }
}
