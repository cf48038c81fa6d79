import Foundation

extension Reference {
    /// Decisions of each image, drawn: v = [p ≥ ½] of p = 1 / (1 + exp(−(z + log u − log(1 − u)) / τ)).
    ///
    /// - Returns: v, p, and the gradient ∂p/∂z that passes straight through.
    public static func imageGates(
        logits: Tensor, uniforms: Tensor, temperature: Double
    ) -> (v: Tensor, soft: Tensor, slope: Tensor) {
        let soft = logits.zip(uniforms) { z, u in 1 / (1 + exp(-(z + log(u) - log(1 - u)) / temperature)) }
        return (soft.map { $0 >= 0.5 ? 1 : 0 }, soft, soft.map { $0 * (1 - $0) / temperature })
    }

    /// yₙ = vₙ · aₙ + (1 − vₙ) · bₙ with a column of v [N, K]; and its gradients.
    public static func imageSelect(
        _ a: Tensor, _ b: Tensor, gates: Tensor, column: Int, dy: Tensor
    ) -> (y: Tensor, da: Tensor, db: Tensor, dv: Tensor) {
        let span = a.count / a.shape[0]
        var (y, da, db, dv) = (a, dy, dy, Tensor.zeros(shape: gates.shape))
        for i in 0..<a.count {
            let gate = gates[i / span, column]
            y.values[i] = gate * a.values[i] + (1 - gate) * b.values[i]
            da.values[i] = gate * dy.values[i]
            db.values[i] = (1 - gate) * dy.values[i]
            dv[i / span, column] += dy.values[i] * (a.values[i] - b.values[i])
        }
        return (y, da, db, dv)
    }

    /// Mean over images of the square of the mean gate.
    public static func blockUse(_ gates: Tensor) -> Double {
        let (images, blocks) = (gates.shape[0], gates.shape[1])
        return (0..<images).reduce(0) { total, image in
            let share = (0..<blocks).reduce(0) { $0 + gates[image, $1] } / Double(blocks)
            return total + share * share
        } / Double(images)
    }

    /// `sparsity` of each image's logits z [N, K], with 0 as the logit of skipping; mean over images.
    public static func imageSparsity(_ logits: Tensor, form: PolicyLossForm, perLayerWeights: Bool) -> Double {
        let (images, blocks) = (logits.shape[0], logits.shape[1])
        return (0..<images).reduce(0) { total, image in
            total
                + sparsity(
                    logits: rows(logits, image), open: 0..<blocks, form: form, perLayerWeights: perLayerWeights
                ).loss
        } / Double(images)
    }

    /// `sharing` of two tasks' logits z [N, K] of each image, with 0 as the logit of skipping; mean over images.
    public static func imageSharing(_ first: Tensor, _ second: Tensor, form: PolicyLossForm) -> Double {
        let (images, blocks) = (first.shape[0], first.shape[1])
        return (0..<images).reduce(0) { total, image in
            let both = rows(first, image).values + rows(second, image).values
            return total + sharing(logits: Tensor(shape: [2, blocks, 2], values: both), form: form).loss
        } / Double(images)
    }

    /// [K, 2] of one image.
    private static func rows(_ logits: Tensor, _ image: Int) -> Tensor {
        let blocks = logits.shape[1]
        return Tensor(shape: [blocks, 2], values: (0..<blocks).flatMap { [logits[image, $0], 0] })
    }
}
