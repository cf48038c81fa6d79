import AdaShareDatasets
import AdaShareOperators
import Foundation

/// A surface normal for each pixel; cosine loss.
public struct Normals: TaskKind {
    public static let name = "normals"
    public static let publishedName: String? = "sn"
    public static let meaning = "a surface normal for each pixel"
    public static let absence = "a channel of 255 (grey, 127 or 128 in all, says no direction and is noted)"
    public static let channels: Int? = 3
    public static let defaultWeight = 20.0
    public static let conventionKey: ConventionKey? = ConventionKey(
        path: "dataset.normals",
        meaning: "Space in which normals are trained: decoded (n_x, n_y, n_z), or raw colours B, G, R as published.")

    private let space: MetricConvention

    public init(_ task: TaskConfiguration) { space = task.convention }

    /// Raw colours R, G, B, 0 to 255; a largest channel of 255 has no normal.
    public var label: LabelFormat {
        LabelFormat(.numbers, channels: 3, absent: 255, mirroring: .reflectsFirstChannel)
    }

    public func loss(_ prediction: Value, _ label: Value, classWeights: Value?, in recorder: any Recorder) -> Value {
        recorder.record(TaskLoss(.cosine(published: space == .published)), [prediction, label])[0]
    }

    public func weight(of label: LabelValue, classWeights: [Float]?) -> Double {
        guard case .numbers(let numbers) = label else { return 0 }
        return numbers.allSatisfy { $0 < 255 } ? 1 : 0
    }

    public func metrics() -> any TaskMetrics { NormalMetrics(order: space) }
    public func constantGuess(classWeights: [Double]?) -> any ConstantGuess { MeanDirection(space: space) }

    /// With x negated.
    ///
    /// Directions of raw colours cannot be mirrored. A colour B, G, R becomes B, G, 255 − R, which takes its length,
    /// and that the direction does not say: it belongs to up to two normals, whose mirror images differ.
    public func mirrored(_ prediction: Prediction) -> Prediction? {
        guard space == .exact else { return nil }
        return prediction.flipped.mappingPixels { [-$0[0], $0[1], $0[2]] }
    }

    /// The direction of the mean of the directions.
    public func mean(of predictions: [Prediction]) -> Prediction {
        func directions(_ prediction: Prediction) -> Prediction {
            prediction.mappingPixels { pixel in
                let unit = normalised(SIMD3(pixel[0], pixel[1], pixel[2]))
                return [unit.x, unit.y, unit.z]
            }
        }
        return directions(.mean(of: predictions.map(directions)))
    }

    public var deviationUnit: String? { "°" }

    /// x, y, z of length 1; of a network that was trained in colours, the direction of R, G, B.
    public func numbers(_ prediction: Prediction) -> [Float] {
        let directions = prediction.mappingPixels { pixel in
            let unit = normalised(SIMD3(pixel[0], pixel[1], pixel[2]))
            return space == .published ? [unit.z, unit.y, unit.x] : [unit.x, unit.y, unit.z]
        }
        return directions.values
    }

    /// The angle, between colours for a network that was trained in them.
    public func deviations(_ prediction: Prediction, from label: ImageLabel) -> [Float] {
        let directions = numbers(prediction)
        return (0..<label.numbers.count / 3).map { pixel in
            let colour = vector(label.numbers, at: pixel)
            guard isValidNormal(colour) else { return .nan }
            let truth = space == .published ? colour : decodedNormal(colour)
            return Float(acos(cosine(vector(directions, at: pixel), truth)) * 180 / .pi)
        }
    }

    /// Always R, G, B = x, y, z.
    public func colours(_ prediction: Prediction) -> [(UInt8, UInt8, UInt8)] {
        (0..<prediction.height * prediction.width).map { pixel in
            let v = vector(prediction.values, at: pixel)
            let length = max((v * v).sum().squareRoot(), 1e-12)
            // Published normals live in colour space already, in B, G, R order.
            let c = space == .published ? SIMD3(v.z, v.y, v.x) / length * 255 : (v / length + 1) * 127.5
            func byte(_ x: Double) -> UInt8 { UInt8(max(0, min(255, x.rounded()))) }
            return (byte(c.x), byte(c.y), byte(c.z))
        }
    }
}

/// The direction of the mean unit vector in the trained space, which has the largest mean cosine of all constants.
///
/// Its loss is 1 − the length of the mean.
struct MeanDirection: ConstantGuess {
    let space: MetricConvention
    private var sum = SIMD3<Double>.zero
    private var count = 0

    init(space: MetricConvention) { self.space = space }

    mutating func add(_ label: ImageLabel) {
        for index in 0..<label.numbers.count / 3 {
            let colour = vector(label.numbers, at: index)
            guard isValidNormal(colour) else { continue }
            sum += normalised(space == .exact ? decodedNormal(colour) : SIMD3(colour.z, colour.y, colour.x))
            count += 1
        }
    }

    func prediction() -> [Float] {
        let unit = normalised(sum)
        return [Float(unit.x), Float(unit.y), Float(unit.z)]
    }

    func loss() -> Double { count == 0 ? .nan : 1 - (sum * sum).sum().squareRoot() / Double(count) }
}

/// Angles between predicted and labelled surface normals.
///
/// Labels are colours, (n + 1) · 127.5 in R, G, B; a pixel whose largest channel is 255 has no label.
///
/// - `published` measures between raw colours in the order B, G, R; a prediction trained as `exact` is first turned
///   into the colour of its normal.
/// - `exact` measures between decoded normals. A prediction trained as `published` is only reordered: the direction of
///   a colour belongs to up to two normals, so nothing can decode it, and its angles here are not comparable with
///   those of a network trained as `exact`.
///
/// Both are per pixel over all images. The median is the mean of the angles within 180°/2¹⁸ = 0.0007° of it: exact
/// where there is one.
public struct NormalMetrics: Sendable {
    /// What the predictions were trained as: directions of raw colours B, G, R (`published`), or decoded normals.
    public let order: MetricConvention
    private var published = AngleAccumulator()
    private var exact = AngleAccumulator()

    /// Creates an empty accumulator for predictions in this order.
    public init(order: MetricConvention) {
        self.order = order
    }

    /// Adds one image.
    ///
    /// - Parameters:
    ///   - prediction: raw head output in the trained order, [height, width, 3] row-major, of any length; resized to
    ///     the label by nearest neighbour.
    ///   - height: rows of the prediction.
    ///   - width: columns of the prediction.
    ///   - label: raw colours 0…255, R, G, B, [labelHeight, labelWidth, 3].
    ///   - labelHeight: rows of the label.
    ///   - labelWidth: columns of the label.
    public mutating func add(
        prediction: [Float], height: Int, width: Int, label: [Float], labelHeight: Int, labelWidth: Int
    ) {
        precondition(label.count == labelHeight * labelWidth * 3, "label is not labelHeight × labelWidth × 3")
        let isPublished = order == .published
        forEachPixel(
            predictionCount: prediction.count, channels: 3, height: height, width: width,
            labelCount: label.count / 3, labelHeight: labelHeight, labelWidth: labelWidth
        ) { index, pixel in
            let colour = vector(label, at: index)
            guard isValidNormal(colour) else { return }
            let output = vector(prediction, at: pixel)
            let reversed = SIMD3(output.z, output.y, output.x)
            let direction = isPublished ? reversed : normalised(output)
            published.add(cosine: cosine(isPublished ? direction : direction + 1, colour))
            exact.add(cosine: cosine(direction, decodedNormal(colour)))
        }
    }

    /// `angle_mean`, `angle_median`, `angle_rmse` in °, `within_11.25`, `within_22.5`, `within_30` in %, `cosine`.
    public func results() -> [MetricConvention: [Metric]] {
        [.published: published.metrics, .exact: exact.metrics]
    }
}

/// Whether a normal's colour is a label: its largest channel is below 255.
func isValidNormal(_ colour: SIMD3<Double>) -> Bool { colour.max() < 255 }

/// The normal of a colour 0…255, not yet of unit length: n = colour / 127.5 − 1.
func decodedNormal(_ colour: SIMD3<Double>) -> SIMD3<Double> { colour / 127.5 - 1 }

/// The three values of pixel `index`.
func vector(_ values: [Float], at index: Int) -> SIMD3<Double> {
    SIMD3(Double(values[index * 3]), Double(values[index * 3 + 1]), Double(values[index * 3 + 2]))
}

/// The vector at unit length; the zero vector stays.
func normalised(_ vector: SIMD3<Double>) -> SIMD3<Double> {
    let length = (vector * vector).sum().squareRoot()
    return length > 0 ? vector / length : vector
}

/// Cosine of the angle between two vectors; 0 if one is zero or not finite.
private func cosine(_ left: SIMD3<Double>, _ right: SIMD3<Double>) -> Double {
    let value = (normalised(left) * normalised(right)).sum()
    return value.isFinite ? min(max(value, -1), 1) : 0
}

/// Sums and a histogram of angles.
private struct AngleAccumulator: Sendable {
    private static let steps = 1 << 18
    private static let limits = [11.25, 22.5, 30]
    private var angle = 0.0
    private var square = 0.0
    private var cosine = 0.0
    private var count = 0
    private var within = [0, 0, 0]
    /// Of each step the angles that fell into it, and their sum.
    private var histogram: [(count: Int, sum: Double)] = []

    mutating func add(cosine value: Double) {
        let degrees = acos(value) * 180 / .pi
        angle += degrees
        square += degrees * degrees
        cosine += value
        count += 1
        for (index, limit) in Self.limits.enumerated() where degrees <= limit { within[index] += 1 }
        if histogram.isEmpty { histogram = Array(repeating: (0, 0), count: Self.steps) }
        let step = min(Int(degrees / 180 * Double(Self.steps)), Self.steps - 1)
        histogram[step].count += 1
        histogram[step].sum += degrees
    }

    /// The angle with `rank` smaller ones: the mean of those that share its step.
    private func angle(rank: Int) -> Double {
        var seen = 0
        for (count, sum) in histogram {
            seen += count
            if seen > rank { return sum / Double(count) }
        }
        return .nan
    }

    var metrics: [Metric] {
        let total = count == 0 ? Double.nan : Double(count)
        let median = (angle(rank: (count - 1) / 2) + angle(rank: count / 2)) / 2
        return [
            Metric(name: "angle_mean", value: angle / total, higherIsBetter: false, unit: "°"),
            Metric(name: "angle_median", value: median, higherIsBetter: false, unit: "°"),
            Metric(name: "angle_rmse", value: (square / total).squareRoot(), higherIsBetter: false, unit: "°"),
            Metric(name: "within_11.25", value: 100 * Double(within[0]) / total, higherIsBetter: true, unit: "%"),
            Metric(name: "within_22.5", value: 100 * Double(within[1]) / total, higherIsBetter: true, unit: "%"),
            Metric(name: "within_30", value: 100 * Double(within[2]) / total, higherIsBetter: true, unit: "%"),
            Metric(name: "cosine", value: cosine / total, higherIsBetter: true),
        ]
    }
}

extension NormalMetrics: TaskMetrics {
    public mutating func add(_ prediction: Prediction, _ label: ImageLabel) {
        add(
            prediction: prediction.values, height: prediction.height, width: prediction.width, label: label.numbers,
            labelHeight: label.height, labelWidth: label.width)
    }
}
