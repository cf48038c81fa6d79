import AdaShareSchema

/// How a number is defined where the literature's definition and the right one differ.
public enum MetricConvention: String, Sendable, Codable, ConfigurationChoice {
    /// As the published code computes it, to compare with printed numbers.
    case published
    /// As the name of the metric says.
    case exact
}

/// One number of an evaluation.
public struct Metric: Sendable, Codable, Equatable {
    /// Name within the task, such as `miou`.
    public let name: String
    /// The number in `unit`; NaN if nothing could be measured (`null` in JSON).
    public let value: Double
    /// Whether a larger value is a better one.
    public let higherIsBetter: Bool
    /// `%`, `°`, `m`, or empty for a plain number.
    public let unit: String

    /// Creates a metric.
    public init(name: String, value: Double, higherIsBetter: Bool, unit: String = "") {
        self.name = name
        self.value = value
        self.higherIsBetter = higherIsBetter
        self.unit = unit
    }

    private enum CodingKeys: String, CodingKey { case name, value, higherIsBetter, unit }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        value = try container.decodeIfPresent(Double.self, forKey: .value) ?? .nan
        higherIsBetter = try container.decode(Bool.self, forKey: .higherIsBetter)
        unit = try container.decode(String.self, forKey: .unit)
    }

    /// Encodes the metric; a value that is not finite becomes `null`, which JSON can hold.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        if value.isFinite {
            try container.encode(value, forKey: .value)
        } else {
            try container.encodeNil(forKey: .value)
        }
        try container.encode(higherIsBetter, forKey: .higherIsBetter)
        try container.encode(unit, forKey: .unit)
    }
}

extension [String: [String: [Metric]]] {
    /// Of task → convention → metrics those of one convention, by task.
    package func of(_ convention: MetricConvention) -> [String: [Metric]] {
        compactMapValues { $0[convention.rawValue] }
    }
}

/// A sum and a count, for means in double precision.
struct MeanAccumulator: Sendable {
    private(set) var sum = 0.0
    private(set) var count = 0

    mutating func add(_ value: Double) {
        sum += value
        count += 1
    }

    /// The mean; NaN without values.
    var mean: Double { count == 0 ? .nan : sum / Double(count) }
}

/// Nearest-neighbour source index of every target index: `floor(i · source / target)`.
func nearestIndices(from source: Int, to target: Int) -> [Int] {
    (0..<target).map { $0 * source / target }
}

/// Calls `body` for every label pixel with the index of the label and that of the prediction's pixel.
///
/// - Precondition: counts match the sizes.
func forEachPixel(
    predictionCount: Int, channels: Int, height: Int, width: Int, labelCount: Int, labelHeight: Int, labelWidth: Int,
    _ body: (_ label: Int, _ prediction: Int) -> Void
) {
    precondition(predictionCount == height * width * channels, "prediction is not height × width × \(channels)")
    precondition(labelCount == labelHeight * labelWidth, "label is not labelHeight × labelWidth")
    let rows = nearestIndices(from: height, to: labelHeight)
    let columns = nearestIndices(from: width, to: labelWidth)
    for y in 0..<labelHeight {
        for x in 0..<labelWidth {
            body(y * labelWidth + x, rows[y] * width + columns[x])
        }
    }
}

/// Index of the largest of `count` values from `start`; the first of equals.
func bestChannel(_ values: [Float], from start: Int, count: Int) -> Int {
    var best = 0
    for channel in 1..<max(count, 1) where values[start + channel] > values[start + best] { best = channel }
    return best
}
