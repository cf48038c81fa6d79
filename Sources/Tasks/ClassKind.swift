import AdaShareOperators
import Foundation

/// A kind that predicts one of several classes by cross-entropy.
public protocol ClassKind: TaskKind {
    /// How many there are.
    var classes: Int { get }
    /// The label that loss and metrics leave out.
    var ignored: Int { get }
}

extension ClassKind {
    public static var channels: Int? { nil }
    public static var defaultWeight: Double { 1 }
    public var ignoredClass: Int? { ignored }

    public func loss(_ prediction: Value, _ label: Value, classWeights: Value?, in recorder: any Recorder) -> Value {
        let inputs = [prediction, label] + (classWeights.map { [$0] } ?? [])
        return recorder.record(TaskLoss(.crossEntropy(ignore: ignored)), inputs)[0]
    }

    public func weight(of label: LabelValue, classWeights: [Float]?) -> Double {
        guard case .aClass(let number) = label, number != ignored else { return 0 }
        return classWeights.map { Double($0[Int(number)]) } ?? 1
    }

    public func constantGuess(classWeights: [Double]?) -> any ConstantGuess {
        ClassFrequencies(classes: classes, ignored: ignored, weights: classWeights)
    }

    /// The mean of the classes' probabilities, softmax of the scores.
    public func mean(of predictions: [Prediction]) -> Prediction {
        .mean(of: predictions.map { prediction in prediction.mappingPixels { Self.probabilities($0) } })
    }

    private static func probabilities(_ scores: [Double]) -> [Double] {
        let most = scores.max() ?? 0
        let powers = scores.map { exp($0 - most) }
        let sum = powers.reduce(0, +)
        return powers.map { $0 / sum }
    }

    public func colours(_ prediction: Prediction) -> [(UInt8, UInt8, UInt8)] { Pictures.classes(prediction) }
}
