import AdaShareDeviceLayer
import AdaShareGraph
import AdaShareMethods
import AdaShareModels
import AdaShareOperators
import AdaShareSupport
import AdaShareTuning
import Foundation

extension Experiment {
    /// Every distinct convolution of a training step, all passes: of all blocks, or of the method's own network.
    public func convolutionProblems(_ shape: BatchShape) -> [ConvolutionProblem] {
        guard method.hasOwnNetwork(methodSettings) else { return graph(.hardSharing, shape).convolutionProblems }
        var seen: Set<ConvolutionProblem> = []
        return method.namedKinds(methodSettings, policy: methodSettings.allSelected).flatMap {
            graph($0.kind, shape).convolutionProblems
        }.filter { seen.insert($0).inserted }
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

    /// Images of a training step: of several processes, those of this one.
    public var trainingShape: BatchShape {
        BatchShape(
            count: configuration.training.batch / (ranks?.count ?? 1), height: configuration.dataset.crop.height,
            width: configuration.dataset.crop.width)
    }
}
