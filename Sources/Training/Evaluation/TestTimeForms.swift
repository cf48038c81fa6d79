import AdaShareDatasets
import AdaShareSupport
import AdaShareTasks

/// The forms of an image whose predictions are averaged when it is scored: test-time augmentation.
///
/// Each prediction is brought back into the frame of the image: mirrored back, and resized, bilinear, to the prediction
/// of the largest scale. What the mean is, the kind of the task says. One form gives its prediction as it is.
public struct TestTimeForms: Sendable, Equatable {
    /// Factors on both sides of the image.
    public let scales: [Double]
    /// Whether each scale is taken mirrored too.
    public let flips: Bool

    /// The image itself alone.
    public static let image = TestTimeForms(scales: [1], flips: false)

    /// Creates forms.
    ///
    /// - Precondition: at least one scale, all above 0.
    public init(scales: [Double], flips: Bool) {
        precondition(!scales.isEmpty && scales.allSatisfy { $0 > 0 }, "scales \(scales)")
        (self.scales, self.flips) = (scales, flips)
    }

    /// Checks that mirrored images say something about the image.
    ///
    /// - Throws: `InputError` naming the task whose predictions cannot be mirrored.
    package func check(_ tasks: [TaskConfiguration]) throws {
        guard flips else { return }
        for task in tasks {
            let zeros = [Float](repeating: 0, count: task.channels)
            let pixel = Prediction(height: 1, width: 1, channels: task.channels, values: zeros)
            guard task.made.mirrored(pixel) == nil else { continue }
            throw InputError(
                file: "--flip", place: task.name, found: "predictions that cannot be mirrored back, as it was trained",
                expected: "--scales alone, or --tasks without it")
        }
    }

    /// The mean prediction of the forms, for each task.
    ///
    /// - Parameters:
    ///   - batch: one image.
    ///   - kinds: of the tasks, by name.
    ///   - network: predicts one form.
    /// - Precondition: `check` has passed.
    func predict(
        _ batch: Batch, kinds: [String: any TaskKind], network: (Batch) throws -> [String: Prediction]
    ) throws -> [String: Prediction] {
        guard self != .image else { return try network(batch) }
        var found: [String: [Prediction]] = [:]
        // The largest first: the others are brought to its size.
        for scale in scales.sorted(by: >) {
            for isMirrored in flips ? [false, true] : [false] {
                for (task, prediction) in try network(batch.viewed(scale: scale, isMirrored: isMirrored)) {
                    guard let upright = isMirrored ? kinds[task]?.mirrored(prediction) : prediction else {
                        preconditionFailure("predictions of \(task) cannot be mirrored")
                    }
                    let first = found[task]?.first ?? upright
                    found[task, default: []].append(upright.resized(height: first.height, width: first.width))
                }
            }
        }
        return found.reduce(into: [:]) { means, entry in
            let (task, predictions) = entry
            means[task] = predictions.count == 1 ? predictions[0] : kinds[task]?.mean(of: predictions)
        }
    }
}
