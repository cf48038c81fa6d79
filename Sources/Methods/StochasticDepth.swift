import AdaShareFiles
import AdaShareModels
import AdaShareOperators
import AdaShareSchema

/// Residual branches are left out at random while training, the more the higher they are, and all computed in the end.
///
/// Block l of L survives a step with probability 1 − (1 − p)·l/L, for all tasks alike; what is left out is not
/// computed.
/// The weights for inference have the last scale and shift of each branch multiplied by that probability: the branch is
/// then its expectation, but for the blocks with a projection, whose output without the branch has no ReLU while
/// training, as everywhere in this network.
///
/// - Source: Huang, Sun, Liu, Sedra, Weinberger, "Deep networks with stochastic depth", ECCV 2016.
public struct StochasticDepth: Method {
    public static let kind = "stochastic_depth"
    public static let meaning = "hard sharing with branches left out at random while training; one phase, `train`"
    public static var fields: [ConfigurationField<StochasticDepth>] {
        [
            .key(
                "survival", \.survival, limit: .above(0, to: 1),
                "Probability with which `stochastic_depth` computes the topmost branch in a step; it falls to this "
                    + "in a straight line from 1 below the first.")
        ]
    }

    /// `method.survival`: p, the probability that a step computes the topmost branch, above 0 and at most 1.
    public var survival = 0.5

    public init() {}

    /// Probability that a block is executed, bottom to top.
    func probabilities(_ blocks: Int) -> [Double] {
        (1...blocks).map { 1 - (1 - survival) * Double($0) / Double(blocks) }
    }

    public func phases(_ settings: MethodSettings) -> [PhaseOutline] {
        [PhaseOutline(.train, iterations: settings.wholeLength)]
    }

    public func begin(_ outline: PhaseOutline, in run: any MethodRun) throws -> any TrainingPhase {
        Training(run: run, probabilities: probabilities(run.blocks))
    }

    public func typicalSteps(
        of outline: PhaseOutline, _ settings: MethodSettings, policy: DiscretePolicy?
    ) -> (steps: [(kind: StepKind, share: Double)], notes: [String]) {
        ([(.hardSharing, 1)], ["training takes less: branches that are left out are not counted"])
    }

    public func namedKinds(_ settings: MethodSettings, policy: DiscretePolicy) -> [(name: String, kind: StepKind)] {
        [("training", .hardSharing)]
    }

    private struct Training: TrainingPhase {
        unowned let run: any MethodRun
        let probabilities: [Double]

        func enter() throws { try run.initialise(nil, keepingLogits: false) }

        func step(_ iteration: Int) throws -> PhaseStep {
            let state = run.stepState(iteration, phase: PhaseNumber.train)
            let draws = Philox.uniforms(rows: probabilities.count, columns: 1, name: "stochastic_depth", state: state)
            let survives = zip(draws, probabilities).map { Double($0) < $1 }
            return PhaseStep(
                StepKind(SharedStep(blocks: survives)), state: state,
                facts: ["blocks": .integer(survives.count { $0 })])
        }

        var kinds: [StepKind] { [.hardSharing] }
        func policy() throws -> DiscretePolicy { run.settings.allSelected }
        var isScoredAgainstConstants: Bool { true }
        var changesWeights: Bool { true }

        func inferenceWeights(_ file: TensorFile) throws -> TensorFile {
            var result = file
            let architecture = run.settings.architecture
            for (block, probability) in zip(architecture.blocks, probabilities) {
                for norm in architecture.normPrefixes.map(block.lastBatchNorm) {
                    for name in ["\(norm).weight", "\(norm).bias"] {
                        let values = try file.floats(name).map { Float(probability) * $0 }
                        result.add(name, floats: values, shape: [values.count])
                    }
                }
            }
            return result
        }
    }
}
