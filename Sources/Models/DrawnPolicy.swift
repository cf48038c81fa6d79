import AdaShareOperators
import Foundation

extension DiscretePolicy {
    /// What Gumbel-Softmax's one-hot sample selects in a step: z_select + G_select ≥ z_skip + G_skip, G = −log(−log U).
    ///
    /// The uniforms are those the device draws under the same names, so that host and device agree on the sample.
    ///
    /// - Parameters:
    ///   - logits: [task][block · 2], column 0 = select and 1 = skip.
    ///   - open: the last blocks, which have a free policy; the others are selected.
    ///   - architecture: names the tasks' noise.
    ///   - state: seed, phase and step.
    /// - Source: Jang et al. 2017; Maddison et al. 2017.
    public static func gumbelDraw(
        logits: [[Float]], open: Int, architecture: NetworkArchitecture, state: StepState
    ) -> DiscretePolicy {
        let blocks = architecture.blocks.count
        return DiscretePolicy(
            select: logits.enumerated().map { task, row in
                let uniforms = Philox.uniforms(
                    rows: blocks, columns: 2, name: architecture.gumbelNoise(task: task), state: state)
                func score(_ index: Int) -> Double { Double(row[index]) - log(-log(Double(uniforms[index]))) }
                return (0..<blocks).map { $0 < blocks - open || score(2 * $0) >= score(2 * $0 + 1) }
            })
    }
}

extension NetworkArchitecture {
    /// Name of the noise of one task's gates.
    public func gumbelNoise(task: Int) -> String { "task\(number(task: task))_gumbel" }
}
