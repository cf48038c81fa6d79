import AdaShareDeviceLayer
import AdaShareGraph
import AdaShareMethods
import AdaShareModels
import AdaShareOperators
import AdaShareSupport
import AdaShareTuning
import Foundation

extension Experiment {
    /// Every distinct convolution of a training step, all passes.
    public func convolutionProblems(_ shape: BatchShape) -> [ConvolutionProblem] {
        graph(.hardSharing, shape).convolutionProblems
    }

    /// Chooses the algorithms of all of a step's convolutions.
    ///
    /// - Returns: how each was chosen.
    /// - Throws: as `AlgorithmTuner.choices`.
    @discardableResult
    mutating func chooseAlgorithms(_ shape: BatchShape, tuner: AlgorithmTuner) throws -> RecordedAlgorithms {
        let problems = convolutionProblems(shape)
        let choices = try tuner.choices(for: problems, arithmetic: arithmetic)
        let recorded = RecordedAlgorithms(choices, for: problems, library: tuner.library)
        algorithms = recorded.algorithms
        return recorded
    }

    /// Images of a training step.
    public var trainingShape: BatchShape {
        BatchShape(
            count: configuration.training.batch, height: configuration.dataset.crop.height,
            width: configuration.dataset.crop.width)
    }
}
